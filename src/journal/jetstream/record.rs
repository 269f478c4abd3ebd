//! What records hold.
//!
//! A record with a body is its head as JSON, preceded by that one's length in
//! four bytes, and then the body as it came: nothing has to be escaped.

use bytes::{Buf, Bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::journal::progress::Progress;
use crate::journal::{Attempt, JournalError, NewDelivery, NewEvent, Rendered};
use crate::model::event::Proven;
use crate::model::finding::Finding;
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryKey, EventId, ListenerId, Revision, TriggerId};
use crate::model::manifest::Manifest;
use crate::model::params::Params;
use crate::model::verdict::{DeliveryState, Reason};

/// Attempts that are kept of a delivery: the first one and the last ones.
const ATTEMPTS_KEPT: usize = 50;

/// How far a clock must have been set back to count: less than this is between
/// two machines, too.
const CLOCK_STEP_MS: i64 = 60 * 1000;

/// What was received.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EventHead {
    pub id: EventId,
    pub replay_of: Option<EventId>,
    pub listener: ListenerId,
    pub received_ms: i64,
    pub method: String,
    pub url: String,
    pub headers: Headers,
    pub proven: Vec<Proven>,
    /// Who sent it and which id he gave it, where he gives one.
    pub sender: Option<(String, String)>,
}

/// What was received, and what it was to cause. Its body is the event's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EventRecord {
    pub event: EventHead,
    pub accepted_ms: i64,
    pub deliveries: Vec<Caused>,
    /// When its payload was erased.
    #[serde(default)]
    pub erased_ms: Option<i64>,
}

/// A delivery that an event was to cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Caused {
    pub trigger: TriggerId,
    pub revision: Revision,
}

/// A key, and for how long in milliseconds it is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Key {
    pub key: DeliveryKey,
    pub window_ms: i64,
}

/// A delivery that is to be performed. Its body is the event's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeliveryHead {
    pub event: EventHead,
    pub key: Option<Key>,
    pub trigger: TriggerId,
    pub revision: Revision,
    pub accepted_ms: i64,
    pub extensions: Map<String, Value>,
    pub findings: Vec<Finding>,
    pub resume: Option<usize>,
    /// All headers, sealed, in base64.
    pub sealed: Option<String>,
    /// What it makes, where that was known already.
    pub making: Option<Making>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    state: DeliveryState,
    reason: Option<Reason>,
    attempts: u32,
    accepted_ms: i64,
    due_ms: i64,
    tried_ms: i64,
    unmended_ms: i64,
}

/// An attempt that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub started_ms: i64,
    pub ended_ms: i64,
    pub reason: Option<Reason>,
    pub detail: Option<String>,
    pub acted: usize,
}

/// What a delivery makes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Making {
    pub params: Params,
    pub manifests: Vec<Manifest>,
    pub as_of: Option<String>,
}

/// How far a delivery has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StateRecord {
    pub standing: Standing,
    pub making: Option<Making>,
    /// What interceptors found that were asked after the answer.
    pub findings: Vec<Finding>,
    pub attempts: Vec<Made>,
    /// How many of its resources are where they belong.
    pub acted: usize,
    /// How often the server had handed it over when its last attempt was
    /// recorded.
    pub delivered: i64,
}

/// What is known of a delivery, for whoever asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeliveryRecord {
    pub event: EventId,
    pub listener: ListenerId,
    pub trigger: TriggerId,
    pub revision: Revision,
    pub extensions: Map<String, Value>,
    pub findings: Vec<Finding>,
    pub resume: Option<usize>,
    pub updated_ms: i64,
    pub replayed_by: Option<EventId>,
    pub state: StateRecord,
}

/// A delivery that is known already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KnownDelivery {
    pub event: EventId,
    pub expires_ms: i64,
}

/// An event that waits. Its body is the event's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WaitingHead {
    pub event: EventId,
    pub listener: ListenerId,
    pub triggers: Vec<TriggerId>,
    pub verified: bool,
    pub proven: Vec<Proven>,
    pub received_ms: i64,
    pub method: String,
    pub url: String,
    /// All headers, sealed, in base64.
    pub sealed: String,
    pub given_up_ms: Option<i64>,
}

/// What has changed of a waiting event since it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WaitingState {
    pub triggers: Vec<TriggerId>,
    pub verified: bool,
    pub proven: Vec<Proven>,
}

impl EventHead {
    pub(super) fn of(event: &NewEvent, id: EventId, replay_of: Option<EventId>) -> Self {
        Self {
            id,
            replay_of: replay_of.or(event.replay_of),
            listener: event.listener.clone(),
            received_ms: event.received_ms,
            method: event.request.method.clone(),
            url: event.request.url.clone(),
            headers: event.request.headers.clone(),
            proven: event.proven.clone(),
            sender: event
                .key
                .as_ref()
                .and_then(|(key, _)| key.sender_and_id())
                .map(|(sender, id)| (sender.to_owned(), id.to_owned())),
        }
    }
}

impl DeliveryHead {
    pub(super) fn of(
        event: &NewEvent,
        head: EventHead,
        delivery: &NewDelivery,
        sealed: Option<String>,
    ) -> Self {
        let key = event.key.as_ref().map(|(key, window_ms)| Key {
            key: key.clone(),
            window_ms: *window_ms,
        });
        Self {
            event: head,
            key,
            trigger: delivery.trigger.clone(),
            revision: delivery.revision.clone(),
            accepted_ms: event.accepted_ms,
            extensions: delivery.extensions.clone(),
            findings: delivery.findings.clone(),
            resume: delivery.resume,
            sealed,
            making: delivery.rendered.as_deref().map(Making::from),
        }
    }
}

impl StateRecord {
    /// A delivery that nobody has begun.
    pub(super) fn new(accepted_ms: i64, making: Option<Making>) -> Self {
        Self {
            standing: Progress::accepted(accepted_ms).into(),
            making,
            findings: Vec::new(),
            attempts: Vec::new(),
            acted: 0,
            delivered: 0,
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.standing.into()
    }

    /// Where it stands for whoever is handed it for the time `delivered`:
    /// pending, where it was handed over since and nobody has recorded what
    /// came of that.
    pub(super) fn progress_at(&self, delivered: i64) -> Progress {
        let mut progress = self.progress();
        if progress.state == DeliveryState::Retrying && delivered != self.delivered + 1 {
            progress.state = DeliveryState::Pending;
        }
        progress
    }

    /// Whether an attempt is recorded, and where the delivery stands after it.
    pub(super) fn has(&self, attempt: &Attempt, progress: Progress) -> bool {
        let last = self.attempts.last();
        let is_last = last.is_some_and(|made| {
            made.started_ms == attempt.started_ms && made.ended_ms == attempt.ended_ms
        });
        is_last && self.progress() == progress
    }

    /// Whether it is to be left alone at `now_ms`. Its last attempt says where
    /// the clock was set back since.
    pub(super) fn is_early(&self, now_ms: i64) -> bool {
        let Progress { state, due_ms, .. } = self.progress();
        let last = self.attempts.last().map_or(now_ms, |made| made.ended_ms);
        let is_set_back = last > now_ms.saturating_add(CLOCK_STEP_MS);
        state == DeliveryState::Retrying && due_ms > now_ms && !is_set_back
    }

    pub(super) fn rendered(&self) -> Option<Rendered> {
        self.making.as_ref().map(|making| Rendered {
            params: making.params.clone(),
            manifests: making.manifests.clone(),
            as_of: making.as_of.clone(),
        })
    }

    /// With an attempt more, which was made when it had been handed over as
    /// often as `delivered` says.
    pub(super) fn after(&self, attempt: &Attempt, progress: Progress, delivered: i64) -> Self {
        let mut state = self.clone();
        state.standing = progress.into();
        state.acted = state.acted.max(attempt.acted);
        state.delivered = delivered;
        if state.attempts.len() == ATTEMPTS_KEPT {
            state.attempts.remove(1);
        }
        state.attempts.push(Made {
            started_ms: attempt.started_ms,
            ended_ms: attempt.ended_ms,
            reason: attempt.reason,
            detail: attempt.detail.clone(),
            acted: attempt.acted,
        });
        state
    }
}

impl DeliveryRecord {
    /// A delivery that nobody has ended an attempt of.
    pub(super) fn not_begun(event: &EventRecord, caused: &Caused) -> Self {
        Self {
            event: event.event.id,
            listener: event.event.listener.clone(),
            trigger: caused.trigger.clone(),
            revision: caused.revision.clone(),
            extensions: Map::new(),
            findings: Vec::new(),
            resume: None,
            updated_ms: event.accepted_ms,
            replayed_by: None,
            state: StateRecord::new(event.accepted_ms, None),
        }
    }

    /// Without what may be of the payload.
    pub(super) fn skeleton(mut self) -> Self {
        self.extensions = Map::new();
        self.findings = Vec::new();
        self.state.making = None;
        self.state.findings = Vec::new();
        for attempt in &mut self.state.attempts {
            attempt.detail = None;
        }
        self
    }
}

impl From<&Rendered> for Making {
    fn from(rendered: &Rendered) -> Self {
        Self {
            params: rendered.params.clone(),
            manifests: rendered.manifests.clone(),
            as_of: rendered.as_of.clone(),
        }
    }
}

impl From<Progress> for Standing {
    fn from(progress: Progress) -> Self {
        Self {
            state: progress.state,
            reason: progress.reason,
            attempts: progress.attempts,
            accepted_ms: progress.accepted_ms,
            due_ms: progress.due_ms,
            tried_ms: progress.tried_ms,
            unmended_ms: progress.unmended_ms,
        }
    }
}

impl From<Standing> for Progress {
    fn from(standing: Standing) -> Self {
        Self {
            state: standing.state,
            reason: standing.reason,
            attempts: standing.attempts,
            accepted_ms: standing.accepted_ms,
            due_ms: standing.due_ms,
            tried_ms: standing.tried_ms,
            unmended_ms: standing.unmended_ms,
        }
    }
}

/// A record without a body.
pub(super) fn write<T: Serialize>(record: &T) -> Result<Vec<u8>, JournalError> {
    serde_json::to_vec(record).map_err(|error| unreadable(0, &error))
}

/// A record without a body, read back; `id` tells it in errors.
pub(super) fn read<T: DeserializeOwned>(id: u64, bytes: &[u8]) -> Result<T, JournalError> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(id, &error))
}

/// A record with a body.
pub(super) fn write_with<T: Serialize>(head: &T, body: &[u8]) -> Result<Vec<u8>, JournalError> {
    let head = write(head)?;
    let length = u32::try_from(head.len()).map_err(|error| unreadable(0, &error))?;
    let mut bytes = Vec::with_capacity(4 + head.len() + body.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// A record with a body, read back.
pub(super) fn read_with<T: DeserializeOwned>(
    id: u64,
    mut bytes: Bytes,
) -> Result<(T, Bytes), JournalError> {
    let length = bytes.try_get_u32();
    let length = length.ok().and_then(|length| usize::try_from(length).ok());
    let length = length.filter(|length| *length <= bytes.len());
    let length = length.ok_or_else(|| unreadable(id, &"it is cut short"))?;
    let head = bytes.split_to(length);
    Ok((read(id, &head)?, bytes))
}

pub(super) fn unreadable(id: u64, message: &dyn std::fmt::Display) -> JournalError {
    JournalError::Record {
        id: i64::try_from(id).unwrap_or(i64::MAX),
        message: message.to_string(),
    }
}

#[cfg(test)]
mod tests;
