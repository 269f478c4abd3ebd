//! What happens around the gateway: the API server, ports, certificates, and
//! those whom it tells.

use tracing::{info, warn};

use crate::model::ids::{EventId, ListenerId};
use crate::model::verdict::Reason;
use crate::telemetry::metrics::{Metrics, Why};

use super::Happening;

/// A CloudEvent about an event could not be sent.
pub struct LifecycleLost<'a> {
    /// Where it was to go.
    pub uri: &'a str,
    /// Why not.
    pub error: &'a str,
}

impl Happening for LifecycleLost<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.lines.write(|| {
            warn!(
                uri = self.uri,
                error = self.error,
                "a CloudEvent about an event was not sent"
            )
        });
    }
}

/// A delivery went back to the journal to wait for its turn.
pub struct DeliveryHeldBack {
    /// What it waits for.
    pub reason: Reason,
}

impl Happening for DeliveryHeldBack {
    fn emit(&self, metrics: &Metrics) {
        metrics.held_back.get_or_create(&Why::of(self.reason)).inc();
    }
}

/// The API server did not do what it was asked.
pub struct ClusterFailed<'a> {
    /// What it was about.
    pub what: &'a str,
    /// What came of it.
    pub error: &'a str,
}

impl Happening for ClusterFailed<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.api_errors.inc();
        metrics.lines.write(|| {
            warn!(
                what = self.what,
                error = self.error,
                "the API server failed"
            )
        });
    }
}

/// The port of a listener could not be opened.
pub struct PortFailed<'a> {
    /// The listener.
    pub listener: &'a ListenerId,
    /// Why.
    pub error: &'a crate::ingress::server::BindError,
}

impl Happening for PortFailed<'_> {
    fn emit(&self, metrics: &Metrics) {
        let (listener, error) = (self.listener, self.error);
        let cause = std::error::Error::source(error).map(ToString::to_string);
        metrics.lines.write(|| {
            warn!(%listener, %error, cause, "the port of a listener cannot be opened");
        });
    }
}

/// The files of a certificate have changed.
pub struct CertificateChanged<'a>(pub &'a crate::ingress::tls::Look);

impl Happening for CertificateChanged<'_> {
    fn emit(&self, _: &Metrics) {
        use crate::ingress::tls::Look;
        match self.0 {
            Look::Replaced => info!("another certificate is in force"),
            Look::Refused(error) => {
                let cause = std::error::Error::source(error);
                let cause = cause.map(ToString::to_string).unwrap_or_default();
                warn!(%error, cause, "a new certificate cannot be used; the old one stays in force");
            }
        }
    }
}

/// An event is performed once more because somebody wants that.
pub struct EventReplayed {
    /// The event that stands for it now.
    pub event: EventId,
    /// The event that it replays.
    pub of: EventId,
    /// How many deliveries it causes.
    pub deliveries: usize,
    /// Whether its triggers are those of then.
    pub as_recorded: bool,
}

impl Happening for EventReplayed {
    fn emit(&self, metrics: &Metrics) {
        metrics.replays.inc();
        let (event, replay_of) = (self.event, self.of);
        let (deliveries, as_recorded) = (self.deliveries, self.as_recorded);
        info!(%event, %replay_of, deliveries, as_recorded, "event replayed");
    }
}

/// The payload of an event was erased because somebody wants that.
pub struct EventErased {
    /// The event.
    pub event: EventId,
    /// Deliveries that were cancelled for it.
    pub cancelled: usize,
}

impl Happening for EventErased {
    fn emit(&self, _: &Metrics) {
        let (event, cancelled) = (self.event, self.cancelled);
        info!(%event, cancelled, "event erased");
    }
}
