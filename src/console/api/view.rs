//! How things of the journal look in answers.

use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::journal::Attempt;
use crate::journal::history::{
    DeliveryRecord, DeliverySummary, EventSummary, Page, RequestRecord, WaitingSummary,
};
use crate::model::headers::Headers;
use crate::model::manifest::Manifest;

/// Characters of a hash that stand for a value of a Secret.
const HASH_DIGITS: usize = 16;

/// Bytes of recorded things that one answer shows.
const SHOWN_BYTES: usize = 4 * 1024 * 1024;

/// What an answer has still room for.
pub(super) struct Room(usize);

impl Room {
    /// An answer with nothing in it yet.
    pub(super) fn new() -> Self {
        Self(SHOWN_BYTES)
    }

    /// Whether so many bytes fit; they are taken then.
    fn takes(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// The value, or a note that it does not fit.
    fn show(&mut self, value: Value) -> Value {
        match self.takes(value.to_string().len()) {
            true => value,
            false => json!({ "omitted": "the answer would be too large" }),
        }
    }
}

/// A time as RFC 3339 has it.
pub(super) fn time(ms: i64) -> Value {
    let time = Timestamp::from_millisecond(ms);
    time.map_or(Value::Null, |time| format!("{time:.3}").into())
}

fn time_of(ms: Option<i64>) -> Value {
    ms.map_or(Value::Null, time)
}

/// Part of a list.
pub(super) fn page<T>(page: &Page<T>, view: impl Fn(&T) -> Value) -> Value {
    let items: Vec<Value> = page.items.iter().map(view).collect();
    json!({ "items": items, "next": page.next })
}

/// An event in a list.
pub(super) fn event(event: &EventSummary) -> Value {
    let sender = event.sender.as_ref();
    json!({
        "id": event.id,
        "listener": event.listener.to_string(),
        "receivedAt": time(event.received_ms),
        "sender": sender.map(|sender| &sender.sender),
        "deliveryId": sender.map(|sender| &sender.delivery),
        "replayOf": event.replay_of,
        "erasedAt": time_of(event.erased_ms),
        "deliveries": event.deliveries.iter().map(delivery).collect::<Vec<_>>(),
    })
}

/// A delivery in a list.
pub(super) fn delivery(delivery: &DeliverySummary) -> Value {
    let progress = &delivery.progress;
    json!({
        "id": delivery.id,
        "event": delivery.event,
        "listener": delivery.listener.to_string(),
        "trigger": delivery.trigger,
        "state": progress.state,
        "reason": progress.reason,
        "attempts": progress.attempts,
        "acceptedAt": time(progress.accepted_ms),
        "updatedAt": time(delivery.updated_ms),
        "dueAt": match progress.state.is_final() {
            true => Value::Null,
            false => time(progress.due_ms),
        },
        "replayedBy": delivery.replayed_by,
    })
}

/// A delivery with all that is recorded of it.
pub(super) fn delivery_in_full(
    summary: &DeliverySummary,
    record: &DeliveryRecord,
    room: &mut Room,
) -> Value {
    let mut view = delivery(summary);
    let rendered = record.rendered.as_ref();
    if let Value::Object(view) = &mut view {
        view.insert("revision".into(), record.revision.0.clone().into());
        view.insert("findings".into(), room.show(json!(record.findings)));
        view.insert("extensions".into(), room.show(json!(record.extensions)));
        let params = room.show(json!(rendered.map(|r| &r.params)));
        view.insert("params".into(), params);
        view.insert(
            "manifests".into(),
            rendered.map_or(Value::Null, |rendered| manifests(&rendered.manifests, room)),
        );
        let made = record.attempts.iter().map(attempt);
        view.insert("attemptsMade".into(), room.show(made.collect()));
    }
    view
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "startedAt": time(attempt.started_ms),
        "durationMs": attempt.ended_ms.saturating_sub(attempt.started_ms),
        "reason": attempt.reason,
        "detail": attempt.detail,
    })
}

/// A request of an event with all that is recorded of it.
pub(super) fn request(record: &RequestRecord, with_body: bool, room: &mut Room) -> Value {
    let summary = &record.summary;
    let deliveries = summary.deliveries.iter().zip(&record.deliveries);
    let deliveries = deliveries.map(|(summary, record)| delivery_in_full(summary, record, room));
    let deliveries: Vec<Value> = deliveries.collect();
    let proven = record
        .proven
        .iter()
        .map(|proven| json!({ "verifier": proven.verifier, "secret": proven.secret.to_string() }));
    let request = &record.request;
    let mut view = event(summary);
    if let Value::Object(view) = &mut view {
        view.insert("method".into(), request.method.clone().into());
        view.insert("url".into(), request.url.clone().into());
        view.insert("headers".into(), headers(&request.headers));
        view.insert("proven".into(), proven.collect());
        view.insert("bodyBytes".into(), request.body.len().into());
        if with_body {
            body(view, &request.body, room);
        }
        view.insert("deliveries".into(), deliveries.into());
    }
    view
}

/// Text where it is text, else base64.
fn body(view: &mut Map<String, Value>, bytes: &[u8], room: &mut Room) {
    let (name, text) = match std::str::from_utf8(bytes) {
        Ok(text) => ("body", text.to_owned()),
        Err(_) => ("bodyBase64", BASE64.encode(bytes)),
    };
    view.insert(name.into(), room.show(text.into()));
}

fn headers(headers: &Headers) -> Value {
    let pairs = headers
        .iter()
        .map(|(name, values)| (name.to_owned(), json!(values)));
    Value::Object(pairs.collect())
}

/// The resources, as far as they fit.
fn manifests(manifests: &[Manifest], room: &mut Room) -> Value {
    let shown = manifests
        .iter()
        .map(|manifest| without_secrets(&manifest.0));
    shown.map(|manifest| room.show(manifest)).collect()
}

/// A resource; a Secret with hashes in the place of its data, wherever in the
/// resource it stands.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        Value::Object(members) => {
            let is_secret = members.get("kind").is_some_and(|kind| kind == "Secret");
            let members = members.iter().map(|(name, value)| {
                let is_data = is_secret && (name == "data" || name == "stringData");
                let value = match is_data {
                    true => hashed(value),
                    false => without_secrets(value),
                };
                (name.clone(), value)
            });
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

fn hashed(value: &Value) -> Value {
    let hash = |value: &Value| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let digest = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
        format!("sha256:{}", &digest[..HASH_DIGITS])
    };
    match value {
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| (name.clone(), hash(value).into()));
            Value::Object(members.collect())
        }
        other => hash(other).into(),
    }
}

/// An event that waits.
pub(super) fn waiting(waiting: &WaitingSummary) -> Value {
    json!({
        "event": waiting.event,
        "listener": waiting.listener.to_string(),
        "triggers": waiting.triggers,
        "verified": waiting.verified,
        "receivedAt": time(waiting.received_ms),
        "givenUpAt": time_of(waiting.given_up_ms),
        "bodyBytes": waiting.body_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_secret_is_shown_as_hashes_wherever_it_stands() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "s"},
                            "data": {"a": "Y2FuYXJ5"}, "stringData": {"b": "canary", "c": {"d": "canary"}}});
        let list = json!({"kind": "List", "items": [secret, {"kind": "ConfigMap", "data": {"a": "plain"}}]});
        let shown = without_secrets(&list);
        let text = shown.to_string();
        assert!(
            !text.contains("canary") && !text.contains("Y2FuYXJ5"),
            "{text}"
        );
        let data = &shown["items"][0]["data"]["a"];
        assert!(data.as_str().unwrap().starts_with("sha256:"));
        assert_eq!(shown["items"][0]["metadata"]["name"], "s");
        assert_eq!(shown["items"][1]["data"]["a"], "plain");
    }

    #[test]
    fn a_body_that_is_no_text_is_base64() {
        let mut view = Map::new();
        body(&mut view, &[0xff, 0], &mut Room::new());
        assert_eq!(view["bodyBase64"], "/wA=");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_said_to_be() {
        let mut room = Room(10);
        assert_eq!(room.show(json!("12345")), "12345");
        assert!(room.show(json!("12345")).get("omitted").is_some());
        assert_eq!(room.show(json!(1)), 1);
    }

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        assert_eq!(time(1_500), "1970-01-01T00:00:01.500Z");
    }
}
