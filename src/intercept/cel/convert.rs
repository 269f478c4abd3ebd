//! Values to JSON.
//!
//! In: a value. Out: the JSON that an overlay sets, by upstream's rules, or
//! the reason why there is none; or, for people, some JSON for any value.

pub(crate) mod path;

use std::borrow::Cow;

use data_encoding::BASE64;
use serde_json::{Map as JsonMap, Number, Value as Json};

use super::error::Fault;
use super::meter::Meter;
use super::value::{Kind, Map, Text, Value, duration_text};

/// Integers beyond this lose digits in JSON readers that use doubles.
const LARGEST_EXACT: i64 = (1 << 53) - 1;

/// Why a value has no JSON form.
pub(crate) type Refusal = Cow<'static, str>;

const NO_TYPES: Refusal = Cow::Borrowed("type conversion not supported for 'type'");

/// The JSON that an overlay sets. Null, unsigned integers and times are
/// refused, though each is fine inside a list or map.
pub(crate) fn overlay_json(
    value: &Value<'_>,
    meter: &mut Meter,
) -> Result<Result<Json, Refusal>, Fault> {
    match value.kind() {
        kind @ (Kind::Null | Kind::Timestamp | Kind::Duration) => Ok(Err(Cow::Owned(format!(
            "type conversion error from '{kind}' to '[]uint8'"
        )))),
        Kind::Uint => Ok(Err(Cow::Borrowed(
            "unsupported type conversion from 'uint' to []uint8",
        ))),
        _ => to_json(value, meter),
    }
}

/// The JSON of a value by upstream's rules. Pays for what it builds.
pub(crate) fn to_json(
    value: &Value<'_>,
    meter: &mut Meter,
) -> Result<Result<Json, Refusal>, Fault> {
    meter.build_elements(1)?;
    let json = match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => match value.checked_abs() {
            Some(size) if size <= LARGEST_EXACT => Json::from(*value),
            _ => Json::String(value.to_string()),
        },
        Value::Uint(value) if *value <= LARGEST_EXACT as u64 => Json::from(*value),
        Value::Uint(value) => Json::String(value.to_string()),
        Value::Double(value) => match Number::from_f64(*value) {
            Some(number) => Json::Number(number),
            None => return Ok(Err(Cow::Borrowed("invalid number: infinite or NaN"))),
        },
        Value::Text(text) => match own_text(text, meter)? {
            Some(text) => Json::String(text),
            None => return Ok(Err(Cow::Borrowed("string contains invalid UTF-8"))),
        },
        Value::Bytes(bytes) => {
            meter.build(BASE64.encode_len(bytes.as_slice().len()))?;
            Json::String(BASE64.encode(bytes.as_slice()))
        }
        Value::Timestamp(at) => Json::String(at.to_string()),
        Value::Duration(nanoseconds) => Json::String(duration_text(*nanoseconds)),
        Value::Type(_) => return Ok(Err(NO_TYPES)),
        Value::List(list) => {
            let mut items = Vec::with_capacity(list.len());
            for item in list.iter() {
                match to_json(&item, meter)? {
                    Ok(json) => items.push(json),
                    refused => return Ok(refused),
                }
            }
            Json::Array(items)
        }
        Value::Map(map) => return map_to_json(map, meter),
    };
    Ok(Ok(json))
}

fn map_to_json(map: &Map<'_>, meter: &mut Meter) -> Result<Result<Json, Refusal>, Fault> {
    let mut fields = JsonMap::new();
    for (key, value) in map.entries() {
        let Value::Text(name) = &key else {
            let message = format!("type conversion error from {} to 'string'", key.kind());
            return Ok(Err(Cow::Owned(message)));
        };
        let Some(name) = own_text(name, meter)? else {
            return Ok(Err(Cow::Borrowed("string contains invalid UTF-8")));
        };
        match to_json(&value, meter)? {
            Ok(json) => drop(fields.insert(name, json)),
            refused => return Ok(refused),
        }
    }
    Ok(Ok(Json::Object(fields)))
}

fn own_text(text: &Text<'_>, meter: &mut Meter) -> Result<Option<String>, Fault> {
    let Some(text) = text.as_str() else {
        return Ok(None);
    };
    meter.build(text.len())?;
    Ok(Some(text.to_owned()))
}

/// Some JSON for any value, to show to people.
pub(crate) fn lenient_json(value: &Value<'_>, meter: &mut Meter) -> Result<Json, Fault> {
    meter.build_elements(1)?;
    Ok(match value {
        Value::Int(value) => Json::from(*value),
        Value::Uint(value) => Json::from(*value),
        Value::Double(value) => match Number::from_f64(*value) {
            Some(number) => Json::Number(number),
            None => Json::String(value.to_string()),
        },
        Value::Text(text) => {
            meter.build(text.as_bytes().len())?;
            Json::String(text.lossy().into_owned())
        }
        Value::List(list) => {
            let items: Result<_, Fault> =
                list.iter().map(|item| lenient_json(&item, meter)).collect();
            Json::Array(items?)
        }
        Value::Map(map) => {
            let mut fields = JsonMap::new();
            for (key, value) in map.entries() {
                let name = match lenient_json(&key, meter)? {
                    Json::String(name) => name,
                    // Its text may be far longer than what it was built from.
                    Json::Array(_) | Json::Object(_) => key.kind().name().to_owned(),
                    other => other.to_string(),
                };
                fields.insert(name, lenient_json(&value, meter)?);
            }
            Json::Object(fields)
        }
        Value::Type(kind) => Json::String(kind.name().to_owned()),
        // The rest is never refused.
        _ => to_json(value, meter)?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::testing::{check_values, overlaid};
    use crate::intercept::cel::{ErrorClass, OverlayError};

    #[test]
    fn overlays_have_json_by_the_rules_of_upstream() {
        for (expression, expected) in [
            ("body.text", json!("héllo wörld 日本")),
            ("b'hi'", json!("aGk=")),
            ("body.count", json!(3.0)),
            ("9007199254740991", json!(9_007_199_254_740_991_i64)),
            ("9007199254740992", json!("9007199254740992")),
            ("-9223372036854775808", json!("-9223372036854775808")),
            (
                "[null, 1u, 18446744073709551615u]",
                json!([null, 1, "18446744073709551615"]),
            ),
            (
                "[timestamp(0), duration('90s')]",
                json!(["1970-01-01T00:00:00Z", "90s"]),
            ),
            ("{'a': {'b': b'x'}}", json!({"a": {"b": "eA=="}})),
            ("header['X-Multi']", json!(["one", "two"])),
        ] {
            assert_eq!(
                overlaid("v", expression),
                Ok(json!({"v": expected})),
                "{expression}"
            );
        }
    }

    #[test]
    fn values_without_a_json_form_are_refused() {
        for expression in [
            "null",
            "body.nothing",
            "[].first()",
            "1u",
            "timestamp(0)",
            "duration('1s')",
            "int",
            "[type(1)]",
            "{'a': [int]}",
            "1.0 / 0.0",
            "[0.0 / 0.0]",
            "{1: 'x'}",
            "{null: 'x'}",
            "'日本'.truncate(4)",
            "['日本'.truncate(4)]",
        ] {
            let refused = overlaid("v", expression);
            assert!(
                matches!(refused, Err(OverlayError::Type(_))),
                "{expression}: {refused:?}"
            );
        }
    }

    #[test]
    fn people_are_shown_some_json_for_any_value() {
        check_values(&[
            ("null", json!(null)),
            (
                "18446744073709551615u",
                json!(18_446_744_073_709_551_615_u64),
            ),
            ("9223372036854775807", json!(9_223_372_036_854_775_807_i64)),
            ("timestamp(0)", json!("1970-01-01T00:00:00Z")),
            ("duration('90s')", json!("90s")),
            ("type(1)", json!("int")),
            ("[type(1)]", json!(["int"])),
            ("1.0 / 0.0", json!("inf")),
            ("{1: true, [1]: 2}", json!({"1": true, "list": 2})),
        ]);
    }

    #[test]
    fn a_value_that_shares_its_parts_is_paid_for_as_it_is_written() {
        let doubled = format!("dyn([1]){}", ".map(x, [x, x])".repeat(40));
        let refused = overlaid("v", &doubled).expect_err("too large");
        assert!(
            matches!(&refused, OverlayError::Eval(error) if error.class() == ErrorClass::Exhausted)
        );
    }
}
