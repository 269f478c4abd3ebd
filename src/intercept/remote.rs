//! Interceptors over the network that speak Tekton's protocol: an
//! InterceptorRequest is posted, an InterceptorResponse comes back.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::headers::Headers;
use crate::model::json;
use crate::model::limits::{BODY_PARSED_BYTES, EXTENSIONS_DEPTH};
use crate::model::problem::{field, kind_of};
use crate::model::verdict::Reason;

use super::calls::{CallError, Calls, Endpoint, Question, Reply};
use super::rest::{Halt, Placed};

/// Most bytes that a parsed response may take up.
const RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// How long an interceptor may take.
const WITHIN: Duration = Duration::from_secs(30);

/// How much of what it says is written down, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// The codes of gRPC, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// An interceptor somewhere else.
#[derive(Debug)]
pub(super) struct Remote {
    endpoint: Endpoint,
    params: Map<String, Value>,
}

impl Remote {
    pub(super) fn new(endpoint: Endpoint, params: Map<String, Value>) -> Self {
        Self { endpoint, params }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks it; what it adds is merged into `extensions` key by key.
    pub(super) async fn ask(
        &self,
        event: &VerifiedEvent,
        placed: &Placed<'_>,
        calls: &dyn Calls,
        extensions: &mut Map<String, Value>,
    ) -> Result<(), Halt> {
        let request = self.request(event, placed, extensions).to_string();
        let mut headers = Headers::new();
        headers.append("Content-Type", "application/json");
        let question = Question {
            headers: &headers,
            body: request.into(),
            within: WITHIN,
        };
        let reply = calls.post(&self.endpoint, question).await?;
        let answer = Answer::read(&reply).map_err(Halt::Unanswered)?;
        if !answer.goes_on {
            let said = answer.message.as_deref().unwrap_or("it gave no reason");
            let said = &said[..said.floor_char_boundary(LONGEST_MESSAGE)];
            let detail = format!("code {}: {said}", answer.code);
            let stop = Stop::filtered(Reason::InterceptorStopped, detail);
            return Err(Halt::Stopped(stop));
        }
        let mut all = extensions.clone();
        all.extend(answer.extensions);
        if !json::fits(&all, EXTENSIONS_DEPTH) {
            let message = format!("its extensions are nested deeper than {EXTENSIONS_DEPTH}");
            return Err(Halt::Unanswered(CallError::lasting(message)));
        }
        *extensions = all;
        Ok(())
    }

    fn request(
        &self,
        event: &VerifiedEvent,
        placed: &Placed<'_>,
        extensions: &Map<String, Value>,
    ) -> Value {
        let mut request = Map::new();
        let body = body_text(event);
        if !body.is_empty() {
            request.insert("body".into(), String::from_utf8_lossy(&body).into());
        }
        let header: Map<String, Value> = event
            .headers()
            .iter()
            .map(|(name, values)| (name.to_owned(), json!(values)))
            .collect();
        if !header.is_empty() {
            request.insert("header".into(), header.into());
        }
        if !extensions.is_empty() {
            request.insert("extensions".into(), extensions.clone().into());
        }
        if !self.params.is_empty() {
            request.insert("interceptor_params".into(), self.params.clone().into());
        }
        let context = json!({
            "event_url": event.url(),
            "event_id": placed.event_id,
            "trigger_id": placed.trigger,
        });
        request.insert("context".into(), context);
        request.into()
    }
}

/// The body as others are given it: as it came, so that they can verify it
/// themselves; a form whose fields are the event as JSON.
pub(super) fn body_text(event: &VerifiedEvent) -> Cow<'_, [u8]> {
    let raw = event.raw_body();
    match event.body() {
        Ok(fields @ Value::Object(_)) if !event.rule().validated && !is_json(event, fields) => {
            Cow::Owned(fields.to_string().into_bytes())
        }
        _ => Cow::Borrowed(raw),
    }
}

/// Whether the body is the JSON of an object, and not a form with its fields.
fn is_json(event: &VerifiedEvent, fields: &Value) -> bool {
    let raw = event.raw_body();
    if !raw.trim_ascii_start().starts_with(b"{") {
        return false;
    }
    // To Tekton a form is one even where it looks like JSON.
    if !event.rule().as_tekton || !event.is_form() {
        return true;
    }
    json::read(raw, BODY_PARSED_BYTES).is_ok_and(|read| read.value == *fields)
}

/// What an interceptor has answered.
struct Answer {
    goes_on: bool,
    extensions: Map<String, Value>,
    code: u64,
    message: Option<String>,
}

impl Answer {
    fn read(reply: &Reply) -> Result<Self, CallError> {
        if reply.status != 200 {
            return Err(CallError::status(reply));
        }
        let wrong = |what: &str| CallError::lasting(format!("its answer {what}"));
        let read = json::read(&reply.body, RESPONSE_BYTES);
        let Ok(Value::Object(answer)) = read.map(|read| read.value) else {
            return Err(wrong("is no JSON object"));
        };
        let extensions = match field(&answer, "extensions") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(extensions)) => extensions.clone(),
            Some(other) => {
                let what = format!("has {} for `extensions`", kind_of(other));
                return Err(wrong(&what));
            }
        };
        let goes_on = match field(&answer, "continue") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(goes_on)) => *goes_on,
            Some(other) => {
                let what = format!("has {} for `continue`", kind_of(other));
                return Err(wrong(&what));
            }
        };
        let (code, message) = match field(&answer, "status") {
            None | Some(Value::Null) => (0, None),
            Some(Value::Object(status)) => (
                code(field(status, "code")).ok_or_else(|| wrong("has an invalid `status.code`"))?,
                message(field(status, "message"))
                    .ok_or_else(|| wrong("has no text for `status.message`"))?,
            ),
            Some(other) => {
                let what = format!("has {} for `status`", kind_of(other));
                return Err(wrong(&what));
            }
        };
        Ok(Self {
            goes_on,
            extensions,
            code,
            message,
        })
    }
}

/// A code by its number or name.
fn code(value: Option<&Value>) -> Option<u64> {
    match value {
        None | Some(Value::Null) => Some(0),
        Some(Value::Number(number)) => {
            let known = |code: &u64| *code < CODES.len() as u64;
            number.as_u64().filter(known)
        }
        Some(Value::String(name)) => {
            let at = CODES.iter().position(|code| code == name)?;
            u64::try_from(at).ok()
        }
        Some(_) => None,
    }
}

fn message(value: Option<&Value>) -> Option<Option<String>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<Answer, CallError> {
        Answer::read(&Reply {
            status,
            headers: Headers::new(),
            body: body.to_owned().into(),
        })
    }

    #[test]
    fn an_answer_says_whether_to_go_on_and_nothing_means_no() {
        assert!(read(200, r#"{"continue": true}"#).unwrap().goes_on);
        assert!(
            read(200, r#"{"CONTINUE": true, "extra": 1}"#)
                .unwrap()
                .goes_on
        );
        let stopped = read(200, r#"{"status": {"code": "NOT_FOUND", "message": "no"}}"#).unwrap();
        assert!(!stopped.goes_on);
        assert_eq!((stopped.code, stopped.message.as_deref()), (5, Some("no")));
        assert_eq!(read(200, r#"{"status": {"code": null}}"#).unwrap().code, 0);
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_only_some_may_pass() {
        for (status, body, may_pass) in [
            (200, "", false),
            (200, "nope", false),
            (200, "[]", false),
            (200, r#"{"extensions": [1]}"#, false),
            (200, r#"{"continue": "yes"}"#, false),
            (200, r#"{"status": {"code": 17}}"#, false),
            (200, r#"{"status": {"code": "bogus"}}"#, false),
            (200, r#"{"status": {"code": 1.5}}"#, false),
            (202, r#"{"continue": true}"#, false),
            (404, "", false),
            (429, "", true),
            (503, "", true),
        ] {
            let error = read(status, body).err().unwrap();
            assert_eq!(error.may_pass, may_pass, "{status} {body}: {error}");
        }
    }
}
