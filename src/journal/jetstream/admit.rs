//! Takes events in: what is known already is told from what is new.
//!
//! A delivery lies under a subject of its own until it has been performed, and
//! is remembered in the bucket before it goes from there: at every moment one
//! of the two knows it. So that two gateways that get the same delivery at once
//! do not both publish it, the server takes a message only where its subject
//! is empty; and for some minutes it knows the message's id by itself.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::future::{try_join, try_join_all};

use crate::journal::{JournalError, NewDelivery, NewEvent, Receipt};
use crate::model::ids::{EventId, TriggerId};
use crate::model::verdict::{DeliveryState, Reason};

use super::JetStreamJournal;
use super::record::{
    self, Caused, DeliveryHead, DeliveryRecord, EventHead, EventRecord, KnownDelivery, StateRecord,
};
use super::store::{Condition, Written};
use super::streams::{Kind, number, partition, short_hash, token};

/// What is to become of a delivery.
enum Plan {
    /// It was accepted before.
    Known(EventId),
    /// It is to be performed, as this event, which repeats that one.
    New(EventId, Option<EventId>),
}

fn new(event: EventId, trigger: &TriggerId) -> Receipt {
    Receipt::New {
        id: number(event, trigger),
        event,
    }
}

fn subject_of(event: EventId) -> String {
    format!("event.{}", event.0.simple())
}

impl JetStreamJournal {
    /// Records an event with its deliveries.
    pub(super) async fn insert(&self, event: &NewEvent) -> Result<Vec<Receipt>, JournalError> {
        let plans = event.deliveries.iter().map(|d| self.plan(event, d));
        let (plans, earlier) = try_join(try_join_all(plans), self.earlier(event)).await?;
        let heads = self.keep_history(event, &plans, earlier);
        let receipts = plans.iter().zip(&event.deliveries);
        let receipts = receipts.map(|(plan, delivery)| self.carry_out(event, delivery, plan));
        let (receipts, _) = try_join(try_join_all(receipts), heads).await?;
        Ok(receipts)
    }

    /// What is kept of the event already: some of it may have been accepted
    /// another time.
    async fn earlier(&self, event: &NewEvent) -> Result<Option<EventRecord>, JournalError> {
        if event.key.is_none() {
            return Ok(None);
        }
        match self.event_record(event.id).await {
            Err(JournalError::Record { .. }) => Ok(None),
            found => Ok(found?.map(|(record, _)| record)),
        }
    }

    async fn plan(&self, event: &NewEvent, delivery: &NewDelivery) -> Result<Plan, JournalError> {
        let Some((key, _)) = &event.key else {
            return Ok(Plan::New(event.id, None));
        };
        let subject = short_hash(&[key.as_str(), &delivery.trigger.0]);
        let Some(found) = self.store.get(Kind::Dedupe, &subject).await? else {
            return Ok(Plan::New(event.id, None));
        };
        let known: KnownDelivery = record::read(found.sequence, &found.payload)?;
        // The id stands for the delivery that came first.
        let again = known.expires_ms <= event.accepted_ms || delivery.rerun;
        Ok(match again {
            true => Plan::New(event.rerun_id, Some(known.event)),
            false => Plan::Known(known.event),
        })
    }

    /// Keeps the request for whoever asks later, and what it is to cause.
    async fn keep_history(
        &self,
        event: &NewEvent,
        plans: &[Plan],
        earlier: Option<EventRecord>,
    ) -> Result<(), JournalError> {
        let mut records: Vec<EventRecord> = Vec::new();
        for (plan, delivery) in plans.iter().zip(&event.deliveries) {
            let Plan::New(id, replay_of) = plan else {
                continue;
            };
            let caused = Caused {
                trigger: delivery.trigger.clone(),
                revision: delivery.revision.clone(),
            };
            match records.iter_mut().find(|record| record.event.id == *id) {
                Some(record) => record.deliveries.push(caused),
                None => records.push(EventRecord {
                    event: EventHead::of(event, *id, *replay_of),
                    accepted_ms: event.accepted_ms,
                    deliveries: vec![caused],
                    erased_ms: None,
                }),
            }
        }
        for mut record in records {
            let id = record.event.id;
            if let Some(earlier) = earlier.as_ref().filter(|one| one.event.id == id) {
                let mut all = earlier.deliveries.clone();
                let known =
                    |one: &Caused| earlier.deliveries.iter().any(|e| e.trigger == one.trigger);
                all.extend(record.deliveries.into_iter().filter(|one| !known(one)));
                record.deliveries = all;
            }
            let bytes = record::write_with(&record, &event.request.body)?;
            let (store, subject) = (&self.store, subject_of(id));
            let put = store.put(Kind::History, &subject, bytes, Condition::default());
            put.await?;
        }
        if let Some(original) = event.replay_of {
            for (plan, delivery) in plans.iter().zip(&event.deliveries) {
                if let Plan::New(by, _) = plan {
                    self.note_replay(original, &delivery.trigger, *by).await?;
                }
            }
        }
        Ok(())
    }

    /// What was received, with its body.
    pub(super) async fn event_record(
        &self,
        id: EventId,
    ) -> Result<Option<(EventRecord, Bytes)>, JournalError> {
        let found = self.store.get(Kind::History, &subject_of(id)).await?;
        let found = found.map(|found| record::read_with(found.sequence, found.payload));
        found.transpose()
    }

    async fn carry_out(
        &self,
        event: &NewEvent,
        delivery: &NewDelivery,
        plan: &Plan,
    ) -> Result<Receipt, JournalError> {
        let (id, replay_of) = match plan {
            Plan::Known(first) => return self.duplicate(*first, &delivery.trigger).await,
            Plan::New(id, replay_of) => (*id, *replay_of),
        };
        match self.publish(event, delivery, (id, replay_of)).await? {
            Written::New(_) => Ok(new(id, &delivery.trigger)),
            // The one before is under way still.
            Written::Before if delivery.rerun && replay_of.is_none() => {
                let again = (event.rerun_id, Some(id));
                let only = NewEvent {
                    deliveries: vec![delivery.clone()],
                    ..event.clone()
                };
                self.keep_history(&only, &[Plan::New(again.0, again.1)], None)
                    .await?;
                match self.publish(event, delivery, again).await? {
                    Written::New(_) => Ok(new(again.0, &delivery.trigger)),
                    Written::Before => self.duplicate(again.0, &delivery.trigger).await,
                }
            }
            Written::Before => self.duplicate(id, &delivery.trigger).await,
        }
    }

    async fn publish(
        &self,
        event: &NewEvent,
        delivery: &NewDelivery,
        (id, replay_of): (EventId, Option<EventId>),
    ) -> Result<Written, JournalError> {
        let head = EventHead::of(event, id, replay_of);
        let sealed = delivery.unsealed.as_ref();
        let sealed = sealed.map(|headers| self.sealed(headers)).transpose()?;
        let head = DeliveryHead::of(event, head, delivery, sealed);
        let bytes = record::write_with(&head, &event.request.body)?;
        self.keep_revision(delivery).await?;
        let name = token(id, &delivery.trigger);
        let subject = format!("{}.{name}", partition(&event.listener));
        let condition = Condition {
            last: Some(0),
            message_id: Some(&name),
        };
        let written = self.store.put(Kind::Deliveries, &subject, bytes, condition);
        written.await
    }

    /// Where a delivery stands that came before.
    async fn duplicate(
        &self,
        event: EventId,
        trigger: &TriggerId,
    ) -> Result<Receipt, JournalError> {
        let (state, reason) = self.standing(event, trigger).await?;
        Ok(Receipt::Duplicate {
            event,
            state,
            reason,
        })
    }

    async fn standing(
        &self,
        event: EventId,
        trigger: &TriggerId,
    ) -> Result<(DeliveryState, Option<Reason>), JournalError> {
        let subject = format!("delivery.{}", token(event, trigger));
        let ended = self.store.get(Kind::History, &subject).await?;
        if let Some(ended) = ended {
            let ended: DeliveryRecord = record::read(ended.sequence, &ended.payload)?;
            let progress = ended.state.progress();
            return Ok((progress.state, progress.reason));
        }
        let under_way = self.store.get(Kind::State, &subject).await?;
        let Some(under_way) = under_way else {
            return Ok((DeliveryState::Pending, None));
        };
        let state: StateRecord = record::read(under_way.sequence, &under_way.payload)?;
        Ok((state.progress().state, state.progress().reason))
    }

    /// Keeps what a revision is the hash of, once for all its deliveries.
    async fn keep_revision(&self, delivery: &NewDelivery) -> Result<(), JournalError> {
        if self.revisions.get(&delivery.revision).is_some() {
            return Ok(());
        }
        let subject = format!("revision.{}", short_hash(&[&delivery.revision.0]));
        let bytes = delivery.source.as_bytes().to_vec();
        let put = self
            .store
            .put(Kind::State, &subject, bytes, Condition::default());
        put.await?;
        self.revisions
            .note(&delivery.revision, Arc::clone(&delivery.source));
        Ok(())
    }

    /// What a revision is the hash of.
    pub(super) async fn source_of(
        &self,
        revision: &crate::model::ids::Revision,
    ) -> Result<String, JournalError> {
        if let Some(known) = self.revisions.get(revision) {
            return Ok(known.to_string());
        }
        let subject = format!("revision.{}", short_hash(&[&revision.0]));
        let found = self.store.get(Kind::State, &subject).await?;
        let found = found.map(|found| String::from_utf8_lossy(&found.payload).into_owned());
        Ok(found.unwrap_or_default())
    }

    /// Seals headers, which may carry credentials.
    pub(super) fn sealed(
        &self,
        headers: &crate::model::headers::Headers,
    ) -> Result<String, JournalError> {
        let plain = record::write(headers)?;
        let sealed = self.seal.seal(&plain);
        let sealed =
            sealed.ok_or_else(|| record::unreadable(0, &"the headers could not be sealed"))?;
        Ok(BASE64.encode(&sealed))
    }

    /// Opens what [`JetStreamJournal::sealed`] gave for record `id`.
    pub(super) fn unsealed(
        &self,
        id: u64,
        sealed: &str,
    ) -> Result<crate::model::headers::Headers, JournalError> {
        let sealed = BASE64.decode(sealed.as_bytes());
        let opened = sealed.ok().and_then(|sealed| self.seal.unseal(&sealed));
        let opened = opened.ok_or(JournalError::OtherSeal)?;
        record::read(id, &opened)
    }
}
