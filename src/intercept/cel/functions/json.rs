//! `parseJSON`, `marshalJSON` and `json.encode`, with Go's reading and
//! spelling of JSON.

use std::fmt::Write;

use serde_json::Value as Json;

use super::arguments::string;
use super::numbers;
use crate::intercept::cel::convert;
use crate::intercept::cel::error::{ErrorClass, Fault, fault, no_overload};
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::{Key, Map, Text, Value};
use crate::model::json::{self, ReadError};

pub(super) const TABLE: &[Row] = &[
    row("parseJSON", "string.() -> map(string, dyn)", parse),
    row("marshalJSON", "map(string, dyn).() -> string", marshal),
    row("marshalJSON", "list(dyn).() -> string", marshal),
    row("json.encode", "(dyn) -> string", marshal),
];

fn parse<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let text = string(args, 0)?;
    context.meter.walk(text.len())?;
    let failed = |reason: String| {
        fault(
            ErrorClass::Decode,
            format!("failed to decode in parseJSON: {reason}"),
        )
    };
    // Errors of serde_json name places in the text, and none of it.
    let read = json::read(text.as_bytes(), context.meter.left());
    let json = read.map_err(|error| match error {
        ReadError::Syntax(error) => failed(error.to_string()),
        ReadError::TooLarge => context.meter.exhaust_memory(),
    })?;
    object(&json.value, context.meter)?.ok_or_else(|| failed("not a JSON object".to_owned()))
}

/// The map that a document is: an object, or nothing at all.
pub(super) fn object<'v>(json: &Json, meter: &mut Meter) -> Result<Option<Value<'v>>, Fault> {
    match json {
        Json::Null => Ok(Some(Value::Map(Map::of_entries(Vec::new())))),
        Json::Object(_) => own(json, meter).map(Some),
        _ => Ok(None),
    }
}

/// A value of its own for JSON that does not outlive this evaluation.
fn own<'v>(json: &Json, meter: &mut Meter) -> Result<Value<'v>, Fault> {
    meter.build_elements(1)?;
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => {
            meter.build(text.len())?;
            Value::text(text.as_str())
        }
        Json::Array(items) => {
            let items: Result<_, Fault> = items.iter().map(|item| own(item, meter)).collect();
            Value::list(items?)
        }
        Json::Object(fields) => {
            let mut entries = Vec::with_capacity(fields.len());
            for (name, value) in fields {
                meter.build(name.len())?;
                let key = Key::Text(Text::Shared(name.as_str().into()));
                entries.push((key, own(value, meter)?));
            }
            Value::Map(Map::of_entries(entries))
        }
    })
}

fn marshal<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let value = args.first().ok_or_else(no_overload)?;
    let json = convert::to_json(value, context.meter)?
        .map_err(|reason| fault(ErrorClass::Conversion, reason))?;
    let mut text = String::new();
    write_json(&json, &mut text);
    context.meter.build(text.len())?;
    Ok(Value::text(text))
}

/// Compact JSON, keys sorted, `<`, `>` and `&` escaped.
fn write_json(json: &Json, into: &mut String) {
    match json {
        Json::Null => into.push_str("null"),
        Json::Bool(value) => into.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => {
            into.push_str(&numbers::json(number.as_f64().unwrap_or_default()));
        }
        Json::String(text) => write_text(text, into),
        Json::Array(items) => {
            into.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                write_json(item, into);
            }
            into.push(']');
        }
        Json::Object(fields) => {
            into.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                write_text(name, into);
                into.push(':');
                write_json(value, into);
            }
            into.push('}');
        }
    }
}

fn write_text(text: &str, into: &mut String) {
    into.push('"');
    for character in text.chars() {
        match character {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            '\u{8}' => into.push_str("\\b"),
            '\u{c}' => into.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a string cannot fail.
                let _ = write!(into, "\\u{:04x}", character as u32);
            }
            other => into.push(other),
        }
    }
    into.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::intercept::cel::testing::{check_failures, check_values};

    #[test]
    fn documents_are_objects_and_their_numbers_doubles() {
        check_values(&[
            ("body.json.parseJSON()", json!({"a": [1, 2]})),
            ("'{\"n\": 1}'.parseJSON().n == 1.0", json!(true)),
            ("type('{\"n\": 1}'.parseJSON().n) == double", json!(true)),
            ("'null'.parseJSON()", json!({})),
        ]);
        check_failures(&[
            ("'[1]'.parseJSON()", ErrorClass::Decode),
            ("'{\"a\": 01}'.parseJSON()", ErrorClass::Decode),
            ("body.map.parseJSON()", ErrorClass::NoOverload),
        ]);
    }

    #[test]
    fn values_are_marshalled_by_the_rules_of_protobuf() {
        check_values(&[
            ("body.map.b.marshalJSON()", json!(r#"{"c":"deep"}"#)),
            (
                "[9007199254740993, 1u, 1.5].marshalJSON()",
                json!(r#"["9007199254740993",1,1.5]"#),
            ),
            (
                "[b'hi', duration('90s'), null].marshalJSON()",
                json!(r#"["aGk=","90s",null]"#),
            ),
            ("json.encode('<')", json!(r#""\u003c""#)),
        ]);
        check_failures(&[
            ("json.encode({1: 2})", ErrorClass::Conversion),
            ("json.encode(1.0 / 0.0)", ErrorClass::Conversion),
            ("json.encode(int)", ErrorClass::Conversion),
            ("[type(body.text)].marshalJSON()", ErrorClass::Conversion),
            ("body.text.marshalJSON()", ErrorClass::NoOverload),
        ]);
    }

    #[test]
    fn json_is_written_as_in_go() {
        let mut text = String::new();
        let value = json!({"b": [1e21, 2.0, true, null], "a": "<é>\u{2028}\u{1}\t\""});
        write_json(&value, &mut text);
        assert_eq!(
            text,
            r#"{"a":"\u003cé\u003e\u2028\u0001\t\"","b":[1e+21,2,true,null]}"#
        );
    }
}
