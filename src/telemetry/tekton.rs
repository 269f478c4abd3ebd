//! The metrics that Tekton Triggers has, under its names: dashboards and
//! alerts go on working.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of its buckets, in seconds.
const SECONDS: [f64; 6] = [0.001, 0.01, 0.1, 1.0, 5.0, 10.0];

/// Kinds that are told by name. Who writes templates must not be able to make
/// as many time series as he likes.
const KINDS: [&str; 14] = [
    "PipelineRun",
    "TaskRun",
    "CustomRun",
    "Run",
    "Pipeline",
    "Task",
    "Workflow",
    "Job",
    "CronJob",
    "Deployment",
    "Pod",
    "ConfigMap",
    "Secret",
    "Event",
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Received {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Triggered {
    kind: &'static str,
}

/// Its metrics.
#[derive(Clone)]
pub(super) struct Tekton {
    received: Family<Received, Counter>,
    triggered: Family<Triggered, Counter>,
    seconds: Histogram,
}

impl Default for Tekton {
    fn default() -> Self {
        Self {
            received: Family::default(),
            triggered: Family::default(),
            seconds: Histogram::new(SECONDS),
        }
    }
}

impl Tekton {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "eventlistener_event_received",
            "Requests that were accepted (succeeded), and others (failed)",
            self.received.clone(),
        );
        registry.register(
            "eventlistener_triggered_resources",
            "Objects that were made, by kind",
            self.triggered.clone(),
        );
        registry.register(
            "eventlistener_http_duration_seconds",
            "From the head of a request to its answer",
            self.seconds.clone(),
        );
    }

    /// A request was answered.
    pub(super) fn answered(&self, code: u16, took: Duration) {
        let status = match code {
            200..=299 => "succeeded",
            _ => "failed",
        };
        self.received.get_or_create(&Received { status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// An object was made.
    pub(super) fn made(&self, kind: &str) {
        let known = KINDS.into_iter().find(|known| *known == kind);
        let kind = known.unwrap_or("other");
        self.triggered.get_or_create(&Triggered { kind }).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn its_names_and_labels_are_tekton_s() {
        let (tekton, mut registry) = (Tekton::default(), Registry::default());
        tekton.register(&mut registry);
        tekton.answered(202, Duration::from_millis(5));
        tekton.answered(400, Duration::from_secs(2));
        for kind in ["PipelineRun", "Whatever", "Anything"] {
            tekton.made(kind);
        }
        let mut encoded = String::new();
        text::encode(&mut encoded, &registry).unwrap();
        for line in [
            "eventlistener_event_received_total{status=\"succeeded\"} 1",
            "eventlistener_event_received_total{status=\"failed\"} 1",
            "eventlistener_triggered_resources_total{kind=\"PipelineRun\"} 1",
            "eventlistener_triggered_resources_total{kind=\"other\"} 2",
            "eventlistener_http_duration_seconds_bucket{le=\"0.01\"} 1",
            "eventlistener_http_duration_seconds_count 2",
        ] {
            assert!(encoded.contains(line), "{line} is not in\n{encoded}");
        }
    }
}
