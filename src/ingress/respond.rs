//! What the sender is told: the one table from outcomes to statuses, and the
//! bodies of answers.

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::catalog::Listener;
use crate::journal::JournalError;
use crate::model::ids::EventId;
use crate::model::verdict::{Reason, Verdict};
use crate::pipeline::{Accepted, Answer, Judgement};

use super::limits::{ANSWER_ROWS, RETRY_AFTER_SECONDS};

/// The status of a request that is not accepted. The table names every reason
/// that a request as a whole can have; a trigger's own reasons never decide.
#[expect(clippy::too_many_lines, reason = "a table with a line for each reason")]
pub(super) fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::BodyEmpty
        | Reason::BodyNotJson
        | Reason::BodyNotObject
        | Reason::FormWithoutPayload
        | Reason::BodyIncomplete => StatusCode::BAD_REQUEST,
        Reason::NotThisSender
        | Reason::SignatureMissing
        | Reason::SignatureMalformed
        | Reason::SignatureExpired
        | Reason::SignatureMismatch
        | Reason::TokenMissing
        | Reason::TokenMismatch
        | Reason::SecretComparisonFalse => StatusCode::UNAUTHORIZED,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::BodyTooLarge | Reason::BodyTooComplex => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::EncodingUnsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::Flood => StatusCode::TOO_MANY_REQUESTS,
        Reason::Overloaded
        | Reason::JournalUnavailable
        | Reason::DeferredQuota
        | Reason::RequestTimeout
        | Reason::NoTriggers
        | Reason::ConfigUnread => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Reason::SecretMissing
        | Reason::SecretKeyMissing
        | Reason::SecretEmpty
        | Reason::SecretsNotSynced
        | Reason::Ping
        | Reason::EventNotListed
        | Reason::ActionNotListed
        | Reason::RepositoryNotListed
        | Reason::OwnerNotListed
        | Reason::ProjectNotListed
        | Reason::BranchNotListed
        | Reason::TagNotListed
        | Reason::PathsNotListed
        | Reason::PathsIgnored
        | Reason::ActorNotListed
        | Reason::LabelNotListed
        | Reason::DraftMismatch
        | Reason::SenderUnknown
        | Reason::FilterFalse
        | Reason::CelFailed
        | Reason::CelExhausted
        | Reason::OverlayFailed
        | Reason::PayloadIncomplete
        | Reason::NotAnOwner
        | Reason::AwaitsInterceptor
        | Reason::InterceptorStopped
        | Reason::InterceptorUnavailable
        | Reason::InterceptorFailed
        | Reason::FormRefused
        | Reason::BodyNotForm
        | Reason::BadConfig
        | Reason::BindFailed
        | Reason::BindExhausted
        | Reason::DuplicateParam
        | Reason::RenderFailed
        | Reason::ManifestTooLarge
        | Reason::NameTaken
        | Reason::Forbidden
        | Reason::QuotaExceeded
        | Reason::KindNotServed
        | Reason::NamespaceMissing
        | Reason::ApiUnavailable
        | Reason::OutcomeUnknown
        | Reason::ManifestInvalid
        | Reason::SinkUnavailable
        | Reason::RetriesExhausted
        | Reason::RecordUnreadable
        | Reason::TriggerMissing
        | Reason::ConcurrencyLimited
        | Reason::RateLimited
        | Reason::AwaitsSlot
        | Reason::TriggerDeleted
        | Reason::Discarded
        | Reason::Erased
        | Reason::DeferredExpired => StatusCode::ACCEPTED,
    }
}

/// The reason that a failing journal gives the request.
pub(super) fn journal_reason(error: &JournalError) -> Reason {
    match error {
        JournalError::Busy => Reason::Overloaded,
        JournalError::InUse(_)
        | JournalError::Folder { .. }
        | JournalError::Damaged { .. }
        | JournalError::Unusable { .. }
        | JournalError::TooNew { .. }
        | JournalError::Remote(_)
        | JournalError::Lost
        | JournalError::OtherSeal
        | JournalError::Refused(_)
        | JournalError::Closed
        | JournalError::Write(_)
        | JournalError::Over(_)
        | JournalError::Cursor
        | JournalError::LogInUse
        | JournalError::Record { .. } => Reason::JournalUnavailable,
    }
}

/// The answer to a request that is refused as a whole. Strangers learn an id
/// that they can ask about, and nothing of the listener.
pub(super) fn refusal(event: EventId, reason: Reason) -> Response<Body> {
    let status = status(reason);
    let mut response = respond(status, &refusal_body(event, reason));
    let headers = response.headers_mut();
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        // What is left of the body would be taken for the next request.
        StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

fn refusal_body(event: EventId, reason: Reason) -> Value {
    let stranger = matches!(
        status(reason),
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS
    );
    if stranger {
        return json!({ "eventID": event });
    }
    json!({
        "eventID": event,
        "reason": reason.code(),
        "errorMessage": reason.meaning(),
    })
}

/// The answer to an event, and the reason where it is not accepted.
pub(super) fn answer(listener: &Listener, accepted: &Accepted) -> (Response<Body>, Option<Reason>) {
    let told = told(listener, accepted);
    let reason = match accepted.answer() {
        Answer::Unauthorised => Some(refused(accepted)),
        Answer::BadBody(reason) | Answer::Later(reason) => Some(reason),
        Answer::Accepted | Answer::Deferred => None,
    };
    let mut response = match (reason, told.body) {
        (_, Some(body)) => respond(told.status, &body),
        (Some(reason), None) => refusal(accepted.event, reason),
        (None, None) => respond(told.status, &Value::Null),
    };
    for (name, value) in told.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    (response, reason.filter(|_| !told.status.is_success()))
}

/// What the sender of an event is told.
#[derive(Debug)]
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// The body; that of a refusal where there is none.
    pub body: Option<Value>,
    /// Headers: those of the CloudEvent that the answer is.
    pub headers: Vec<(&'static str, String)>,
}

/// What the sender of an event is told.
pub fn told(listener: &Listener, accepted: &Accepted) -> Told {
    let (status, body) = match (listener.manner.answers_as_tekton, accepted.answer()) {
        // What could not be kept must be sent again, whatever Tekton says.
        (_, Answer::Later(reason)) if reason != Reason::NoTriggers => (status(reason), None),
        (true, _) => tekton_answer(listener, accepted),
        (false, _) => own_answer(listener, accepted),
    };
    Told {
        headers: match accepted.is_cloud_event && status == StatusCode::ACCEPTED {
            true => cloud_event(listener, accepted),
            false => Vec::new(),
        },
        status,
        body,
    }
}

/// Status and body of the answer to an event.
pub fn preview(listener: &Listener, accepted: &Accepted) -> (StatusCode, Value) {
    let told = told(listener, accepted);
    let body = told.body.unwrap_or_else(|| match accepted.answer() {
        Answer::Later(reason) | Answer::BadBody(reason) => refusal_body(accepted.event, reason),
        _ => json!({ "eventID": accepted.event }),
    });
    (told.status, body)
}

fn own_answer(listener: &Listener, accepted: &Accepted) -> (StatusCode, Option<Value>) {
    match accepted.answer() {
        Answer::Accepted => {
            let body = accepted_body(listener, accepted);
            (StatusCode::ACCEPTED, Some(Value::Object(body)))
        }
        Answer::Deferred => {
            let body = deferred_body(listener, accepted);
            (StatusCode::ACCEPTED, Some(Value::Object(body)))
        }
        Answer::Later(reason) => (status(reason), None),
        Answer::BadBody(reason) => {
            let mut body = accepted_body(listener, accepted);
            body.insert("reason".into(), reason.code().into());
            body.insert("errorMessage".into(), reason.meaning().into());
            (status(reason), Some(Value::Object(body)))
        }
        Answer::Unauthorised => (status(refused(accepted)), None),
    }
}

/// Tekton's answer: that there is such a listener and that the body is what it
/// takes, whatever came of the event.
fn tekton_answer(listener: &Listener, accepted: &Accepted) -> (StatusCode, Option<Value>) {
    // What is acted upon is not complained about: forms, unless they are read
    // as Tekton reads them.
    let is_taken = !listener.manner.rule.as_tekton
        && matches!(accepted.answer(), Answer::Accepted | Answer::Deferred);
    let Some(complaint) = accepted.complaint.as_ref().filter(|_| !is_taken) else {
        let body = tekton_body(listener, accepted);
        return (StatusCode::ACCEPTED, Some(Value::Object(body)));
    };
    let body = json!({
        "eventListener": listener.id.name,
        "namespace": listener.id.namespace,
        "eventListenerUID": "",
        "errorMessage": format!("Invalid event body format : {complaint}"),
    });
    (StatusCode::BAD_REQUEST, Some(body))
}

/// The headers of a CloudEvent that says that an event was accepted.
fn cloud_event(listener: &Listener, accepted: &Accepted) -> Vec<(&'static str, String)> {
    let (id, event) = (&listener.id, accepted.event);
    vec![
        ("ce-id", event.to_string()),
        ("ce-source", id.name.clone()),
        ("ce-specversion", "1.0".into()),
        (
            "ce-subject",
            format!("{}.{} accepted {event}", id.namespace, id.name),
        ),
        ("ce-type", "dev.tekton.event.triggers.accepted.v1".into()),
    ]
}

fn refused(accepted: &Accepted) -> Reason {
    let mut refused = accepted
        .judgements
        .iter()
        .filter(|j| j.verdict == Verdict::Refused);
    refused
        .find_map(|j| j.reason)
        .unwrap_or(Reason::NotThisSender)
}

/// Tekton's fields.
fn tekton_body(listener: &Listener, accepted: &Accepted) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("eventListener".into(), listener.id.name.clone().into());
    body.insert("namespace".into(), listener.id.namespace.clone().into());
    body.insert("eventListenerUID".into(), listener.uid.clone().into());
    body.insert("eventID".into(), accepted.event.to_string().into());
    body
}

/// The body of an answer to a sender whose event waits. Who is not known yet
/// hears nothing of the triggers.
fn deferred_body(listener: &Listener, accepted: &Accepted) -> Map<String, Value> {
    let is_known = accepted.judgements.iter().any(|j| j.verified);
    let mut body = match is_known {
        true => accepted_body(listener, accepted),
        false => tekton_body(listener, accepted),
    };
    body.insert("deferred".into(), true.into());
    body
}

/// The body of an answer to a sender who is known: Tekton's fields, and what
/// each trigger made of the event.
fn accepted_body(listener: &Listener, accepted: &Accepted) -> Map<String, Value> {
    let mut body = tekton_body(listener, accepted);
    let rows = accepted.judgements.iter().take(ANSWER_ROWS).map(row);
    body.insert("triggers".into(), rows.collect());
    if accepted.judgements.len() > ANSWER_ROWS {
        body.insert("verdicts".into(), counts(&accepted.judgements).into());
    }
    if accepted.is_duplicate() {
        body.insert("duplicate".into(), true.into());
        let advice = "accepted before under this delivery id; to run it again, send it under a \
                      new id, or put `tripline.dev/redelivery: rerun` on the trigger";
        body.insert("message".into(), advice.into());
    }
    body
}

fn row(judgement: &Judgement) -> Value {
    let mut row = Map::new();
    row.insert("name".into(), judgement.name.clone().into());
    row.insert("verdict".into(), judgement.verdict.as_str().into());
    if let Some(reason) = judgement.reason {
        row.insert("reason".into(), reason.code().into());
    }
    if let Some(earlier) = judgement.earlier() {
        row.insert("duplicate".into(), true.into());
        row.insert("eventID".into(), earlier.event.to_string().into());
        row.insert("state".into(), earlier.state.as_str().into());
        if let Some(reason) = earlier.reason {
            row.insert("reason".into(), reason.code().into());
        }
    }
    Value::Object(row)
}

fn counts(judgements: &[Judgement]) -> Map<String, Value> {
    Verdict::ALL
        .into_iter()
        .map(|verdict| {
            let count = judgements.iter().filter(|j| j.verdict == verdict).count();
            (verdict.as_str().to_owned(), count)
        })
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| (verdict, count.into()))
        .collect()
}

fn respond(status: StatusCode, body: &Value) -> Response<Body> {
    let mut text = body.to_string();
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_a_refusal_says_what_its_sender_may_know() {
        let event = EventId(uuid::Uuid::from_u128(1));
        for &reason in Reason::ALL {
            let status = status(reason);
            if status == StatusCode::ACCEPTED {
                continue;
            }
            let response = refusal(event, reason);
            assert_eq!(response.status(), status);
            let retry = response.headers().contains_key(RETRY_AFTER);
            let busy = [
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::TOO_MANY_REQUESTS,
            ];
            assert_eq!(retry, busy.contains(&status), "{reason}");
        }
    }

    #[test]
    fn a_filtered_event_is_never_an_error() {
        for reason in [
            Reason::Ping,
            Reason::EventNotListed,
            Reason::RepositoryNotListed,
            Reason::FilterFalse,
            Reason::CelFailed,
        ] {
            assert_eq!(status(reason), StatusCode::ACCEPTED);
        }
    }
}
