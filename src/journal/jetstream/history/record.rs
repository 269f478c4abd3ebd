//! All that is kept of an event or a delivery.

use bytes::Bytes;

use crate::journal::history::{
    DeliveryRecord as Detail, DeliverySummary, EventRecord as Whole, RequestRecord,
};
use crate::journal::jetstream::JetStreamJournal;
use crate::journal::jetstream::record::{
    self, Caused, DeliveryHead, DeliveryRecord, EventHead, EventRecord,
};
use crate::journal::jetstream::streams::{Kind, token_of};
use crate::journal::{Attempt, JournalError, Recorded};
use crate::model::ids::{DeliveryId, EventId};

use super::lists::summary;

/// A dead letter: what became of it, what it was, and the body.
pub(super) type Letter = ((DeliveryRecord, DeliveryHead), Bytes);

impl JetStreamJournal {
    pub(super) async fn whole_event(&self, id: EventId) -> Result<Option<Whole>, JournalError> {
        let found = match self.event_record(id).await? {
            Some(found) => Some(found),
            // The history is kept for a time, dead letters for ever.
            None => self.event_of_letters(id).await?,
        };
        let Some((event, body)) = found else {
            return Ok(None);
        };
        let mut deliveries = Vec::new();
        for caused in &event.deliveries {
            let record = self.delivery_or_letter(&event, caused).await?;
            deliveries.push(self.detail(record).await?);
        }
        let mut summary = self.summary_of(&event).await?;
        summary.deliveries = deliveries
            .iter()
            .map(|(summary, _)| summary.clone())
            .collect();
        let EventHead {
            method,
            url,
            headers,
            proven,
            ..
        } = event.event;
        Ok(Some(Whole {
            requests: vec![RequestRecord {
                summary,
                request: Recorded {
                    method,
                    url,
                    headers,
                    body,
                },
                proven,
                deliveries: deliveries.into_iter().map(|(_, detail)| detail).collect(),
            }],
        }))
    }

    async fn delivery_or_letter(
        &self,
        event: &EventRecord,
        caused: &Caused,
    ) -> Result<DeliveryRecord, JournalError> {
        let known = self.delivery_record(event, caused).await?;
        if !known.state.attempts.is_empty() {
            return Ok(known);
        }
        let name = crate::journal::jetstream::streams::token(event.event.id, &caused.trigger);
        let letter = self.letter(&name).await?;
        Ok(letter.map_or(known, |((delivery, _), _)| delivery))
    }

    /// A dead letter.
    pub(super) async fn letter(&self, name: &str) -> Result<Option<Letter>, JournalError> {
        let subject = format!("delivery.{name}");
        let found = self.store.get(Kind::Dead, &subject).await?;
        let found = found.map(|found| record::read_with(found.sequence, found.payload));
        found.transpose()
    }

    /// An event as its dead letters tell of it.
    async fn event_of_letters(
        &self,
        id: EventId,
    ) -> Result<Option<(EventRecord, Bytes)>, JournalError> {
        let names = format!("delivery.{}.*", id.0.simple());
        let mut event: Option<(EventRecord, Bytes)> = None;
        for name in self.rests(Kind::Dead, &names).await? {
            let name = name.trim_start_matches("delivery.").to_owned();
            let Some(((delivery, head), body)) = self.letter(&name).await? else {
                continue;
            };
            let caused = Caused {
                trigger: delivery.trigger,
                revision: delivery.revision,
            };
            match &mut event {
                Some((event, _)) => event.deliveries.push(caused),
                None => {
                    let record = EventRecord {
                        event: head.event,
                        accepted_ms: head.accepted_ms,
                        deliveries: vec![caused],
                        erased_ms: None,
                    };
                    event = Some((record, body));
                }
            }
        }
        Ok(event)
    }

    pub(super) async fn whole_delivery(
        &self,
        id: DeliveryId,
    ) -> Result<Option<(DeliverySummary, Detail)>, JournalError> {
        match self.find(id).await? {
            Some(record) => self.detail(record).await.map(Some),
            None => Ok(None),
        }
    }

    /// A delivery by its number alone.
    pub(super) async fn find(
        &self,
        id: DeliveryId,
    ) -> Result<Option<DeliveryRecord>, JournalError> {
        let filter = format!("delivery.*.{}", token_of(id));
        if let Some(name) = self.rests(Kind::History, &filter).await?.pop()
            && let Some(found) = self.store.get(Kind::History, &name).await?
        {
            return record::read(found.sequence, &found.payload).map(Some);
        }
        if let Some(name) = self.rests(Kind::Dead, &filter).await?.pop()
            && let Some(letter) = self.letter(name.trim_start_matches("delivery.")).await?
        {
            return Ok(Some(letter.0.0));
        }
        // Nobody has begun it.
        let waits = format!("*.*.{}", token_of(id));
        let waits = self.rests(Kind::Deliveries, &waits).await?;
        let event = waits.first().and_then(|name| name.split('.').nth(1));
        let Some(event) = event.and_then(|event| uuid::Uuid::try_parse(event).ok()) else {
            return Ok(None);
        };
        let event = self.event_record(EventId(event)).await?;
        Ok(event.and_then(|(event, _)| {
            let mut caused = event.deliveries.iter();
            let caused = caused.find(|caused| {
                crate::journal::jetstream::streams::number(event.event.id, &caused.trigger) == id
            })?;
            Some(DeliveryRecord::not_begun(&event, caused))
        }))
    }

    async fn detail(
        &self,
        record: DeliveryRecord,
    ) -> Result<(DeliverySummary, Detail), JournalError> {
        let attempts = record.state.attempts.iter().map(|made| Attempt {
            started_ms: made.started_ms,
            ended_ms: made.ended_ms,
            reason: made.reason,
            detail: made.detail.clone(),
            acted: record.state.acted,
        });
        let detail = Detail {
            source: self.source_of(&record.revision).await?,
            attempts: attempts.collect(),
            rendered: record.state.rendered(),
            revision: record.revision.clone(),
            extensions: record.extensions.clone(),
            findings: record.findings.clone(),
            resume: record.resume,
        };
        Ok((summary(&record), detail))
    }
}
