//! The params of a `cel` interceptor.
//!
//! In: the params of an interceptor as a trigger has them. Out: a filter and
//! overlays, as text. Names are read without regard to case, and unknown ones
//! are passed over, because Go reads them so.

use serde_json::{Map, Value};
use thiserror::Error;

/// What a trigger configures of a `cel` interceptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// The filter; none, or an empty one, lets every event through.
    pub filter: Option<String>,
    /// Keys with expressions, in the order in which they apply.
    pub overlays: Vec<(String, String)>,
}

/// A param that is not of the type it must have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("failed to parse interceptor params: {found} where {place} must be {expected}")]
pub struct ParamsError {
    place: &'static str,
    expected: &'static str,
    found: &'static str,
}

impl Params {
    /// Reads the params.
    pub fn read(params: &Map<String, Value>) -> Result<Self, ParamsError> {
        let mut read = Self::default();
        let mut filter = String::new();
        for (name, value) in params {
            if name.eq_ignore_ascii_case("filter") {
                set_text(&mut filter, "filter", value)?;
            } else if name.eq_ignore_ascii_case("overlays") {
                read.overlays = read_overlays(value)?;
            }
        }
        read.filter = (!filter.is_empty()).then_some(filter);
        Ok(read)
    }
}

fn read_overlays(value: &Value) -> Result<Vec<(String, String)>, ParamsError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(read_overlay).collect(),
        other => Err(mismatch("overlays", "a list", other)),
    }
}

fn read_overlay(value: &Value) -> Result<(String, String), ParamsError> {
    let mut overlay = (String::new(), String::new());
    let fields = match value {
        Value::Null => return Ok(overlay),
        Value::Object(fields) => fields,
        other => return Err(mismatch("an overlay", "an object", other)),
    };
    for (name, value) in fields {
        if name.eq_ignore_ascii_case("key") {
            set_text(&mut overlay.0, "key", value)?;
        } else if name.eq_ignore_ascii_case("expression") {
            set_text(&mut overlay.1, "expression", value)?;
        }
    }
    Ok(overlay)
}

/// Null leaves what was there.
fn set_text(into: &mut String, place: &'static str, value: &Value) -> Result<(), ParamsError> {
    match value {
        Value::Null => Ok(()),
        Value::String(text) => {
            text.clone_into(into);
            Ok(())
        }
        other => Err(mismatch(place, "text", other)),
    }
}

fn mismatch(place: &'static str, expected: &'static str, found: &Value) -> ParamsError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    ParamsError {
        place,
        expected,
        found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(params: Value) -> Result<Params, ParamsError> {
        Params::read(params.as_object().expect("an object"))
    }

    #[test]
    fn params_are_read_as_go_reads_them() {
        let params = read(json!({
            "FILTER": "true",
            "other": 1,
            "overlays": [{"Key": "a", "expression": "1", "extra": 2}, null],
        }));
        let params = params.expect("valid");
        assert_eq!(params.filter.as_deref(), Some("true"));
        let overlays = [("a", "1"), ("", "")].map(|(k, e)| (k.to_owned(), e.to_owned()));
        assert_eq!(params.overlays, overlays);
        assert_eq!(
            read(json!({"filter": null, "overlays": null})),
            Ok(Params::default())
        );
        let both = read(json!({"filter": "true", "Filter": "false"})).expect("valid");
        assert_eq!(both.filter.as_deref(), Some("true"));
    }

    #[test]
    fn params_of_other_types_are_refused() {
        for params in [
            json!({"filter": ["true"]}),
            json!({"overlays": {"key": "a"}}),
            json!({"overlays": [1]}),
            json!({"overlays": [{"key": 1}]}),
            json!({"overlays": [{"expression": 1}]}),
        ] {
            assert!(read(params.clone()).is_err(), "{params}");
        }
    }
}
