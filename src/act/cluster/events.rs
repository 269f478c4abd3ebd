//! Kubernetes Events: what became of triggers, for `kubectl describe` and
//! `kubectl get events`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::model::ids::ListenerId;

use super::LONGEST;
use super::error::unreachable_api;

/// Notices that wait to be published. Beyond, they are left out: metrics count
/// all, and the log has all.
const WAITING: usize = 256;

/// How often the same thing is said of the same trigger.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is remembered of what was said.
const REMEMBERED: usize = 10_000;

/// What Events are about: its version and kind.
const LISTENER: (&str, &str) = ("triggers.tekton.dev/v1beta1", "EventListener");

/// Longest note, in bytes: the API's own limit is 1 kB.
const NOTE_BYTES: usize = 1000;

/// What became of a delivery.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The listener that the event came to.
    pub listener: ListenerId,
    /// The listener's identity by the API server's count.
    pub uid: String,
    /// The trigger's path in it.
    pub trigger: String,
    /// Whether it was done.
    pub is_done: bool,
    /// The reason's code, or the state.
    pub what: &'static str,
    /// What happened, in a sentence.
    pub note: String,
}

/// Whom to tell.
pub type Notices = mpsc::Sender<Notice>;

/// A channel for notices.
pub fn channel() -> (Notices, mpsc::Receiver<Notice>) {
    mpsc::channel(WAITING)
}

/// Publishes notices as Events of their EventListeners until nobody is left
/// who could send one. `failed` hears of failures.
pub async fn publish(
    client: Client,
    mut notices: mpsc::Receiver<Notice>,
    failed: impl Fn(&kube::Error),
) {
    let recorder = Recorder::new(client, Reporter::from("tripline"));
    let mut said: HashMap<(String, &'static str), Instant> = HashMap::new();
    while let Some(notice) = notices.recv().await {
        let key = (
            format!("{}#{}", notice.listener, notice.trigger),
            notice.what,
        );
        if said.get(&key).is_some_and(|at| at.elapsed() < AGAIN_AFTER) {
            continue;
        }
        if said.len() >= REMEMBERED {
            said.retain(|_, at| at.elapsed() < AGAIN_AFTER);
        }
        said.insert(key, Instant::now());
        let event = event(&notice);
        let about = ObjectReference {
            api_version: Some(LISTENER.0.into()),
            kind: Some(LISTENER.1.into()),
            namespace: Some(notice.listener.namespace.clone()),
            name: Some(notice.listener.name.clone()),
            uid: Some(notice.uid).filter(|uid| !uid.is_empty()),
            // Those of other triggers are Events of their own.
            field_path: Some(notice.trigger),
            ..ObjectReference::default()
        };
        match timeout(LONGEST, recorder.publish(&event, &about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed(&error),
            Err(_) => failed(&unreachable_api()),
        }
    }
}

fn event(notice: &Notice) -> Event {
    let mut note = format!("{}: {}", notice.trigger, notice.note);
    if note.len() > NOTE_BYTES {
        let end = (0..=NOTE_BYTES).rev().find(|at| note.is_char_boundary(*at));
        note.truncate(end.unwrap_or_default());
    }
    let (type_, reason) = match notice.is_done {
        true => (EventType::Normal, "TriggerSucceeded".to_owned()),
        false => (EventType::Warning, format!("Trigger{}", camel(notice.what))),
    };
    Event {
        type_,
        reason,
        note: Some(note),
        action: "PerformTrigger".into(),
        secondary: None,
    }
}

/// `retries_exhausted` as `RetriesExhausted`.
fn camel(code: &str) -> String {
    let words = code.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_became_of_which_trigger() {
        let notice = |is_done, note: &str| Notice {
            listener: ListenerId {
                namespace: "ci".into(),
                name: "hook".into(),
            },
            uid: String::new(),
            trigger: "ci/hook#push".into(),
            is_done,
            what: "retries_exhausted",
            note: note.into(),
        };
        let failed = event(&notice(false, &"\u{e9}".repeat(1000)));
        assert_eq!(failed.reason, "TriggerRetriesExhausted");
        let note = failed.note.unwrap();
        assert!(note.starts_with("ci/hook#push: ") && note.len() <= NOTE_BYTES);
        assert_eq!(event(&notice(true, "")).reason, "TriggerSucceeded");
    }
}
