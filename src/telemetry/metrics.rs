//! Every metric, by name.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::journal::Counts;
use crate::journal::upkeep::Room;
use crate::model::verdict::{DeliveryState, Reason, Verdict};

use super::journal::JournalMetrics;
use super::lines::Lines;
use super::tekton::Tekton;

/// Upper bounds of the buckets for times, in seconds.
const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Status {
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Judged {
    verdict: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Ended {
    state: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Why {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    outcome: &'static str,
}

/// The metrics and how they are written.
pub struct Metrics {
    registry: Registry,
    /// Names that do not begin with our own.
    others: Registry,
    pub(super) tekton: Tekton,
    pub(super) requests: Family<Status, Counter>,
    pub(super) request_seconds: Histogram,
    pub(super) verdicts: Family<Judged, Counter>,
    pub(super) duplicates: Counter,
    pub(super) replays: Counter,
    pub(super) deliveries: Family<Ended, Counter>,
    pub(super) delivery_seconds: Histogram,
    pub(super) objects: Counter,
    pub(super) held_back: Family<Why, Counter>,
    pub(super) reloads: Family<Outcome, Counter>,
    pub(super) config_errors: Gauge,
    pub(super) connections: Gauge,
    pub(super) journal_errors: Counter,
    pub(super) journal: JournalMetrics,
    pub(super) api_errors: Counter,
    /// Lines that others can cause as often as they like.
    pub(super) lines: Lines,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tripline"),
            others: Registry::default(),
            tekton: Tekton::default(),
            requests: Family::default(),
            request_seconds: Histogram::new(SECONDS),
            verdicts: Family::default(),
            duplicates: Counter::default(),
            replays: Counter::default(),
            deliveries: Family::default(),
            delivery_seconds: Histogram::new(SECONDS),
            objects: Counter::default(),
            held_back: Family::default(),
            reloads: Family::default(),
            config_errors: Gauge::default(),
            connections: Gauge::default(),
            journal_errors: Counter::default(),
            journal: JournalMetrics::default(),
            api_errors: Counter::default(),
            lines: Lines::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        self.tekton.register(&mut self.others);
        let registry = &mut self.registry;
        registry.register(
            "requests",
            "Requests, by the status they were answered with",
            self.requests.clone(),
        );
        registry.register(
            "request_seconds",
            "From the head of a request to its answer",
            self.request_seconds.clone(),
        );
        registry.register(
            "verdicts",
            "What triggers made of events",
            self.verdicts.clone(),
        );
        registry.register(
            "duplicates",
            "Deliveries that were accepted before",
            self.duplicates.clone(),
        );
        registry.register(
            "replays",
            "Events that were performed once more",
            self.replays.clone(),
        );
        registry.register(
            "deliveries",
            "Deliveries, by the state that an attempt left them in",
            self.deliveries.clone(),
        );
        registry.register(
            "delivery_seconds",
            "From the acceptance of a delivery to its end",
            self.delivery_seconds.clone(),
        );
        registry.register(
            "deliveries_held_back",
            "Times that a delivery went back to the journal to wait for its turn, by what it waits for",
            self.held_back.clone(),
        );
        registry.register("objects", "Objects that were made", self.objects.clone());
        registry.register(
            "reloads",
            "Times that the configuration was read",
            self.reloads.clone(),
        );
        registry.register(
            "config_errors",
            "Mistakes in the configuration that is in force",
            self.config_errors.clone(),
        );
        registry.register(
            "connections",
            "Connections to the ingress",
            self.connections.clone(),
        );
        registry.register(
            "api_errors",
            "Times that the API server did not do what it was asked",
            self.api_errors.clone(),
        );
        registry.register(
            "journal_errors",
            "Times that the journal could not be read or written",
            self.journal_errors.clone(),
        );
        self.journal.register(registry);
        registry.register(
            "lines_left_out",
            "Log lines that were not written because there were too many",
            self.lines.left_out.clone(),
        );
    }

    /// Notes how large the journal is, and what is in it, where that is known.
    pub fn note_journal(&self, room: &Room, counts: Option<&Counts>) {
        self.journal.note_room(room);
        if let Some(counts) = counts {
            self.journal.note_counts(counts);
        }
    }

    /// The text of `/metrics`, in the OpenMetrics format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode_registry(&mut out, &self.others)?;
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

impl Status {
    pub(super) fn of(code: u16) -> Self {
        Self { code }
    }
}

impl Judged {
    pub(super) fn of(verdict: Verdict, reason: Option<Reason>) -> Self {
        Self {
            verdict: verdict.as_str(),
            reason: reason.map_or("", Reason::code),
        }
    }
}

impl Ended {
    pub(super) fn of(state: DeliveryState, reason: Option<Reason>) -> Self {
        Self {
            state: state.as_str(),
            reason: reason.map_or("", Reason::code),
        }
    }
}

impl Why {
    pub(super) fn of(reason: Reason) -> Self {
        let reason = reason.code();
        Self { reason }
    }
}

impl Outcome {
    pub(super) fn of(outcome: &'static str) -> Self {
        Self { outcome }
    }
}
