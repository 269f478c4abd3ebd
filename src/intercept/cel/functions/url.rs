//! `parseURL`: the parts of a reference.

use super::arguments::string;
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::{Key, Map, Text, Value};
use crate::model::url::{Url, parse_query};

pub(super) const TABLE: &[Row] = &[row("parseURL", "string.() -> map(string, dyn)", parse)];

fn parse<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let text = string(args, 0)?;
    context.meter.step(text.len() as u64)?;
    // The parts and the two maps of the query repeat the text a few times.
    context.meter.build(text.len().saturating_mul(8))?;
    let url = Url::parse(&text).map_err(|reason| {
        let message = format!("failed to decode in parseURL: {reason}");
        fault(ErrorClass::Decode, message)
    })?;
    Ok(into_value(url))
}

fn into_value<'v>(url: Url) -> Value<'v> {
    let query = parse_query(&url.raw_query);
    let strings = query.iter().map(|(name, values)| {
        let values = values.iter().map(|value| bytes_value(value.clone()));
        (name.clone(), Value::list(values.collect()))
    });
    let joined = query
        .iter()
        .map(|(name, values)| (name.clone(), bytes_value(values.join(&b','))));
    let mut fields = vec![
        ("scheme", Value::text(url.scheme)),
        ("host", bytes_value(url.host)),
        ("path", bytes_value(url.path)),
        ("rawQuery", Value::text(url.raw_query.as_str())),
        ("fragment", bytes_value(url.fragment)),
        ("queryStrings", map_value(strings)),
        ("query", map_value(joined)),
    ];
    if let Some((name, password)) = url.auth {
        let auth = [
            (b"username".to_vec(), bytes_value(name)),
            (b"password".to_vec(), bytes_value(password)),
        ];
        fields.push(("auth", map_value(auth)));
    }
    let fields = fields
        .into_iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value));
    map_value(fields)
}

fn bytes_value<'v>(bytes: Vec<u8>) -> Value<'v> {
    Value::Text(Text::of_bytes(bytes))
}

fn map_value<'v>(entries: impl IntoIterator<Item = (Vec<u8>, Value<'v>)>) -> Value<'v> {
    let entries = entries
        .into_iter()
        .map(|(name, value)| (Key::Text(Text::of_bytes(name)), value));
    Value::Map(Map::of_entries(entries.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::intercept::cel::testing::{check_failures, check_values};

    #[test]
    fn the_parts_have_the_names_that_upstream_gives_them() {
        check_values(&[
            (
                "'https://u:p%40@h:1/a%20b?x=1&x=2#f'.parseURL()",
                json!({
                    "scheme": "https",
                    "host": "h:1",
                    "path": "/a b",
                    "rawQuery": "x=1&x=2",
                    "fragment": "f",
                    "queryStrings": {"x": ["1", "2"]},
                    "query": {"x": "1,2"},
                    "auth": {"username": "u", "password": "p@"},
                }),
            ),
            ("requestURL.parseURL().query.x", json!("1,2")),
            ("has('http://h'.parseURL().auth)", json!(false)),
            ("size('/%ff'.parseURL().path)", json!(2)),
        ]);
        check_failures(&[("'http://[::1'.parseURL()", ErrorClass::Decode)]);
    }
}
