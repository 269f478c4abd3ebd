//! The happenings: one struct each, with its line and its metrics.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::model::ids::{DeliveryId, EventId, ListenerId, TriggerId};
use crate::model::verdict::{DeliveryState, Reason, Verdict};

use super::journal::Refused;
use super::metrics::{Ended, Judged, Metrics, Outcome, Status};

mod around;
mod journal;

pub use journal::{JournalRefuses, JournalTakes};

pub use around::{
    CertificateChanged, ClusterFailed, DeliveryHeldBack, EventErased, EventReplayed, LifecycleLost,
    PortFailed,
};

/// Something that whoever runs the gateway may want to know.
pub trait Happening {
    /// Writes the line and counts.
    fn emit(&self, metrics: &Metrics);
}

/// A request was answered.
pub struct RequestAnswered<'a> {
    /// The id that the answer carries.
    pub event: EventId,
    /// Namespace and name of the listener, where there is one.
    pub listener: Option<&'a ListenerId>,
    /// The status.
    pub status: u16,
    /// Why, where it was not accepted.
    pub reason: Option<Reason>,
    /// Bytes of the body.
    pub bytes: usize,
    /// From the head of the request to the answer.
    pub took: Duration,
}

impl Happening for RequestAnswered<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics
            .requests
            .get_or_create(&Status::of(self.status))
            .inc();
        metrics.request_seconds.observe(self.took.as_secs_f64());
        metrics.tekton.answered(self.status, self.took);
        let listener = self.listener.map(ToString::to_string).unwrap_or_default();
        let reason = self.reason.map_or("", Reason::code);
        let (status, bytes, event) = (self.status, self.bytes, self.event);
        let took_us = micros(self.took);
        match status {
            200..=299 => debug!(%event, listener, status, bytes, took_us, "request accepted"),
            // Whoever is refused may be anybody, as often as he likes.
            400..=499 => {
                debug!(%event, listener, status, reason, bytes, took_us, "request refused")
            }
            _ => metrics.lines.write(|| {
                warn!(%event, listener, status, reason, bytes, took_us, "request not accepted");
            }),
        }
    }
}

/// A trigger looked at an event.
pub struct TriggerJudged<'a> {
    /// The event.
    pub event: EventId,
    /// The trigger.
    pub trigger: &'a TriggerId,
    /// What it made of it.
    pub verdict: Verdict,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// What was compared with what.
    pub detail: Option<&'a str>,
    /// Whether its delivery was accepted before.
    pub duplicate: bool,
}

impl TriggerJudged<'_> {
    /// Whether anybody reads why a trigger did not match.
    pub fn is_explained() -> bool {
        tracing::enabled!(tracing::Level::DEBUG)
    }
}

impl Happening for TriggerJudged<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics
            .verdicts
            .get_or_create(&Judged::of(self.verdict, self.reason))
            .inc();
        if self.duplicate {
            metrics.duplicates.inc();
        }
        let reason = self.reason.map_or("", Reason::code);
        let detail = self.detail.unwrap_or_default();
        let (event, trigger, verdict) = (self.event, self.trigger, self.verdict);
        let duplicate = self.duplicate;
        match verdict {
            Verdict::Matched => info!(%event, %trigger, %verdict, duplicate, "trigger matched"),
            Verdict::Failed | Verdict::Deferred => metrics.lines.write(|| {
                warn!(%event, %trigger, %verdict, reason, detail, "trigger could not decide");
            }),
            _ => debug!(%event, %trigger, %verdict, reason, detail, "trigger did not match"),
        }
    }
}

/// An attempt to perform a delivery has ended.
pub struct DeliveryAttempted<'a> {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The event that it stands for.
    pub event: EventId,
    /// The trigger.
    pub trigger: &'a TriggerId,
    /// The state that the attempt left it in.
    pub state: DeliveryState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// The failure in a sentence, or what its author should know although it
    /// worked.
    pub detail: Option<&'a str>,
    /// Objects of the delivery that are where they belong.
    pub objects: usize,
    /// Those of them that this attempt has made, or found made.
    pub made: usize,
    /// The kinds of those that this attempt has made.
    pub kinds: &'a [String],
    /// Since it was accepted.
    pub age: Duration,
}

impl Happening for DeliveryAttempted<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics
            .deliveries
            .get_or_create(&Ended::of(self.state, self.reason))
            .inc();
        metrics.objects.inc_by(self.made as u64);
        self.kinds.iter().for_each(|kind| metrics.tekton.made(kind));
        if self.state.is_final() {
            metrics.delivery_seconds.observe(self.age.as_secs_f64());
        }
        let reason = self.reason.map_or("", Reason::code);
        let detail = self.detail.unwrap_or_default();
        let (delivery, event, trigger, state) =
            (self.delivery.0, self.event, self.trigger, self.state);
        let objects = self.objects;
        match state {
            DeliveryState::Done => {
                info!(delivery, %event, %trigger, objects, detail = self.detail, "delivery done");
            }
            DeliveryState::Dead => {
                error!(delivery, %event, %trigger, reason, detail, "delivery given up");
            }
            DeliveryState::Cancelled if self.reason != Some(Reason::TriggerDeleted) => {
                debug!(delivery, %event, %trigger, reason, detail, "delivery not wanted");
            }
            DeliveryState::Cancelled => {
                warn!(delivery, %event, %trigger, reason, "delivery cancelled");
            }
            DeliveryState::Pending | DeliveryState::Running | DeliveryState::Retrying => {
                warn!(delivery, %event, %trigger, %state, reason, detail, "delivery not done yet");
            }
        }
    }
}

/// A trigger has decided on an event that waited, or will never do so.
pub struct DeferralSettled<'a> {
    /// The id that the sender was told.
    pub told: EventId,
    /// The id that the event has now.
    pub event: EventId,
    /// The trigger that it waited for.
    pub trigger: &'a TriggerId,
    /// What the trigger makes of it now.
    pub verdict: Verdict,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
}

impl Happening for DeferralSettled<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics
            .verdicts
            .get_or_create(&Judged::of(self.verdict, self.reason))
            .inc();
        let reason = self.reason.map_or("", Reason::code);
        let (told, event, trigger, verdict) = (self.told, self.event, self.trigger, self.verdict);
        info!(%told, %event, %trigger, %verdict, reason, "waiting event decided");
    }
}

/// An event that waited was given up.
pub struct DeferralLost<'a> {
    /// The id that the sender was told.
    pub event: EventId,
    /// Why.
    pub message: &'a str,
    /// Whether it is kept for somebody to look at.
    pub kept: bool,
}

impl Happening for DeferralLost<'_> {
    fn emit(&self, _: &Metrics) {
        let (event, why, kept) = (self.event, self.message, self.kept);
        error!(%event, why, kept, "waiting event given up");
    }
}

/// The configuration was read.
pub struct ConfigLoaded {
    /// Listeners in force.
    pub listeners: usize,
    /// Triggers in force.
    pub triggers: usize,
    /// Mistakes because of which something does not work.
    pub errors: usize,
    /// Other mistakes.
    pub warnings: usize,
    /// How long it took.
    pub took: Duration,
}

impl Happening for ConfigLoaded {
    fn emit(&self, metrics: &Metrics) {
        let outcome = if self.errors == 0 {
            "good"
        } else {
            "with_errors"
        };
        metrics.reloads.get_or_create(&Outcome::of(outcome)).inc();
        metrics
            .config_errors
            .set(i64::try_from(self.errors).unwrap_or(i64::MAX));
        let (listeners, triggers) = (self.listeners, self.triggers);
        let (errors, warnings) = (self.errors, self.warnings);
        let took_ms = micros(self.took) / 1000;
        if errors == 0 {
            info!(
                listeners,
                triggers, warnings, took_ms, "configuration loaded"
            );
        } else {
            warn!(
                listeners,
                triggers,
                errors,
                warnings,
                took_ms,
                "configuration loaded with errors; what is bad keeps its last good version"
            );
        }
    }
}

/// Something is wrong with the configuration.
pub struct ConfigMistake<'a> {
    /// `file:line:col: message`.
    pub diagnostic: &'a str,
    /// Whether something does not work because of it.
    pub is_error: bool,
}

impl Happening for ConfigMistake<'_> {
    fn emit(&self, _: &Metrics) {
        if self.is_error {
            error!("{}", self.diagnostic);
        } else {
            warn!("{}", self.diagnostic);
        }
    }
}

/// The configuration could not be read or watched.
pub struct ConfigFailed<'a> {
    /// What went wrong.
    pub message: &'a str,
}

impl Happening for ConfigFailed<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.reloads.get_or_create(&Outcome::of("failed")).inc();
        error!("{}; what was in force stays in force", self.message);
    }
}

/// The journal could not be read or written.
pub struct JournalFailed<'a> {
    /// What it was about.
    pub what: &'static str,
    /// What the journal says.
    pub error: &'a crate::journal::JournalError,
}

impl Happening for JournalFailed<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.journal_errors.inc();
        if let crate::journal::JournalError::Refused(refusal) = self.error {
            let reason = Refused::of(refusal.code());
            metrics.journal.refused.get_or_create(&reason).inc();
        }
        metrics
            .lines
            .write(|| error!(what = self.what, "{}", self.error));
    }
}

/// Somebody has connected to the ingress.
pub struct ConnectionOpened;

impl Happening for ConnectionOpened {
    fn emit(&self, metrics: &Metrics) {
        metrics.connections.inc();
    }
}

/// A connection to the ingress has ended.
pub struct ConnectionClosed;

impl Happening for ConnectionClosed {
    fn emit(&self, metrics: &Metrics) {
        metrics.connections.dec();
    }
}

/// The system lets this process open fewer files than there may be connections.
pub struct ConnectionsCapped {
    /// Connections that the settings allow.
    pub wanted: usize,
    /// Connections that there can be.
    pub at_most: usize,
}

impl Happening for ConnectionsCapped {
    fn emit(&self, _: &Metrics) {
        warn!(
            wanted = self.wanted,
            at_most = self.at_most,
            "too few files may be open for limits.connections; raise the limit (ulimit -n)"
        );
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
