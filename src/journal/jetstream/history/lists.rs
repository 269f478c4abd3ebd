//! Lists of events, deliveries and what waits.

use bytes::Bytes;

use crate::journal::JournalError;
use crate::journal::history::{
    DeliveryFilter, DeliverySummary, EventFilter, EventSummary, Page, Paging, SenderId,
    WaitingSummary,
};
use crate::journal::jetstream::JetStreamJournal;
use crate::journal::jetstream::record::{
    self, DeliveryHead, DeliveryRecord, EventRecord, WaitingHead,
};
use crate::journal::jetstream::store::Stored;
use crate::journal::jetstream::streams::{Kind, number};
use crate::model::verdict::DeliveryState;

use super::Backwards;

impl JetStreamJournal {
    pub(super) async fn list_events(
        &self,
        filter: EventFilter,
        page: Paging,
    ) -> Result<Page<EventSummary>, JournalError> {
        let mut found =
            Backwards::new(self, Kind::History, "event.*", page.cursor.as_ref()).await?;
        let (mut items, mut last) = (Vec::new(), None);
        while items.len() < page.limit.max(1)
            && let Some(stored) = found.next().await?
        {
            last = Some(stored.sequence);
            let (event, _): (EventRecord, Bytes) =
                record::read_with(stored.sequence, stored.payload)?;
            if !may_fit(&filter, &event) {
                continue;
            }
            let summary = self.summary_of(&event).await?;
            let fits = |delivery: &DeliverySummary| {
                let trigger = filter.trigger.as_ref();
                trigger.is_none_or(|trigger| *trigger == delivery.trigger)
                    && (filter.states.is_empty()
                        || filter.states.contains(&delivery.progress.state))
                    && (filter.reason.is_none() || filter.reason == delivery.progress.reason)
            };
            if !filter.asks_for_deliveries() || summary.deliveries.iter().any(fits) {
                items.push(summary);
            }
        }
        let next = found.cursor(last);
        Ok(Page { items, next })
    }

    /// What a list says of an event.
    pub(super) async fn summary_of(
        &self,
        record: &EventRecord,
    ) -> Result<EventSummary, JournalError> {
        let mut deliveries = Vec::new();
        for caused in &record.deliveries {
            deliveries.push(summary(&self.delivery_record(record, caused).await?));
        }
        let event = &record.event;
        let sender = event.sender.clone();
        Ok(EventSummary {
            id: event.id,
            replay_of: event.replay_of,
            listener: event.listener.clone(),
            received_ms: event.received_ms,
            sender: sender.map(|(sender, delivery)| SenderId { sender, delivery }),
            erased_ms: record.erased_ms,
            deliveries,
        })
    }

    pub(super) async fn list_deliveries(
        &self,
        filter: DeliveryFilter,
        page: Paging,
    ) -> Result<Page<DeliverySummary>, JournalError> {
        let only_dead = filter.states == [DeliveryState::Dead];
        let (kind, rest) = match only_dead {
            true => (Kind::Dead, "delivery.>"),
            false => (Kind::History, "event.*"),
        };
        // One event has several deliveries: a cursor tells how many of them the
        // page before has given.
        let cursor = page.cursor.as_ref().map(|cursor| split(cursor));
        let (cursor, given) = cursor.transpose()?.unzip();
        let mut skipped = given.unwrap_or(0);
        let mut found = Backwards::new(self, kind, rest, cursor.as_ref()).await?;
        let (mut items, mut last) = (Vec::new(), None);
        while let Some(stored) = found.next().await? {
            let sequence = stored.sequence;
            let all = self.deliveries_in(kind, stored).await?;
            for (index, delivery) in all.iter().enumerate().skip(skipped) {
                let at_ms = match only_dead {
                    true => delivery.updated_ms,
                    false => delivery.progress.accepted_ms,
                };
                if !fits(&filter, delivery, at_ms) {
                    continue;
                }
                if items.len() >= page.limit.max(1) {
                    let next = Some(format!("{}-{index}", sequence + 1));
                    return Ok(Page { items, next });
                }
                items.push(delivery.clone());
            }
            skipped = 0;
            last = Some(sequence);
        }
        let next = found.cursor(last).map(|below| format!("{below}-0"));
        Ok(Page { items, next })
    }

    async fn deliveries_in(
        &self,
        kind: Kind,
        stored: Stored,
    ) -> Result<Vec<DeliverySummary>, JournalError> {
        if kind == Kind::Dead {
            let ((delivery, _), _): ((DeliveryRecord, DeliveryHead), Bytes) =
                record::read_with(stored.sequence, stored.payload)?;
            return Ok(vec![summary(&delivery)]);
        }
        let (event, _): (EventRecord, Bytes) = record::read_with(stored.sequence, stored.payload)?;
        Ok(self.summary_of(&event).await?.deliveries)
    }

    pub(super) async fn list_waiting(
        &self,
        page: Paging,
    ) -> Result<Page<WaitingSummary>, JournalError> {
        // First what waits, then what was given up.
        let cursor = page.cursor.as_deref().map(|cursor| cursor.split_once('-'));
        let (kind, below) = match cursor {
            None => (Kind::Waiting, None),
            Some(Some(("w", below))) => (Kind::Waiting, Some(below.to_owned())),
            Some(Some(("d", ""))) => (Kind::Dead, None),
            Some(Some(("d", below))) => (Kind::Dead, Some(below.to_owned())),
            Some(_) => return Err(JournalError::Cursor),
        };
        let rest = match kind {
            Kind::Waiting => "event.>",
            _ => "waited.>",
        };
        let mut found = Backwards::new(self, kind, rest, below.as_ref()).await?;
        let (mut items, mut last) = (Vec::new(), None);
        while items.len() < page.limit.max(1)
            && let Some(stored) = found.next().await?
        {
            last = Some(stored.sequence);
            let (head, body): (WaitingHead, Bytes) =
                record::read_with(stored.sequence, stored.payload)?;
            items.push(WaitingSummary {
                event: head.event,
                listener: head.listener,
                triggers: head.triggers,
                verified: head.verified,
                received_ms: head.received_ms,
                given_up_ms: head.given_up_ms,
                body_bytes: body.len(),
            });
        }
        let next = match (kind, found.cursor(last)) {
            (Kind::Waiting, Some(below)) => Some(format!("w-{below}")),
            (Kind::Waiting, None) => Some("d-".to_owned()),
            (_, below) => below.map(|below| format!("d-{below}")),
        };
        Ok(Page { items, next })
    }
}

fn split(cursor: &str) -> Result<(String, usize), JournalError> {
    let (below, given) = cursor.split_once('-').ok_or(JournalError::Cursor)?;
    let given = given.parse().map_err(|_| JournalError::Cursor)?;
    Ok((below.to_owned(), given))
}

/// Whether an event fits as far as its own record tells.
fn may_fit(filter: &EventFilter, record: &EventRecord) -> bool {
    let event = &record.event;
    let sender = event.sender.as_ref();
    let listener = filter.listener.as_ref();
    listener.is_none_or(|listener| *listener == event.listener)
        && filter.from_ms.is_none_or(|from| event.received_ms >= from)
        && filter
            .until_ms
            .is_none_or(|until| event.received_ms < until)
        && (filter.sender.is_none() || filter.sender.as_ref() == sender.map(|(who, _)| who))
        && (filter.delivery_id.is_none() || filter.delivery_id.as_ref() == sender.map(|(_, id)| id))
        && (filter.replay_of.is_none() || filter.replay_of == event.replay_of)
}

fn fits(filter: &DeliveryFilter, delivery: &DeliverySummary, at_ms: i64) -> bool {
    let listener = filter.listener.as_ref();
    let trigger = filter.trigger.as_ref();
    listener.is_none_or(|listener| *listener == delivery.listener)
        && trigger.is_none_or(|trigger| *trigger == delivery.trigger)
        && (filter.states.is_empty() || filter.states.contains(&delivery.progress.state))
        && (filter.reason.is_none() || filter.reason == delivery.progress.reason)
        && filter.from_ms.is_none_or(|from| at_ms >= from)
        && filter.until_ms.is_none_or(|until| at_ms < until)
        && !(filter.unreplayed && delivery.replayed_by.is_some())
}

/// What a list says of a delivery.
pub(super) fn summary(record: &DeliveryRecord) -> DeliverySummary {
    DeliverySummary {
        id: number(record.event, &record.trigger),
        event: record.event,
        listener: record.listener.clone(),
        trigger: record.trigger.clone(),
        progress: record.state.progress(),
        updated_ms: record.updated_ms,
        replayed_by: record.replayed_by,
    }
}
