//! Fields, keys and indexes.

use super::Outcome;
use crate::intercept::cel::error::{ErrorClass, Fault, fault, missing_key};
use crate::intercept::cel::value::{Kind, List, Value, exact_int};

/// `operand.field`. What is no map has no fields.
pub(super) fn select<'v>(operand: &Value<'v>, field: &str) -> Outcome<'v> {
    match operand {
        Value::Map(map) => map.field(field).ok_or_else(|| missing_key(field)),
        Value::List(_) => Err(no_index(Kind::Text)),
        _ => Err(missing_key(field)),
    }
}

/// `has(operand.field)`.
pub(super) fn has<'v>(operand: &Value<'v>, field: &str) -> Outcome<'v> {
    match operand {
        Value::Map(map) => Ok(Value::Bool(map.field(field).is_some())),
        Value::List(_) => Err(no_index(Kind::Text)),
        _ => Ok(Value::Bool(false)),
    }
}

/// `operand[key]`. A key is named in the failure only where the expression
/// spells it: another one is a value of the event.
pub(super) fn index<'v>(operand: &Value<'v>, key: &Value<'v>, spelt: bool) -> Outcome<'v> {
    let is_key = matches!(
        key.kind(),
        Kind::Text | Kind::Int | Kind::Uint | Kind::Double | Kind::Bool
    );
    if !is_key {
        let message = format!("invalid qualifier type: {}", key.kind());
        return Err(fault(ErrorClass::Type, message));
    }
    match operand {
        Value::List(list) => item(list, key),
        Value::Map(map) => map.get(key).ok_or_else(|| no_key(key, spelt)),
        _ => Err(no_key(key, spelt)),
    }
}

fn item<'v>(list: &List<'v>, key: &Value<'v>) -> Outcome<'v> {
    let index = match key {
        Value::Int(index) => Some(*index),
        Value::Uint(index) => i64::try_from(*index).ok(),
        Value::Double(index) => exact_int(*index),
        other => return Err(no_index(other.kind())),
    };
    let Some(index) = index else {
        return Err(fault(ErrorClass::Index, "unsupported index value in list"));
    };
    usize::try_from(index)
        .ok()
        .and_then(|index| list.get(index))
        .ok_or_else(|| fault(ErrorClass::Index, format!("index out of bounds: {index}")))
}

#[cold]
fn no_index(kind: Kind) -> Fault {
    let message = format!("unsupported index type '{kind}' in list");
    fault(ErrorClass::Index, message)
}

#[cold]
fn no_key(key: &Value<'_>, spelt: bool) -> Fault {
    match key {
        Value::Text(text) if spelt => missing_key(text.lossy()),
        Value::Int(number) if spelt => missing_key(number),
        _ => fault(ErrorClass::MissingKey, "no such key"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Index, MissingKey, Type};
    use crate::intercept::cel::testing::{check_failures, check_true, check_values, value};

    #[test]
    fn fields_and_elements_are_read_by_reference() {
        check_values(&[
            ("body.map.b.c", json!("deep")),
            ("body['map']['with-dash']", json!("d")),
            ("body.map.`with-dash`", json!("d")),
            ("body.list[1]", json!(1)),
            ("body.list[dyn(1.0)]", json!(1)),
            ("body.list[dyn(2u)]", json!(2)),
            ("extensions.earlier.x", json!(1)),
            ("{1: 'x', true: 'y'}[true]", json!("y")),
            ("{'a': 1, 'a': 2}.a", json!(2)),
            ("(body.yes ? body.map : body).b.c", json!("deep")),
            ("size({[1]: 2, [1]: 3})", json!(2)),
        ]);
        check_failures(&[
            ("body.missing", MissingKey),
            ("body.text.x", MissingKey),
            ("body.nothing.x", MissingKey),
            ("body.map['z']", MissingKey),
            ("header['x-multi']", MissingKey),
            ("body.list.x", Index),
            ("body.list[3]", Index),
            ("body.list[-1]", Index),
            ("body.list[body.half]", Index),
            ("body.list[body.text]", Index),
            ("body.map[body.list]", Type),
            ("body.map[body.nothing]", Type),
        ]);
    }

    #[test]
    fn presence_is_a_question_about_the_last_field_only() {
        check_true(&[
            "has(body.map) && has(body.nothing) && !has(body.missing)",
            "!has(body.text.x) && !has(body.nothing.x)",
            "has(header.`X-Multi`) && !has(extensions.later)",
        ]);
        check_failures(&[
            ("has(body.missing.x)", MissingKey),
            ("has(body.list.x)", Index),
        ]);
    }

    #[test]
    fn a_failure_names_keys_of_the_expression_and_none_of_the_event() {
        let spelt = value("body.missing").expect_err("missing");
        assert_eq!(spelt.to_string(), "no such key: missing");
        let dynamic = value("body[header.canonical('X-Token')]").expect_err("missing");
        assert!(!dynamic.to_string().contains("hunter2"), "{dynamic}");
    }
}
