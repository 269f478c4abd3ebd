//! The body as JSON, once somebody has proved that it is genuine.

use serde_json::Value;

use crate::model::event::RawEvent;
use crate::model::json::{self, ReadError, Weighed};
use crate::model::limits::{BODY_GROWTH, BODY_GROWTH_ALWAYS, BODY_PARSED_BYTES};
use crate::model::verdict::Reason;

/// Parses the body: JSON, or a form whose field `payload` holds JSON, as
/// GitHub sends on request. An object or the literal `null`, as Tekton's
/// payload validation has it. What begins like an object is one, whatever its
/// type is said to be: many a client says that everything is a form.
pub(super) fn parse(raw: &RawEvent) -> Result<Weighed, Reason> {
    if is_form(raw) && !raw.body.trim_ascii_start().starts_with(b"{") {
        let mut fields = form_urlencoded::parse(&raw.body);
        let payload = fields.find(|(name, _)| name == "payload");
        let (_, payload) = payload.ok_or(Reason::FormWithoutPayload)?;
        return object(payload.as_bytes());
    }
    object(&raw.body)
}

fn object(bytes: &[u8]) -> Result<Weighed, Reason> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Reason::BodyEmpty);
    }
    let most_bytes = bytes.len().saturating_mul(BODY_GROWTH) + BODY_GROWTH_ALWAYS;
    let read = json::read(bytes, most_bytes.min(BODY_PARSED_BYTES));
    let weighed = read.map_err(|error| match error {
        ReadError::Syntax(_) => Reason::BodyNotJson,
        ReadError::TooLarge => Reason::BodyTooComplex,
    })?;
    match &weighed.value {
        Value::Object(_) | Value::Null => Ok(weighed),
        _ => Err(Reason::BodyNotObject),
    }
}

fn is_form(raw: &RawEvent) -> bool {
    let content_type = raw.headers.get("Content-Type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::headers::Headers;

    fn parse_as(content_type: &str, body: &[u8]) -> Result<Value, Reason> {
        let mut headers = Headers::new();
        headers.append("Content-Type", content_type);
        let weighed = parse(&RawEvent {
            method: "POST".into(),
            url: "/".into(),
            headers,
            body: body.to_vec().into(),
        });
        weighed.map(|weighed| weighed.value)
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
