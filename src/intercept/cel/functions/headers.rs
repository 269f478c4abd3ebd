//! `match` and `canonical`: headers by their canonical name, first value.

use super::arguments::{map, text};
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::{List, Map, Text, Value};
use crate::model::headers;

pub(super) const TABLE: &[Row] = &[
    row(
        "match",
        "map(string, dyn).(string, string) -> bool",
        matches,
    ),
    row(
        "canonical",
        "map(string, dyn).(string) -> string",
        canonical,
    ),
];

fn matches<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let expected = text(args, 2)?;
    let found = first_value(context, map(args, 0)?, text(args, 1)?)?;
    let found = found.as_ref().map_or(&[][..], Text::as_bytes);
    Ok(Value::Bool(found == expected.as_bytes()))
}

fn canonical<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let found = first_value(context, map(args, 0)?, text(args, 1)?)?;
    Ok(Value::Text(found.unwrap_or(Text::Borrowed(""))))
}

/// The first value of a header. Upstream converts the map to headers first,
/// which works for any map that has the shape of headers, and for no other.
fn first_value<'v>(
    context: &mut Context<'_>,
    map: &Map<'v>,
    name: &Text<'_>,
) -> Result<Option<Text<'v>>, Fault> {
    let name = name.lossy();
    if let Map::Headers(headers) = map {
        return Ok(headers.get(&name).map(Text::Borrowed));
    }
    for (key, value) in map.entries() {
        context.meter.step(1)?;
        let is_header = match (&key, &value) {
            (Value::Text(_), Value::List(values)) => {
                values.iter().all(|value| matches!(value, Value::Text(_)))
            }
            _ => false,
        };
        if !is_header {
            let message = "failed to convert to http.Header";
            return Err(fault(ErrorClass::Conversion, message));
        }
    }
    Ok(match map.field(&headers::canonical(&name)) {
        Some(Value::List(values)) => first_text(&values),
        _ => None,
    })
}

fn first_text<'v>(values: &List<'v>) -> Option<Text<'v>> {
    match values.get(0) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Conversion, NoOverload};
    use crate::intercept::cel::testing::{check_failures, check_true, check_values};

    #[test]
    fn headers_are_found_in_any_spelling() {
        check_true(&[
            "header.match('x-github-event', 'push') && !header.match('X-GitHub-Event', 'ping')",
            "header.match('X-Absent', '')",
            "{'X-A': ['v', 'w']}.match('x-a', 'v')",
            "{}.canonical('x') == ''",
        ]);
        check_values(&[
            ("header.canonical('x-multi')", json!("one")),
            ("header['X-Multi']", json!(["one", "two"])),
            ("header.canonical('X-Absent')", json!("")),
        ]);
    }

    #[test]
    fn what_has_not_the_shape_of_headers_fails() {
        check_failures(&[
            ("body.match('a', 'b')", Conversion),
            ("{'X-A': 'v'}.canonical('x-a')", Conversion),
            ("header.canonical(body.count)", NoOverload),
            ("body.list.canonical('a')", NoOverload),
        ]);
    }
}
