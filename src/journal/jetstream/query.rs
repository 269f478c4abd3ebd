//! What is asked about deliveries that nobody's delivery waits for.

use futures_util::TryStreamExt;

use crate::journal::{Counts, DeliveryView, JournalError};
use crate::model::ids::EventId;
use crate::model::verdict::DeliveryState;

use super::JetStreamJournal;
use super::record::{self, Caused, DeliveryRecord, EventRecord};
use super::store::remote;
use super::streams::{Kind, PARTITIONS, number, token};

impl JetStreamJournal {
    /// The deliveries of an event.
    pub(super) async fn views_of(&self, event: EventId) -> Result<Vec<DeliveryView>, JournalError> {
        let mut views = Vec::new();
        let Some((record, _)) = self.event_record(event).await? else {
            return Ok(views);
        };
        for caused in &record.deliveries {
            let delivery = self.delivery_record(&record, caused).await?;
            views.push(DeliveryView {
                id: number(event, &caused.trigger),
                trigger: caused.trigger.clone(),
                progress: delivery.state.progress(),
                rendered: delivery.state.rendered(),
            });
        }
        Ok(views)
    }

    /// What is known of a delivery of an event.
    pub(super) async fn delivery_record(
        &self,
        event: &EventRecord,
        caused: &Caused,
    ) -> Result<DeliveryRecord, JournalError> {
        let name = format!("delivery.{}", token(event.event.id, &caused.trigger));
        match self.store.get(Kind::History, &name).await? {
            Some(found) => record::read(found.sequence, &found.payload),
            None => Ok(DeliveryRecord::not_begun(event, caused)),
        }
    }

    /// How much the streams hold.
    pub(super) async fn count(&self) -> Result<Counts, JournalError> {
        let held = self.held.len() as u64;
        let (mut pending, mut under_way) = (0, 0);
        let deliveries = self.store.stream(Kind::Deliveries).await?;
        for partition in 0..PARTITIONS {
            let name = format!("gateways-{partition}");
            let info = deliveries.consumer_info(&name).await;
            let info = info.map_err(|error| remote(format!("consumer {name}: {error}")))?;
            pending += info.num_pending;
            under_way += info.num_ack_pending as u64;
        }
        Ok(Counts {
            deliveries: vec![
                (DeliveryState::Pending, pending),
                (DeliveryState::Running, held),
                (DeliveryState::Retrying, under_way.saturating_sub(held)),
                (
                    DeliveryState::Dead,
                    self.messages(Kind::Dead, "delivery.>").await?,
                ),
            ],
            deferred: self.messages(Kind::Waiting, ">").await?,
            given_up: self.messages(Kind::Dead, "waited.>").await?,
        })
    }

    /// What follows the stream's own part in its subjects that match.
    pub(super) async fn rests(&self, kind: Kind, rest: &str) -> Result<Vec<String>, JournalError> {
        let filter = self.names.subject(kind, rest);
        let own = filter.len() - rest.len();
        let fail = |error: &dyn std::fmt::Display| remote(format!("{filter}: {error}"));
        let stream = self.store.stream(kind).await?;
        let listed = stream.info_with_subjects(filter.as_str()).await;
        let listed = listed.map_err(|error| fail(&error))?;
        let listed: Vec<(String, usize)> =
            listed.try_collect().await.map_err(|error| fail(&error))?;
        Ok(listed
            .into_iter()
            .map(|(name, _)| name[own..].to_owned())
            .collect())
    }

    async fn messages(&self, kind: Kind, rest: &str) -> Result<u64, JournalError> {
        let filter = self.names.subject(kind, rest);
        let fail = |error: &dyn std::fmt::Display| remote(format!("{filter}: {error}"));
        let stream = self.store.stream(kind).await?;
        let listed = stream.info_with_subjects(filter.as_str()).await;
        let mut listed = listed.map_err(|error| fail(&error))?;
        let mut count = 0;
        while let Some((_, messages)) = listed.try_next().await.map_err(|error| fail(&error))? {
            count += messages as u64;
        }
        Ok(count)
    }

    /// Whether a delivery could be written now.
    pub(super) async fn probe(&self) -> Result<(), JournalError> {
        self.store.connected()?;
        let stream = self.store.stream(Kind::Deliveries).await?;
        let info = stream.get_info().await;
        let info = info.map_err(|error| remote(error.to_string()))?;
        match info.cluster {
            Some(cluster) if cluster.leader.is_none() => {
                Err(remote("the stream of deliveries has no leader"))
            }
            _ => Ok(()),
        }
    }
}
