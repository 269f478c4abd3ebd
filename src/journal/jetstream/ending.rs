//! The end of a delivery.
//!
//! Its last state is written first, on the condition that nobody else has
//! written one: whoever comes second stops there. What is to be known of it
//! follows, then the word to the server. The last state stays for some minutes,
//! for those who were held meanwhile and do not know yet.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_nats::jetstream::message::Acker;
use futures_util::StreamExt;
use futures_util::future::try_join;

use crate::journal::JournalError;
use crate::model::verdict::DeliveryState;

use super::JetStreamJournal;
use super::held::Held;
use super::record::{self, DeliveryHead, DeliveryRecord, KnownDelivery, StateRecord};
use super::store::{Condition, Parts, remote};
use super::streams::{Kind, short_hash};

/// How long the last state of a delivery stays.
const STAYS_FOR: Duration = Duration::from_secs(5 * 60);

/// Last states that are removed at once.
const REMOVED_AT_ONCE: usize = 16;

/// Last states that are to be removed, the oldest first.
#[derive(Default)]
pub(super) struct Ended(Mutex<VecDeque<(Instant, String, Option<Parts>)>>);

impl Ended {
    fn note(&self, name: String, parts: Option<Parts>) {
        if let Ok(mut ended) = self.0.lock() {
            ended.push_back((Instant::now(), name, parts));
        }
    }

    fn take_old(&self) -> Vec<(String, Option<Parts>)> {
        let mut old = Vec::new();
        if let Ok(mut ended) = self.0.lock() {
            while let Some((at, ..)) = ended.front()
                && at.elapsed() >= STAYS_FOR
                && let Some((_, name, parts)) = ended.pop_front()
            {
                old.push((name, parts));
            }
        }
        old
    }
}

impl JetStreamJournal {
    /// What follows the last state of a delivery. Whoever does it twice does
    /// the same.
    pub(super) async fn finish(&self, held: &Held) -> Result<(), JournalError> {
        let record = record_of(held);
        if record.state.progress().state == DeliveryState::Dead {
            let letter = (&record, &*held.head);
            let bytes = record::write_with(&letter, &held.body)?;
            let subject = format!("delivery.{}", held.name);
            let condition = Condition::default();
            let put = self.store.put(Kind::Dead, &subject, bytes, condition);
            put.await?;
        }
        let written = self.write_history(&held.name, &record);
        try_join(written, self.remember(&held.head)).await?;
        self.acknowledge(&held.acker).await?;
        if let Some(parts) = &held.parts {
            self.store.forget_parts(parts).await;
        }
        self.ended.note(held.name.clone(), held.state_parts.clone());
        Ok(())
    }

    pub(super) async fn write_history(
        &self,
        name: &str,
        record: &DeliveryRecord,
    ) -> Result<(), JournalError> {
        let bytes = record::write(record)?;
        let subject = format!("delivery.{name}");
        let condition = Condition::default();
        let put = self.store.put(Kind::History, &subject, bytes, condition);
        put.await.map(drop)
    }

    /// Keeps the key, so that the delivery is known when it comes again.
    pub(super) async fn remember(&self, head: &DeliveryHead) -> Result<(), JournalError> {
        let Some(key) = &head.key else {
            return Ok(());
        };
        let known = KnownDelivery {
            event: head.event.id,
            expires_ms: head.accepted_ms.saturating_add(key.window_ms),
        };
        let subject = short_hash(&[key.key.as_str(), &head.trigger.0]);
        let bytes = record::write(&known)?;
        let condition = Condition::default();
        let put = self.store.put(Kind::Dedupe, &subject, bytes, condition);
        put.await.map(drop)
    }

    pub(super) async fn acknowledge(&self, acker: &Acker) -> Result<(), JournalError> {
        let done = acker.double_ack().await;
        done.map_err(|error| remote(format!("an acknowledgement: {error}")))
    }

    /// Removes last states that nobody needs any more. Where that cannot be
    /// done they go with their age.
    pub(super) async fn remove_ended(&self) {
        let old = futures_util::stream::iter(self.ended.take_old());
        let removing = old.for_each_concurrent(REMOVED_AT_ONCE, |(name, parts)| async move {
            let subject = format!("delivery.{name}");
            let removed = self.store.remove(Kind::State, &subject, parts.as_ref());
            let _ = removed.await;
        });
        removing.await;
    }
}

pub(super) fn record_of(held: &Held) -> DeliveryRecord {
    let (head, state) = (&held.head, StateRecord::clone(&held.state));
    DeliveryRecord {
        event: head.event.id,
        listener: head.event.listener.clone(),
        trigger: head.trigger.clone(),
        revision: head.revision.clone(),
        extensions: head.extensions.clone(),
        findings: [head.findings.clone(), state.findings.clone()].concat(),
        resume: head.resume,
        updated_ms: state
            .attempts
            .last()
            .map_or(head.accepted_ms, |made| made.ended_ms),
        replayed_by: None,
        state,
    }
}
