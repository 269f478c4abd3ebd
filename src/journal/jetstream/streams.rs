//! The streams, their subjects, and how they come to be.

use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use sha2::{Digest, Sha256};

use crate::journal::JournalError;
use crate::model::ids::{DeliveryId, EventId, ListenerId, TriggerId};

use super::Settings;
use super::store::remote;

/// Subjects that deliveries are spread over, by listener: each has its own
/// consumer, so that those of one listener do not stand in front of all others.
/// Never to be changed: what lies under a subject that nobody pulls from is
/// never performed.
pub(super) const PARTITIONS: u64 = 16;

/// How long the server itself knows that a delivery was published before. A
/// retry after this time is told by what lies in the streams.
const PUBLISHED_ONCE_FOR: Duration = Duration::from_secs(5 * 60);

/// How long what is only needed under way is kept where nobody removes it.
const STATE_KEPT_FOR: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// One of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Deliveries that are to be performed, until they have been.
    Deliveries,
    /// How far deliveries and waiting events have come.
    State,
    /// What was received and what became of it, for a time.
    History,
    /// Deliveries that were given up.
    Dead,
    /// Events that nobody can decide on yet.
    Waiting,
    /// Which deliveries are known already; a key-value bucket.
    Dedupe,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Deliveries,
        Self::State,
        Self::History,
        Self::Dead,
        Self::Waiting,
        Self::Dedupe,
    ];
}

/// The names of streams and subjects: all begin with one prefix, so that
/// several gateways share a server and keep apart.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// The stream's name.
    pub(super) fn stream(&self, kind: Kind) -> String {
        let prefix = &self.prefix;
        match kind {
            Kind::Deliveries => format!("{prefix}_deliveries"),
            Kind::State => format!("{prefix}_state"),
            Kind::History => format!("{prefix}_history"),
            Kind::Dead => format!("{prefix}_dead"),
            Kind::Waiting => format!("{prefix}_waiting"),
            Kind::Dedupe => format!("KV_{prefix}_dedupe"),
        }
    }

    /// A subject of the stream.
    pub(super) fn subject(&self, kind: Kind, rest: &str) -> String {
        let prefix = &self.prefix;
        match kind {
            Kind::Deliveries => format!("{prefix}.deliveries.{rest}"),
            Kind::State => format!("{prefix}.state.{rest}"),
            Kind::History => format!("{prefix}.history.{rest}"),
            Kind::Dead => format!("{prefix}.dead.{rest}"),
            Kind::Waiting => format!("{prefix}.waiting.{rest}"),
            Kind::Dedupe => format!("$KV.{prefix}_dedupe.{rest}"),
        }
    }

    fn config(&self, kind: Kind, settings: &Settings) -> Config {
        let one_a_subject = Config {
            name: self.stream(kind),
            subjects: vec![self.subject(kind, ">")],
            retention: RetentionPolicy::Limits,
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: settings.replicas,
            allow_direct: true,
            max_bytes: -1,
            max_messages: -1,
            ..Config::default()
        };
        match kind {
            Kind::Deliveries => Config {
                retention: RetentionPolicy::WorkQueue,
                max_messages_per_subject: -1,
                max_bytes: settings.max_bytes,
                duplicate_window: PUBLISHED_ONCE_FOR,
                allow_direct: false,
                description: Some("Deliveries that are to be performed".into()),
                ..one_a_subject
            },
            Kind::State => Config {
                max_age: STATE_KEPT_FOR,
                description: Some("How far deliveries have come".into()),
                ..one_a_subject
            },
            Kind::History => Config {
                max_age: settings.retention,
                max_bytes: settings.history_max_bytes,
                discard: DiscardPolicy::Old,
                description: Some("What was received and what became of it".into()),
                ..one_a_subject
            },
            Kind::Dead => Config {
                description: Some("Deliveries that were given up".into()),
                ..one_a_subject
            },
            Kind::Waiting => Config {
                max_messages_per_subject: -1,
                description: Some("Events that nobody can decide on yet".into()),
                ..one_a_subject
            },
            Kind::Dedupe => Config {
                max_age: settings.dedupe_kept_for,
                allow_rollup: true,
                deny_delete: true,
                description: Some("Deliveries that are known already".into()),
                ..one_a_subject
            },
        }
    }

    /// Makes the streams that are not there, and brings the others up to the
    /// settings.
    pub(super) async fn ensure(
        &self,
        context: &Context,
        settings: &Settings,
    ) -> Result<(), JournalError> {
        for kind in Kind::ALL {
            let wanted = self.config(kind, settings);
            let name = wanted.name.clone();
            let found = match context.get_stream(&name).await {
                Ok(found) => found,
                Err(error) if is_missing(&error.kind()) => {
                    // Two gateways may start at once.
                    let made = context.get_or_create_stream(wanted).await;
                    made.map_err(|error| remote(format!("stream {name}: {error}")))?;
                    continue;
                }
                Err(error) => return Err(remote(format!("stream {name}: {error}"))),
            };
            let current = &found.cached_info().config;
            if let Some(updated) = changed(current, &wanted) {
                let done = context.update_stream(updated).await;
                done.map_err(|error| remote(format!("stream {name}: {error}")))?;
            }
        }
        Ok(())
    }
}

fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(
        kind,
        GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND
    )
}

/// The stream's settings where those that can be set differ; what else somebody
/// has set on the server stays.
fn changed(current: &Config, wanted: &Config) -> Option<Config> {
    let updated = Config {
        num_replicas: wanted.num_replicas,
        max_bytes: wanted.max_bytes,
        max_age: wanted.max_age,
        // It may not be longer than the age.
        duplicate_window: match wanted.duplicate_window {
            Duration::ZERO => current.duplicate_window,
            window => window,
        },
        ..current.clone()
    };
    let same = updated.num_replicas == current.num_replicas
        && updated.max_bytes == current.max_bytes
        && updated.max_age == current.max_age
        && updated.duplicate_window == current.duplicate_window;
    (!same).then_some(updated)
}

/// What stands for one delivery in subjects: its event and its number.
pub(super) fn token(event: EventId, trigger: &TriggerId) -> String {
    let number = number(event, trigger);
    format!("{}.{}", event.0.simple(), token_of(number))
}

/// What stands for a delivery's number in subjects.
pub(super) fn token_of(number: DeliveryId) -> String {
    format!("{:016x}", number.0)
}

/// The number of a delivery: a hash, so that it is known before anything is
/// written.
pub(super) fn number(event: EventId, trigger: &TriggerId) -> DeliveryId {
    let mut hash = Sha256::new();
    hash.update(event.0.as_bytes());
    hash.update(&trigger.0);
    let hash = hash.finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    DeliveryId(i64::from_be_bytes(bytes) & i64::MAX)
}

/// The partition of a listener's deliveries.
pub(super) fn partition(listener: &ListenerId) -> u64 {
    let hash = Sha256::digest(listener.to_string());
    u64::from(hash[0]) % PARTITIONS
}

/// Twenty hex digits for what may hold anything.
pub(super) fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    data_encoding::HEXLOWER.encode(&hash[..10])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_keep_their_partition() {
        let listener = |name: &str| ListenerId {
            namespace: "ci".into(),
            name: name.into(),
        };
        // What is written today must be found by the next version.
        assert_eq!(partition(&listener("a")), partition(&listener("a")));
        let used: std::collections::HashSet<u64> = (0..200)
            .map(|n| partition(&listener(&n.to_string())))
            .collect();
        assert_eq!(used.len() as u64, PARTITIONS);
    }

    #[test]
    fn parts_of_a_hash_cannot_be_shifted_into_one_another() {
        assert_ne!(short_hash(&["ab", "c"]), short_hash(&["a", "bc"]));
    }
}
