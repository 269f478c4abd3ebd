//! Something that is wrong with a piece of configuration, and where.

use std::fmt;

use serde_json::{Map, Value};

/// One mistake in an object. The loader turns the pointer into a line and a
/// column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer (RFC 6901) from the piece that was compiled; empty for the
    /// piece itself.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem at `pointer`.
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }

    /// The same problem, seen from `prefix` above.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.pointer, self.message)
        }
    }
}

/// A field of an object by its name: as it is written, else in any letter
/// case, because Go's decoder, which the API has always been read with,
/// ignores case.
pub fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// The fields of `object` that are none of `known`, in any letter case.
pub fn unknown_fields<'a>(
    object: &'a Map<String, Value>,
    known: &'a [&str],
) -> impl Iterator<Item = &'a str> {
    object
        .keys()
        .map(String::as_str)
        .filter(|key| !known.iter().any(|name| name.eq_ignore_ascii_case(key)))
}

/// A list of texts, or what is wrong with it. Absent and null are no list.
pub fn string_list(
    params: &Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<String>>, Problem> {
    let at = || format!("/{name}");
    match field(params, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::String(text) => Ok(text.clone()),
                other => Err(Problem::at(
                    format!("/{name}/{index}"),
                    format!("expected text, got {}", kind_of(other)),
                )),
            })
            .collect::<Result<_, _>>()
            .map(Some),
        Some(other) => Err(Problem::at(
            at(),
            format!("expected a list of texts, got {}", kind_of(other)),
        )),
    }
}

/// A name as a token of a JSON pointer (RFC 6901).
pub fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What a JSON value is, for a message.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_field_is_found_in_any_letter_case_and_the_exact_one_wins() {
        let object = params(json!({"EVENTTYPES": ["a"], "eventTypes": ["b"]}));
        assert_eq!(field(&object, "eventTypes"), Some(&json!(["b"])));
        assert_eq!(field(&object, "eventtypes"), Some(&json!(["a"])));
        assert_eq!(field(&object, "other"), None);
    }

    #[test]
    fn a_list_with_something_else_in_it_names_the_place() {
        let wrong = string_list(&params(json!({"events": ["push", 1]})), "events");
        assert_eq!(
            wrong,
            Err(Problem::at("/events/1", "expected text, got a number"))
        );
        assert_eq!(
            string_list(&params(json!({"events": null})), "events"),
            Ok(None)
        );
    }
}
