//! Events that wait until somebody can decide on them.
//!
//! An event is a message, and its number in the stream is its number. What
//! changes of it while it waits is a record beside it, so that the number
//! stays. How many wait for one listener, and how large they are, is read off
//! their subjects.

use bytes::Bytes;
use futures_util::TryStreamExt;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{DeleteMessageErrorKind, LastRawMessageErrorKind};

use crate::journal::{Deferral, JournalError, NewDeferral, Quotas, Receipt, Settlement};
use crate::model::event::{BodyRule, RawEvent};
use crate::model::ids::{EventId, ListenerId, TriggerId};

use super::JetStreamJournal;
use super::record::{self, WaitingHead, WaitingState};
use super::store::{Condition, Parts, Stored, remote};
use super::streams::{Kind, short_hash};

impl JetStreamJournal {
    /// Tells events for which there is room from those for which there is none.
    pub(super) async fn split(
        &self,
        waiting: Vec<NewDeferral>,
        quotas: Quotas,
    ) -> Result<(Vec<NewDeferral>, Vec<NewDeferral>), JournalError> {
        let (mut fitting, mut others) = (Vec::new(), Vec::new());
        for event in waiting {
            match self.has_room(&event, quotas).await? {
                true => fitting.push(event),
                false => others.push(event),
            }
        }
        Ok((fitting, others))
    }

    async fn has_room(&self, event: &NewDeferral, quotas: Quotas) -> Result<bool, JournalError> {
        let quota = match event.verified {
            true => quotas.verified,
            false => quotas.unverified,
        };
        let of_listener = format!("{}.*.*", class(&event.listener, event.verified));
        let (mut events, mut bytes) = (0usize, 0usize);
        for (subject, count) in self.subjects(&of_listener).await? {
            let size = subject
                .rsplit('.')
                .nth(1)
                .and_then(|size| size.parse().ok());
            events = events.saturating_add(count);
            bytes = bytes.saturating_add(count.saturating_mul(size.unwrap_or(0)));
        }
        let size = event.request.body.len();
        Ok(events < quota.events && bytes.saturating_add(size) <= quota.bytes)
    }

    /// The subjects of the stream that match, and how many messages each has.
    async fn subjects(&self, filter: &str) -> Result<Vec<(String, usize)>, JournalError> {
        let filter = self.names.subject(Kind::Waiting, filter);
        let fail = |error: &dyn std::fmt::Display| remote(format!("{filter}: {error}"));
        let stream = self.store.stream(Kind::Waiting).await?;
        let listed = stream.info_with_subjects(filter.as_str()).await;
        let listed = listed.map_err(|error| fail(&error))?;
        listed.try_collect().await.map_err(|error| fail(&error))
    }

    /// Lets an event wait.
    pub(super) async fn wait_for(&self, event: &NewDeferral) -> Result<(), JournalError> {
        let head = WaitingHead {
            event: event.event,
            listener: event.listener.clone(),
            triggers: event.triggers.clone(),
            verified: event.verified,
            proven: event.proven.clone(),
            received_ms: event.received_ms,
            method: event.request.method.clone(),
            url: event.request.url.clone(),
            sealed: self.sealed(&event.request.headers)?,
            given_up_ms: None,
        };
        self.write_waiting(&head, &event.request.body).await
    }

    pub(super) async fn write_waiting(
        &self,
        head: &WaitingHead,
        body: &[u8],
    ) -> Result<(), JournalError> {
        let bytes = record::write_with(head, body)?;
        let subject = format!(
            "{}.{}.{}",
            class(&head.listener, head.verified),
            body.len(),
            head.event.0.simple()
        );
        let put = self
            .store
            .put(Kind::Waiting, &subject, bytes, Condition::default());
        put.await.map(drop)
    }

    /// The oldest event after number `after` that waits.
    pub(super) async fn next_waiting(&self, after: i64) -> Result<Option<Deferral>, JournalError> {
        let from = u64::try_from(after).unwrap_or(0).saturating_add(1);
        let stream = self.store.stream(Kind::Waiting).await?;
        let filter = self.names.subject(Kind::Waiting, "event.>");
        let next = stream
            .raw_message_builder()
            .sequence(from)
            .next_by_subject(&filter)
            .send()
            .await;
        let message = match next {
            Ok(message) => message,
            Err(error) if is_absent(&error.kind()) => return Ok(None),
            Err(error) => return Err(remote(format!("{filter}: {error}"))),
        };
        let sequence = message.sequence;
        let subject = message.subject.to_string();
        let read = match self.store.whole(Kind::Waiting, message).await {
            Ok(stored) => self.read_waiting(&stored).await,
            Err(error) => Err(error),
        };
        let (event, waiting) = match read {
            Ok(waiting) => (waiting.event, Ok(waiting)),
            Err(error @ (JournalError::Record { .. } | JournalError::OtherSeal)) => {
                (event_of(&subject), Err(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        Ok(Some(Deferral {
            id: i64::try_from(sequence).unwrap_or(i64::MAX),
            event,
            waiting,
        }))
    }

    async fn read_waiting(&self, stored: &Stored) -> Result<NewDeferral, JournalError> {
        let sequence = stored.sequence;
        let (head, body): (WaitingHead, Bytes) =
            record::read_with(sequence, stored.payload.clone())?;
        let changed = self.store.get(Kind::State, &state_of(sequence)).await?;
        let changed =
            changed.map(|changed| record::read::<WaitingState>(sequence, &changed.payload));
        let now = changed.transpose()?.unwrap_or(WaitingState {
            triggers: head.triggers,
            verified: head.verified,
            proven: head.proven,
        });
        Ok(NewDeferral {
            event: head.event,
            listener: head.listener,
            triggers: now.triggers,
            verified: now.verified,
            proven: now.proven,
            received_ms: head.received_ms,
            request: RawEvent {
                method: head.method,
                url: head.url,
                headers: self.unsealed(sequence, &head.sealed)?,
                body,
                // Whoever looks at it again knows the listener's.
                rule: BodyRule::default(),
            },
        })
    }

    /// Records what became of a waiting event: first what it causes, then the
    /// end of its wait. Whoever does both twice causes nothing twice.
    pub(super) async fn settle_waiting(
        &self,
        id: i64,
        settlement: Settlement,
    ) -> Result<Option<Vec<Receipt>>, JournalError> {
        let Some(stored) = self.waiting_at(id).await? else {
            return Ok(None);
        };
        if let Some((triggers, now_ms)) = &settlement.given_up {
            self.set_aside(&stored, Some(triggers), *now_ms).await?;
        }
        let mut receipts = Vec::new();
        for event in &settlement.events {
            receipts.append(&mut self.insert(event).await?);
        }
        if settlement.waiting.is_empty() {
            self.end_wait(&stored).await?;
            return Ok(Some(receipts));
        }
        let before = self.read_waiting(&stored).await?;
        let known = settlement.known;
        let state = WaitingState {
            triggers: settlement.waiting,
            verified: before.verified || known.as_ref().is_some_and(|known| known.verified),
            proven: known.map_or(before.proven, |known| known.proven),
        };
        let bytes = record::write(&state)?;
        let subject = state_of(stored.sequence);
        let put = self
            .store
            .put(Kind::State, &subject, bytes, Condition::default());
        put.await?;
        Ok(Some(receipts))
    }

    /// Ends the wait of an event that nobody has decided on, and keeps it.
    pub(super) async fn give_up_waiting(&self, id: i64, now_ms: i64) -> Result<(), JournalError> {
        let Some(stored) = self.waiting_at(id).await? else {
            return Ok(());
        };
        self.set_aside(&stored, None, now_ms).await?;
        self.end_wait(&stored).await
    }

    /// The numbers under which an event waits.
    pub(super) async fn waiting_numbers(&self, id: EventId) -> Result<Vec<i64>, JournalError> {
        let (mut after, mut numbers) = (0, Vec::new());
        while let Some(next) = self.next_waiting(after).await? {
            after = next.id;
            if next.event == id {
                numbers.push(next.id);
            }
        }
        Ok(numbers)
    }

    /// Ends the wait under a number.
    pub(super) async fn end_wait_of(&self, id: i64) -> Result<(), JournalError> {
        match self.waiting_at(id).await? {
            Some(stored) => self.end_wait(&stored).await,
            None => Ok(()),
        }
    }

    async fn waiting_at(&self, id: i64) -> Result<Option<Stored>, JournalError> {
        let sequence = u64::try_from(id).unwrap_or(0);
        let stream = self.store.stream(Kind::Waiting).await?;
        let found = match stream.get_raw_message(sequence).await {
            Ok(found) => found,
            Err(error) if is_absent(&error.kind()) => return Ok(None),
            Err(error) => return Err(remote(format!("event {id} that waits: {error}"))),
        };
        let parts = Parts::of(Kind::Waiting, &found.headers);
        match self.store.whole(Kind::Waiting, found).await {
            // Its wait can be ended all the same.
            Err(JournalError::Record { .. }) => Ok(Some(Stored {
                sequence,
                payload: Bytes::new(),
                parts,
            })),
            whole => whole.map(Some),
        }
    }

    /// Keeps a waiting event among the dead letters.
    async fn set_aside(
        &self,
        stored: &Stored,
        triggers: Option<&Vec<TriggerId>>,
        now_ms: i64,
    ) -> Result<(), JournalError> {
        let sequence = stored.sequence;
        let (mut head, body): (WaitingHead, Bytes) =
            record::read_with(sequence, stored.payload.clone())?;
        let changed = self.store.get(Kind::State, &state_of(sequence)).await?;
        if let Some(changed) = changed {
            let changed: WaitingState = record::read(sequence, &changed.payload)?;
            head.triggers = changed.triggers;
            head.proven = changed.proven;
            head.verified = changed.verified;
        }
        if let Some(triggers) = triggers {
            head.triggers.clone_from(triggers);
        }
        head.given_up_ms = Some(now_ms);
        let names: Vec<&str> = head.triggers.iter().map(|t| t.0.as_str()).collect();
        let subject = format!("waited.{}.{}", head.event.0.simple(), short_hash(&names));
        let bytes = record::write_with(&head, &body)?;
        let put = self
            .store
            .put(Kind::Dead, &subject, bytes, Condition::default());
        put.await.map(drop)
    }

    async fn end_wait(&self, stored: &Stored) -> Result<(), JournalError> {
        let stream = self.store.stream(Kind::Waiting).await?;
        match stream.delete_message(stored.sequence).await {
            Ok(_) => {}
            Err(error) if is_deleted(&error.kind()) => {}
            Err(error) => {
                let id = stored.sequence;
                return Err(remote(format!("event {id} that waits: {error}")));
            }
        }
        let state = state_of(stored.sequence);
        let parts = stored.parts.as_ref();
        // What is left goes with its age.
        let _ = self.store.remove(Kind::State, &state, parts).await;
        Ok(())
    }
}

/// What subjects of a listener's waiting events begin with.
fn class(listener: &ListenerId, verified: bool) -> String {
    let verified = if verified { "verified" } else { "unverified" };
    let listener = short_hash(&[&listener.namespace, &listener.name]);
    format!("event.{listener}.{verified}")
}

/// The event that a subject is of.
fn event_of(subject: &str) -> EventId {
    let id = subject.rsplit('.').next();
    let id = id.and_then(|id| uuid::Uuid::try_parse(id).ok());
    EventId(id.unwrap_or_default())
}

fn state_of(sequence: u64) -> String {
    format!("waiting.{sequence}")
}

pub(super) fn is_absent(kind: &LastRawMessageErrorKind) -> bool {
    match kind {
        LastRawMessageErrorKind::NoMessageFound => true,
        LastRawMessageErrorKind::JetStream(error) => {
            error.error_code() == ErrorCode::NO_MESSAGE_FOUND
        }
        LastRawMessageErrorKind::InvalidSubject | LastRawMessageErrorKind::Other => false,
    }
}

fn is_deleted(kind: &DeleteMessageErrorKind) -> bool {
    match kind {
        DeleteMessageErrorKind::JetStream(error) => {
            error.error_code() == ErrorCode::NO_MESSAGE_FOUND
                || error.error_code() == ErrorCode::SEQUENCE_NOT_FOUND
        }
        DeleteMessageErrorKind::Request | DeleteMessageErrorKind::TimedOut => false,
    }
}
