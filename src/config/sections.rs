//! The settings by section, with their defaults.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de};

use crate::catalog::cluster::Claim;
use crate::catalog::services::{Range, Setup, Source};
use crate::ingress::limits::Limits;
use crate::pipeline::Windows;
use crate::telemetry::Format;

use super::ConfigError;

/// The port for senders.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IngressConfig {
    /// Address.
    pub listen: String,
    /// Its certificate; in the clear without one.
    pub tls: TlsConfig,
}

/// A certificate and its key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsConfig {
    /// File of the certificate, and of those that vouch for it, in PEM.
    pub cert: Option<PathBuf>,
    /// File of its private key, in PEM.
    pub key: Option<PathBuf>,
}

/// The port for API servers that ask whether objects may be stored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Address; none, and there is no such port.
    pub listen: Option<String>,
    /// Its certificate. API servers speak TLS alone.
    pub tls: TlsConfig,
}

/// The port for people.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Address. One that others can reach needs a token.
    pub listen: String,
    /// File that holds the bearer token.
    pub token_file: Option<PathBuf>,
}

/// The port for probes and metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProbeConfig {
    /// Address.
    pub listen: String,
}

/// An address that may hold a password. Prints nothing of itself.
#[derive(Clone, Deserialize)]
pub struct SecretUrl(pub String);

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(…)")
    }
}

/// Whom the gateway itself calls.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OutboundConfig {
    /// Networks, addresses and names inside that triggers may name all the
    /// same.
    pub allow: Vec<String>,
    /// Hosts of GitHub Enterprise that events may name.
    pub github_hosts: Vec<String>,
    /// The HTTP proxy to the outside. It may hold a password.
    pub proxy: Option<SecretUrl>,
    /// Names, addresses and networks that are called without it.
    pub no_proxy: Vec<String>,
}

/// The cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeConfig {
    /// Whether triggers come from the cluster, and not from files.
    pub enabled: bool,
    /// The kubeconfig's context; its current one where none is named.
    pub context: Option<String>,
    /// Which listeners are served: `managed` or `all`.
    pub claim: Claim,
    /// The URL of the ingress, as senders reach it; the addresses of listeners
    /// begin with it.
    pub address: String,
    /// Whether all listeners may be claimed while Tekton's controller runs.
    pub force_claim: bool,
    /// Whether Services `el-NAME` of claimed listeners lead to the gateway.
    pub services: bool,
    /// `namespace/name` of the gateway's own Service: behind it are its pods.
    pub service: Option<String>,
    /// Its addresses, where it has no such Service.
    pub endpoints: Vec<IpAddr>,
    /// The ports that claimed listeners get.
    pub ports: Range,
    /// The domain of the cluster.
    pub cluster_domain: String,
}

impl Default for KubeConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            context: None,
            claim: Claim::default(),
            address: "http://tripline.tripline.svc.cluster.local".into(),
            force_claim: false,
            services: true,
            service: None,
            endpoints: Vec::new(),
            ports: Range::default(),
            cluster_domain: "cluster.local".into(),
        }
    }
}

impl KubeConfig {
    /// Most ports that listeners may have of their own.
    pub fn listener_ports(&self) -> usize {
        let setup = self.services().ok().flatten();
        let has_some = self.enabled && setup.is_some_and(|setup| setup.source.is_some());
        if has_some { self.ports.len() } else { 0 }
    }

    /// How Services are kept. Nothing where nobody has said where the gateway
    /// is: such a one leaves all Services as they are.
    pub fn services(&self) -> Result<Option<Setup>, ConfigError> {
        let setup = |source| Setup {
            range: self.ports,
            domain: self.cluster_domain.clone(),
            source,
        };
        if !self.services {
            return Ok(Some(setup(None)));
        }
        if !self.endpoints.is_empty() {
            return Ok(Some(setup(Some(Source::Fixed(self.endpoints.clone())))));
        }
        let Some(service) = self.service.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        match service.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                let (namespace, name) = (namespace.to_owned(), name.to_owned());
                Ok(Some(setup(Some(Source::Service { namespace, name }))))
            }
            _ => Err(ConfigError::Invalid {
                key: "kube.service",
                message: format!("`{service}` is no Service; write NAMESPACE/NAME"),
            }),
        }
    }
}

/// The bounds that can be set. `ingress::limits` says what each is for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsConfig {
    pub(super) body: ByteSize,
    pub(super) in_flight: ByteSize,
    pub(super) head: ByteSize,
    pub(super) headers: usize,
    /// How long a head may take, and a handshake.
    #[serde(deserialize_with = "span")]
    pub head_time: Duration,
    #[serde(deserialize_with = "span")]
    pub(super) body_time: Duration,
    #[serde(deserialize_with = "span")]
    pub(super) total_time: Duration,
    pub(super) connections: usize,
    pub(super) deferred_events: usize,
    pub(super) deferred_bytes: ByteSize,
    pub(super) waiting_events: usize,
    pub(super) waiting_bytes: ByteSize,
    /// How long an event may wait until somebody can decide on it.
    #[serde(deserialize_with = "span")]
    pub deferred_time: Duration,
    /// How long a trigger must be gone to count as deleted.
    #[serde(deserialize_with = "span")]
    pub deleted_after: Duration,
    pub(super) refusals_per_second: u32,
    pub(super) journal_size: ByteSize,
    pub(super) journal_free: ByteSize,
}

/// How long deliveries are known when they come again.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DedupeConfig {
    /// Those that their senders have given an id.
    #[serde(deserialize_with = "span")]
    pub window: Duration,
    /// Those that are recognised by their bytes alone.
    #[serde(deserialize_with = "span")]
    pub hash_window: Duration,
}

impl Default for DedupeConfig {
    fn default() -> Self {
        Self {
            window: Windows::DEFAULT.id,
            hash_window: Windows::DEFAULT.hash,
        }
    }
}

/// How the gateway stops.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DrainConfig {
    /// How long it still accepts after it has told that it is not ready.
    #[serde(deserialize_with = "span")]
    pub delay: Duration,
    /// How long everything may take after that.
    #[serde(deserialize_with = "span")]
    pub grace: Duration,
}

/// Lines on standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogConfig {
    /// How they are written.
    pub format: Format,
    /// Which are written.
    pub level: String,
}

impl TlsConfig {
    /// Both files, or neither; else the one that is missing.
    pub fn files(&self) -> Result<Option<(&Path, &Path)>, &'static str> {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
            (None, None) => Ok(None),
            (Some(_), None) => Err("key"),
            (None, Some(_)) => Err("cert"),
        }
    }
}

impl Default for IngressConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            tls: TlsConfig::default(),
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9000".into(),
            token_file: None,
        }
    }
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9001".into(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = Limits::DEFAULT;
        let size = |bytes: usize| ByteSize::b(bytes as u64);
        Self {
            body: size(limits.body),
            in_flight: size(limits.in_flight),
            head: size(limits.head),
            headers: limits.headers,
            head_time: limits.head_time,
            body_time: limits.body_time,
            total_time: limits.total_time,
            connections: limits.connections,
            deferred_events: limits.deferred_events,
            deferred_bytes: size(limits.deferred_bytes),
            waiting_events: limits.waiting_events,
            waiting_bytes: size(limits.waiting_bytes),
            deferred_time: Duration::from_secs(24 * 60 * 60),
            deleted_after: Duration::from_secs(60),
            refusals_per_second: limits.refusals_per_second,
            journal_size: ByteSize::gib(10),
            journal_free: ByteSize::mib(64),
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5),
            grace: Duration::from_secs(20),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            level: "info".into(),
        }
    }
}

/// A time, or nothing for "never".
pub(super) fn span_or_never<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    struct Span(#[serde(deserialize_with = "span")] Duration);
    let span = Option::<Span>::deserialize(deserializer)?;
    Ok(span.map(|Span(time)| time))
}

/// A time such as `10s`, `5m` or `1h30m`.
pub(super) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed: jiff::SignedDuration = text.parse().map_err(|error| {
        de::Error::custom(format!("`{text}` is no time such as 10s or 5m: {error}"))
    })?;
    Duration::try_from(parsed).map_err(|_| de::Error::custom(format!("`{text}` is negative")))
}
