//! Types that read JSON by themselves.

use serde_json::{Number, Value};

use crate::model::quote::quote;
use crate::model::url::Url;

use super::quantity;

/// Why one does not take a value. Go's decoder ends with it.
pub(super) enum Misfit {
    /// It has the wrong type.
    Type {
        /// What it is.
        found: String,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// Something else.
    Other(String),
}

/// Reads a value of such a type; nothing where it stays empty.
pub(super) fn read(of: &str, given: &Value) -> Result<Option<Value>, Misfit> {
    match of {
        "apis.URL" => url(given),
        "v1.Time" | "apis.VolatileTime" => time(given),
        "intstr.IntOrString" => int_or_string(given),
        "resource.Quantity" => quantity(given),
        "v1beta1.ParamValue" => Ok(Some(param_value(given))),
        // Whatever it is.
        _ => Ok((!given.is_null()).then(|| given.clone())),
    }
}

fn text(given: &Value) -> Result<&str, Misfit> {
    let found = match given {
        Value::Null => return Ok(""),
        Value::String(text) => return Ok(text),
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Err(Misfit::Type {
        found: found.into(),
        wanted: "string",
    })
}

fn url(given: &Value) -> Result<Option<Value>, Misfit> {
    let text = text(given)?;
    match Url::parse(text) {
        Ok(url) => Ok(Some(url.printed(text).into())),
        Err(reason) => {
            // Where the fragment is at fault the whole reference is named.
            let plain = text.split('#').next().unwrap_or(text);
            let shown = match Url::parse(plain) {
                Ok(_) => text,
                Err(_) => plain,
            };
            Err(Misfit::Other(format!("parse {}: {reason}", quote(shown))))
        }
    }
}

fn time(given: &Value) -> Result<Option<Value>, Misfit> {
    if given.is_null() {
        return Ok(None);
    }
    match super::time::canonical(text(given)?) {
        Ok(time) => Ok(Some(time.into())),
        Err(message) => Err(Misfit::Other(message)),
    }
}

fn int_or_string(given: &Value) -> Result<Option<Value>, Misfit> {
    let found = match given {
        Value::String(_) => return Ok(Some(given.clone())),
        Value::Null => return Ok(Some(0.into())),
        Value::Number(value) => {
            let whole = value.as_i64().filter(|whole| i32::try_from(*whole).is_ok());
            if let Some(whole) = whole {
                return Ok(Some(whole.into()));
            }
            format!("number {}", number(value))
        }
        Value::Bool(_) => "bool".into(),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
    };
    Err(Misfit::Type {
        found,
        wanted: "int32",
    })
}

fn quantity(given: &Value) -> Result<Option<Value>, Misfit> {
    let text = match given {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Number(value) => number(value),
        other => other.to_string(),
    };
    match quantity::canonical(text.trim()) {
        Ok(canonical) => Ok(Some(canonical.into())),
        Err(message) => Err(Misfit::Other(message.into())),
    }
}

/// A text, a list of texts or a map of texts; anything else is the text of its
/// JSON.
fn param_value(given: &Value) -> Value {
    let as_text = |value: &Value| match value {
        Value::Null => Some(Value::from("")),
        Value::String(_) => Some(value.clone()),
        _ => None,
    };
    let read = match given {
        Value::Array(items) => items.iter().map(as_text).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| Some((name.clone(), as_text(value)?)))
            .collect::<Option<_>>()
            .map(Value::Object),
        _ => as_text(given),
    };
    read.unwrap_or_else(|| match given {
        Value::Number(value) => number(value).into(),
        other => other.to_string().into(),
    })
}

/// A number as Go writes it.
pub(super) fn number(value: &Number) -> String {
    let float = match value.as_f64() {
        Some(float) if !value.is_i64() && !value.is_u64() => float,
        _ => return value.to_string(),
    };
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let shown = format!("{float:e}");
        return match shown.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => shown,
        };
    }
    float.to_string()
}
