//! What the streams remember, for people.
//!
//! A stream is read from its end backwards, a bounded stretch at once.

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};

use crate::journal::history::{
    Change, DeliveryFilter, DeliveryRecord as Detail, DeliverySummary, Erasure, EventFilter,
    EventRecord as Whole, EventSummary, History, Page, Paging, WaitingSummary,
};
use crate::journal::{Done, JournalError};
use crate::model::ids::{DeliveryId, EventId};

use super::JetStreamJournal;
use super::store::{Stored, remote};
use super::streams::Kind;

mod change;
mod lists;
mod record;

/// Numbers of a stream that are looked at in one stretch.
const STRETCH: u64 = 512;

/// Stretches that one page looks at. Where fewer entries are found than were
/// asked for, the page is short and has a cursor.
const STRETCHES: usize = 64;

impl History for JetStreamJournal {
    fn events(&self, filter: EventFilter, page: Paging) -> Done<'_, Page<EventSummary>> {
        Box::pin(self.list_events(filter, page))
    }

    fn event(&self, id: EventId) -> Done<'_, Option<Whole>> {
        Box::pin(self.whole_event(id))
    }

    fn deliveries(&self, filter: DeliveryFilter, page: Paging) -> Done<'_, Page<DeliverySummary>> {
        Box::pin(self.list_deliveries(filter, page))
    }

    fn delivery(&self, id: DeliveryId) -> Done<'_, Option<(DeliverySummary, Detail)>> {
        Box::pin(self.whole_delivery(id))
    }

    fn waiting(&self, page: Paging) -> Done<'_, Page<WaitingSummary>> {
        Box::pin(self.list_waiting(page))
    }

    fn erase(&self, id: EventId, force: bool, now_ms: i64) -> Done<'_, Erasure> {
        Box::pin(self.erase_family(id, force, now_ms))
    }

    fn discard(&self, id: DeliveryId, now_ms: i64) -> Done<'_, Change> {
        Box::pin(self.discard_delivery(id, now_ms))
    }

    fn retry_now(&self, id: DeliveryId, now_ms: i64) -> Done<'_, Change> {
        Box::pin(self.hurry(id, now_ms))
    }

    fn wait_again(&self, id: EventId) -> Done<'_, usize> {
        Box::pin(self.let_wait_again(id))
    }

    fn forget_payloads(&self, before_ms: i64, now_ms: i64) -> Done<'_, usize> {
        Box::pin(self.forget_old_payloads(before_ms, now_ms))
    }
}

/// The messages of a stream under a filter, the newest first.
struct Backwards<'a> {
    journal: &'a JetStreamJournal,
    kind: Kind,
    stream: Stream<()>,
    filter: String,
    first: u64,
    /// Everything from this number on has been looked at.
    below: u64,
    /// What was found of the stretch, oldest first.
    found: Vec<Stored>,
    stretches: usize,
}

impl<'a> Backwards<'a> {
    /// From `cursor` on, or the end.
    async fn new(
        journal: &'a JetStreamJournal,
        kind: Kind,
        rest: &str,
        cursor: Option<&String>,
    ) -> Result<Self, JournalError> {
        let stream = journal.store.stream(kind).await?;
        let info = stream.get_info().await;
        let state = info.map_err(|error| remote(error.to_string()))?.state;
        let below = match cursor {
            None => state.last_sequence.saturating_add(1),
            Some(cursor) => cursor.parse().map_err(|_| JournalError::Cursor)?,
        };
        Ok(Self {
            journal,
            kind,
            stream,
            filter: journal.names.subject(kind, rest),
            first: state.first_sequence.max(1),
            below,
            found: Vec::new(),
            stretches: 0,
        })
    }

    async fn next(&mut self) -> Result<Option<Stored>, JournalError> {
        loop {
            if let Some(stored) = self.found.pop() {
                return Ok(Some(stored));
            }
            if self.below <= self.first || self.stretches >= STRETCHES {
                return Ok(None);
            }
            self.look().await?;
        }
    }

    /// Looks at the stretch before what has been looked at.
    async fn look(&mut self) -> Result<(), JournalError> {
        let from = self.below.saturating_sub(STRETCH).max(self.first);
        let mut at = from;
        while at < self.below {
            let next = self.stream.raw_message_builder().sequence(at);
            let message = match next.next_by_subject(&self.filter).send().await {
                Ok(message) => message,
                Err(error) if is_absent(&error.kind()) => break,
                Err(error) => return Err(remote(format!("{}: {error}", self.filter))),
            };
            if message.sequence >= self.below {
                break;
            }
            at = message.sequence + 1;
            self.found
                .push(self.journal.store.whole(self.kind, message).await?);
        }
        self.below = from;
        self.stretches += 1;
        Ok(())
    }

    /// Where the next page begins, after the entry that was given last; none
    /// where there is nothing more.
    fn cursor(&self, last: Option<u64>) -> Option<String> {
        let below = match last {
            Some(last) if !self.found.is_empty() => last,
            _ => self.below,
        };
        (below > self.first).then(|| below.to_string())
    }
}

fn is_absent(kind: &LastRawMessageErrorKind) -> bool {
    super::waiting::is_absent(kind)
}
