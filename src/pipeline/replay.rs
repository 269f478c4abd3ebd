//! Events that are performed once more: what is written of those.

use std::sync::Arc;

use crate::catalog::{Listener, Trigger};
use crate::journal::history::{DeliveryRecord, RequestRecord};
use crate::journal::{NewDelivery, NewEvent, Rendered};
use crate::model::ids::EventId;
use crate::render::{self, Origin, RenderError};

use super::accepted::Accepted;
use super::gate::{Acceptance, Windows};

/// The event that replays another one.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Its id, which nothing else has.
    pub id: EventId,
    /// The event that it replays.
    pub of: EventId,
    /// When it is accepted, in milliseconds of Unix time.
    pub now_ms: i64,
}

impl Replay {
    /// The event that fires `deliveries` with what a request has brought.
    pub fn event(&self, request: &RequestRecord, deliveries: Vec<NewDelivery>) -> NewEvent {
        NewEvent {
            id: self.id,
            rerun_id: self.id,
            replay_of: Some(self.of),
            listener: request.summary.listener.clone(),
            proven: request.proven.clone(),
            received_ms: self.now_ms,
            accepted_ms: self.now_ms,
            // It is meant to be performed although its sender's id is known.
            key: None,
            request: request.request.clone(),
            deliveries,
        }
    }

    /// The events that fire what the triggers want that have judged again.
    pub fn judged(&self, accepted: &mut Accepted, listener: &Listener) -> Vec<NewEvent> {
        accepted.event = self.id;
        accepted.identity = None;
        let mut events =
            accepted.new_events(listener, Acceptance::new(self.now_ms), Windows::DEFAULT);
        for event in &mut events {
            event.replay_of = Some(self.of);
            event.rerun_id = self.id;
            for delivery in &mut event.deliveries {
                // There are no credentials among them any more.
                delivery.unsealed = None;
            }
        }
        events
    }

    /// What a trigger made of a request, once more.
    ///
    /// Where interceptors elsewhere have had their say, they are not asked
    /// again where `is_asked_again` does not say so: its parameters are those
    /// of then, and only what comes of the event's id is new.
    pub fn repeated(
        &self,
        trigger: &Trigger,
        recorded: &DeliveryRecord,
        is_asked_again: bool,
    ) -> Result<NewDelivery, RenderError> {
        let answered = recorded.rendered.as_ref();
        let answered = answered.filter(|_| recorded.resume.is_some() && !is_asked_again);
        let rendered = answered.map(|answered| self.render(trigger, answered));
        Ok(NewDelivery {
            trigger: trigger.id().clone(),
            revision: trigger.revision.clone(),
            source: Arc::clone(&trigger.source_json),
            rerun: false,
            extensions: recorded.extensions.clone(),
            findings: recorded.findings.clone(),
            resume: recorded.resume,
            unsealed: None,
            rendered: rendered.transpose()?.map(Arc::new),
        })
    }

    fn render(&self, trigger: &Trigger, answered: &Rendered) -> Result<Rendered, RenderError> {
        let source = &trigger.source;
        let origin = Origin {
            event: self.id,
            trigger: &source.id,
            listener: &source.listener,
            trigger_name: &source.name,
            namespace: &source.namespace,
            uid: self.id.uid_for(&source.id),
        };
        let rendered = render::render(&trigger.template, &answered.params, &origin)?;
        Ok(Rendered {
            params: answered.params.clone(),
            manifests: rendered.manifests,
            as_of: None,
        })
    }
}
