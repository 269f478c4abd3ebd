//! The params of a `cel` interceptor.
//!
//! In: the params of an interceptor as a trigger has them. Out: a filter and
//! overlays, as text. Names are read without regard to case, and unknown ones
//! are passed over, because Go reads them so.

use serde_json::{Map, Value};

use crate::model::problem::{Problem, kind_of};

/// What a trigger configures of a `cel` interceptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// The filter; none, or an empty one, lets every event through.
    pub filter: Option<String>,
    /// Keys with expressions, in the order in which they apply.
    pub overlays: Vec<(String, String)>,
}

impl Params {
    /// Reads the params.
    pub fn read(params: &Map<String, Value>) -> Result<Self, Problem> {
        let mut read = Self::default();
        let mut filter = String::new();
        for (name, value) in params {
            if name.eq_ignore_ascii_case("filter") {
                set_text(&mut filter, value).map_err(|problem| problem.under("/filter"))?;
            } else if name.eq_ignore_ascii_case("overlays") {
                read.overlays =
                    read_overlays(value).map_err(|problem| problem.under("/overlays"))?;
            }
        }
        read.filter = (!filter.is_empty()).then_some(filter);
        Ok(read)
    }
}

fn read_overlays(value: &Value) -> Result<Vec<(String, String)>, Problem> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                read_overlay(item).map_err(|problem| problem.under(&format!("/{index}")))
            })
            .collect(),
        other => Err(mismatch("a list of {key, expression}", other)),
    }
}

fn read_overlay(value: &Value) -> Result<(String, String), Problem> {
    let mut overlay = (String::new(), String::new());
    let fields = match value {
        Value::Null => return Ok(overlay),
        Value::Object(fields) => fields,
        other => return Err(mismatch("{key, expression}", other)),
    };
    for (name, value) in fields {
        if name.eq_ignore_ascii_case("key") {
            set_text(&mut overlay.0, value).map_err(|problem| problem.under("/key"))?;
        } else if name.eq_ignore_ascii_case("expression") {
            set_text(&mut overlay.1, value).map_err(|problem| problem.under("/expression"))?;
        }
    }
    Ok(overlay)
}

/// Null leaves what was there.
fn set_text(into: &mut String, value: &Value) -> Result<(), Problem> {
    match value {
        Value::Null => Ok(()),
        Value::String(text) => {
            text.clone_into(into);
            Ok(())
        }
        other => Err(mismatch("text", other)),
    }
}

fn mismatch(expected: &str, found: &Value) -> Problem {
    Problem::at("", format!("expected {expected}, got {}", kind_of(found)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(params: Value) -> Result<Params, Problem> {
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
        for (params, place) in [
            (json!({"filter": ["true"]}), "/filter"),
            (json!({"overlays": {"key": "a"}}), "/overlays"),
            (json!({"overlays": [null, 1]}), "/overlays/1"),
            (json!({"overlays": [{"key": 1}]}), "/overlays/0/key"),
            (
                json!({"overlays": [{"expression": 1}]}),
                "/overlays/0/expression",
            ),
        ] {
            let problem = read(params.clone()).expect_err("a mistake");
            assert_eq!(problem.pointer, place, "{params}");
        }
    }
}
