//! One comparison for each kind of case.

use std::path::PathBuf;

use data_encoding::BASE64;
use serde_json::Value;
use tripline::model::headers::Headers;

use crate::Case;

mod bind;
mod cel;
mod chain;
mod example;
mod interceptor;
mod render;
mod validate;
mod world;

/// What a comparison found.
pub(crate) enum Comparison {
    /// As recorded.
    Same,
    /// Upstream fails where Tripline gives what the author meant.
    Better,
    /// Fails as recorded, for a reason of another class: what came instead.
    OtherClass(String),
    /// Not as recorded: what came instead.
    Different(String),
    /// This kind of case is not compared by this version.
    NotCompared,
}

/// Compares one case, or says that its kind is not compared yet.
pub(crate) fn compare(case: &Case) -> Comparison {
    match case.kind.as_str() {
        "bind" => bind::compare(case),
        "render" => render::compare(case),
        "cel" => cel::compare(case),
        "interceptor" => interceptor::compare(case),
        "chain" => chain::compare(case),
        "validate" => validate::compare(case),
        "example" => example::compare(case),
        _ => Comparison::NotCompared,
    }
}

/// The body bytes of `input.request`.
pub(crate) fn body(case: &Case) -> Vec<u8> {
    let request = &case.input["request"];
    if let Some(text) = request["body"].as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(file) = request["body_file"].as_str() {
        let path: PathBuf = case.bodies.join(file);
        return std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    if let Some(text) = request["body_base64"].as_str() {
        return BASE64
            .decode(text.as_bytes())
            .expect("body_base64 is base64");
    }
    Vec::new()
}

/// The header map of `input.request`, names exactly as recorded.
pub(crate) fn headers(case: &Case) -> Headers {
    let headers = case.input["request"].get("headers").cloned();
    serde_json::from_value(headers.unwrap_or_default()).unwrap_or_default()
}

/// Deep equality with numbers as IEEE doubles.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}
