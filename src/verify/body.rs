//! The body as JSON, once somebody has proved that it is genuine.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::model::event::RawEvent;
use crate::model::json::{self, ReadError, Weighed};
use crate::model::limits::{BODY_GROWTH, BODY_GROWTH_ALWAYS, BODY_PARSED_BYTES};
use crate::model::verdict::Reason;

/// Header that forms of Slack have, whose fields are the event.
const FORM_OF_FIELDS: &str = "X-Slack-Signature";

/// About how many bytes a field of a form takes up in memory besides its text.
const FIELD_BYTES: usize = 256;

/// Parses the body: JSON, or a form whose field `payload` holds JSON, as
/// GitHub sends on request. An object or the literal `null`, as Tekton's
/// payload validation has it. What begins like an object is one, whatever its
/// type is said to be: many a client says that everything is a form. Other
/// forms are maps from names to lists of texts, where their sender means that
/// or nobody validates.
pub(super) fn parse(raw: &RawEvent) -> Result<Weighed, Reason> {
    let rule = raw.rule;
    if rule.as_tekton {
        return match rule.validated {
            true => object(&raw.body),
            false => tekton_form(raw).unwrap_or_else(|| value(&raw.body)),
        };
    }
    if is_form(raw) && !raw.body.trim_ascii_start().starts_with(b"{") {
        let mut fields = form_urlencoded::parse(&raw.body);
        if let Some((_, payload)) = fields.find(|(name, _)| name == "payload") {
            return object(payload.as_bytes());
        }
        let is_wanted = !rule.validated || raw.headers.get(FORM_OF_FIELDS).is_some();
        return match is_wanted {
            true => fields_of(form_urlencoded::parse(&raw.body), raw.body.len()),
            false => Err(Reason::FormWithoutPayload),
        };
    }
    match rule.validated {
        true => object(&raw.body),
        false => value(&raw.body),
    }
}

fn object(bytes: &[u8]) -> Result<Weighed, Reason> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Reason::BodyEmpty);
    }
    let weighed = value(bytes)?;
    match &weighed.value {
        Value::Object(_) | Value::Null => Ok(weighed),
        _ => Err(Reason::BodyNotObject),
    }
}

/// Any JSON; nothing at all is `null`.
fn value(bytes: &[u8]) -> Result<Weighed, Reason> {
    if bytes.is_empty() {
        let value = Value::Null;
        return Ok(Weighed { value, bytes: 0 });
    }
    let read = json::read(bytes, most_bytes(bytes.len()));
    read.map_err(|error| match error {
        ReadError::Syntax(_) => Reason::BodyNotJson,
        ReadError::TooLarge => Reason::BodyTooComplex,
    })
}

fn most_bytes(length: usize) -> usize {
    let most_bytes = length.saturating_mul(BODY_GROWTH) + BODY_GROWTH_ALWAYS;
    most_bytes.min(BODY_PARSED_BYTES)
}

/// A form as Tekton Triggers makes JSON of it: of more than one field, and of
/// this very content type.
fn tekton_form(raw: &RawEvent) -> Option<Result<Weighed, Reason>> {
    if raw.headers.get("Content-Type") != Some(FORM) {
        return None;
    }
    // Go drops pairs that it cannot read.
    let is_read = |pair: &&[u8]| !pair.contains(&b';') && has_sound_escapes(pair);
    let pairs: Vec<&[u8]> = raw.body.split(|byte| *byte == b'&').collect();
    let kept = pairs
        .into_iter()
        .filter(|pair| !pair.is_empty() && is_read(pair));
    let kept = kept.collect::<Vec<_>>().join(&b'&');
    let mut names = form_urlencoded::parse(&kept).map(|(name, _)| name);
    let first = names.next()?;
    names.any(|name| name != first).then(|| {
        let fields = form_urlencoded::parse(&kept);
        fields_of(fields, raw.body.len())
    })
}

/// Whether every `%` stands before two hex digits.
fn has_sound_escapes(pair: &[u8]) -> bool {
    let mut escapes = pair.split(|byte| *byte == b'%').skip(1);
    escapes.all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
}

fn fields_of<'f>(
    fields: impl Iterator<Item = (Cow<'f, str>, Cow<'f, str>)>,
    length: usize,
) -> Result<Weighed, Reason> {
    let mut map = Map::new();
    let mut bytes = 0;
    for (name, text) in fields {
        bytes += FIELD_BYTES + name.len() + text.len();
        if bytes > most_bytes(length) {
            return Err(Reason::BodyTooComplex);
        }
        let texts = map.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(texts) = texts {
            texts.push(Value::String(text.into_owned()));
        }
    }
    let value = Value::Object(map);
    Ok(Weighed { value, bytes })
}

const FORM: &str = "application/x-www-form-urlencoded";

fn is_form(raw: &RawEvent) -> bool {
    let content_type = raw.headers.get("Content-Type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(FORM)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::event::BodyRule;
    use crate::model::headers::Headers;

    fn parse_as(content_type: &str, body: &[u8]) -> Result<Value, Reason> {
        parse_by(BodyRule::default(), content_type, body)
    }

    fn parse_by(rule: BodyRule, content_type: &str, body: &[u8]) -> Result<Value, Reason> {
        let mut headers = Headers::new();
        headers.append("Content-Type", content_type);
        let weighed = parse(&RawEvent {
            method: "POST".into(),
            url: "/".into(),
            headers,
            body: body.to_vec().into(),
            rule,
        });
        weighed.map(|weighed| weighed.value)
    }

    #[test]
    fn without_validation_any_json_is_a_body_and_a_form_is_its_fields() {
        for as_tekton in [false, true] {
            let rule = BodyRule {
                validated: false,
                as_tekton,
            };
            let json = |body: &[u8]| parse_by(rule, "application/json", body);
            assert_eq!(json(b""), Ok(Value::Null));
            assert_eq!(json(b"[1]"), Ok(json!([1])));
            assert_eq!(json(b"\"s\""), Ok(json!("s")));
            assert_eq!(json(b"nope"), Err(Reason::BodyNotJson));
            let form = |body: &[u8]| parse_by(rule, FORM, body);
            let fields = json!({"a": ["1", "2"], "b": ["x y"]});
            assert_eq!(form(b"a=1&b=x+y&a=2"), Ok(fields));
        }
    }

    #[test]
    fn tekton_makes_json_of_forms_of_several_sound_fields_only() {
        let rule = BodyRule {
            validated: false,
            as_tekton: true,
        };
        for (content_type, body) in [
            (FORM, "a=1"),
            (FORM, "a=1&a=2"),
            (FORM, "a=1;b=2&c=3"),
            (FORM, "a=%zz&c=3"),
            (
                "application/x-www-form-urlencoded; charset=utf-8",
                "a=1&b=2",
            ),
        ] {
            let read = parse_by(rule, content_type, body.as_bytes());
            assert_eq!(read, Err(Reason::BodyNotJson), "{content_type} {body}");
        }
        let validated = BodyRule {
            validated: true,
            ..rule
        };
        let read = parse_by(validated, FORM, b"payload=%7B%7D");
        assert_eq!(read, Err(Reason::BodyNotJson));
    }

    #[test]
    fn a_form_of_very_many_fields_is_refused() {
        let rule = BodyRule {
            validated: false,
            as_tekton: false,
        };
        let many = "a&".repeat(100_000);
        let read = parse_by(rule, FORM, many.as_bytes());
        assert_eq!(read.err(), Some(Reason::BodyTooComplex));
    }

    #[test]
    fn a_body_of_very_many_values_is_refused_and_a_usual_one_is_far_from_that() {
        let many = format!("{{\"a\":[{}{{\"\":0}}]}}", "{\"\":0},".repeat(200_000));
        assert_eq!(parse_as("", many.as_bytes()), Err(Reason::BodyTooComplex));
        let commit = r#"{"id":"5b5cd8d06a","message":"a","author":{"name":"x","email":"x@y"},"added":["a"]}"#;
        let usual = format!(
            "{{\"commits\":[{}{commit}]}}",
            format!("{commit},").repeat(1000)
        );
        let read = json::read(usual.as_bytes(), usize::MAX).unwrap();
        let growth = read.bytes / usual.len();
        assert!(growth * 2 < BODY_GROWTH, "it grows {growth} times");
    }

    #[test]
    fn json_that_is_called_a_form_is_json() {
        let called_form = |body: &[u8]| parse_as("application/x-www-form-urlencoded", body);
        assert_eq!(called_form(b" {\"a\":1}"), Ok(json!({"a": 1})));
        assert_eq!(called_form(b"payload=%7B%7D"), Ok(json!({})));
        assert_eq!(called_form(b"{\"a\""), Err(Reason::BodyNotJson));
        assert_eq!(called_form(b"a=b"), Err(Reason::FormWithoutPayload));
    }

    #[test]
    fn objects_and_null_are_bodies_and_nothing_else_is() {
        let json = |body: &str| parse_as("application/json", body.as_bytes());
        assert_eq!(json(r#"{"a":1}"#), Ok(json!({"a": 1})));
        assert_eq!(json("null"), Ok(Value::Null));
        for wrong in ["[]", "1", "\"text\"", "true"] {
            assert_eq!(json(wrong), Err(Reason::BodyNotObject), "{wrong}");
        }
        for wrong in ["", " \r\n"] {
            assert_eq!(json(wrong), Err(Reason::BodyEmpty), "{wrong:?}");
        }
        for wrong in ["{", "<xml/>", "{\"a\":1}x"] {
            assert_eq!(json(wrong), Err(Reason::BodyNotJson), "{wrong}");
        }
    }

    #[test]
    fn a_form_holds_its_json_in_the_field_payload() {
        let form = |body: &str| {
            parse_as(
                "Application/X-WWW-Form-Urlencoded; charset=utf-8",
                body.as_bytes(),
            )
        };
        assert_eq!(
            form("x=1&payload=%7B%22a%22%3A%22%26%22%7D"),
            Ok(json!({"a": "&"}))
        );
        assert_eq!(form("x=1"), Err(Reason::FormWithoutPayload));
        assert_eq!(form("payload=nope"), Err(Reason::BodyNotJson));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        let body = b"{\"a\":\"\xff\"}";
        assert_eq!(parse_as("", body), Ok(json!({"a": "\u{fffd}"})));
    }
}
