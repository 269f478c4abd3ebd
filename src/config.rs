//! The gateway's own settings: defaults, then `tripline.yaml`, then
//! `TRIPLINE_*` variables, then flags. The only reader of the environment.
//!
//! In: a file, the environment. Out: settings that have been checked. Unknown
//! keys are errors that name the key.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use config::{Environment, File, FileFormat};
use serde::Deserialize;

use crate::ingress::limits::Limits;
use crate::outbound::{Client, Guard, Proxy};
use crate::telemetry;

mod flow;
mod journal;
mod keeping;
mod retry;
mod sections;

pub use flow::{FlowConfig, FlowLimits};
pub use journal::{JournalPlace, Nats, NatsConfig};
pub use retry::RetryConfig;
use sections::span_or_never;
pub use sections::{
    AdminConfig, DedupeConfig, DrainConfig, IngressConfig, KubeConfig, LimitsConfig, LogConfig,
    OutboundConfig, ProbeConfig, SecretUrl, TlsConfig, WebhookConfig,
};

/// Where settings are read from when nobody names a file.
const DEFAULT_FILE: &str = "tripline.yaml";

/// Where objects go when nobody says.
const DEFAULT_SINK: &str = "out";

/// Triggers that are read when nobody names any.
const DEFAULT_TRIGGERS: [&str; 3] = ["bindings", "templates", "deploy/quickstart"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Folders and files of triggers.
    pub triggers: Vec<PathBuf>,
    /// Folders of secrets.
    pub secret_dirs: Vec<PathBuf>,
    /// The port for senders.
    pub ingress: IngressConfig,
    /// The port for people.
    pub admin: AdminConfig,
    /// The port for probes and metrics.
    pub probe: ProbeConfig,
    /// The port for API servers, where there is one.
    pub webhook: WebhookConfig,
    /// The folder that holds what must survive a restart.
    pub data: PathBuf,
    /// `sqlite:PATH`, `nats://HOST:PORT` or `tls://HOST:PORT`; the file
    /// `journal.db` in the data folder where it is empty.
    pub journal: String,
    /// The streams of a journal on a NATS server.
    pub nats: NatsConfig,
    /// Where objects go: `dir:PATH`, `stdout` or `kube`. Empty: into the cluster
    /// where triggers come from there, else `dir:out`.
    pub sink: String,
    /// `namespace/name` of the listener under `/`.
    pub default_listener: Option<String>,
    /// How long a delivery is kept that ended well or was cancelled; for good
    /// where there is none.
    #[serde(deserialize_with = "span_or_never")]
    pub retention: Option<Duration>,
    /// How long a delivery is kept that was given up.
    #[serde(deserialize_with = "span_or_never")]
    pub dead_retention: Option<Duration>,
    /// How long an event is kept that has waited for too long.
    #[serde(deserialize_with = "span_or_never")]
    pub given_up_retention: Option<Duration>,
    /// How often and how long deliveries are tried.
    pub retry: RetryConfig,
    /// How long the payload of an event is kept that is not under way; as long
    /// as the event where there is none.
    #[serde(deserialize_with = "span_or_never")]
    pub payload_retention: Option<Duration>,
    /// How long deliveries are known when they come again.
    pub dedupe: DedupeConfig,
    /// The cluster.
    pub kube: KubeConfig,
    /// Whom the gateway itself calls.
    pub outbound: OutboundConfig,
    /// The bounds.
    pub limits: LimitsConfig,
    /// How much is performed at once, and how often.
    pub flow: FlowConfig,
    /// How it stops.
    pub drain: DrainConfig,
    /// Lines.
    pub log: LogConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            triggers: DEFAULT_TRIGGERS.map(PathBuf::from).into(),
            secret_dirs: Vec::new(),
            ingress: IngressConfig::default(),
            admin: AdminConfig::default(),
            probe: ProbeConfig::default(),
            webhook: WebhookConfig::default(),
            data: ".tripline".into(),
            journal: String::new(),
            nats: NatsConfig::default(),
            sink: String::new(),
            default_listener: None,
            retention: Some(7 * DAY),
            dead_retention: None,
            given_up_retention: Some(30 * DAY),
            retry: RetryConfig::default(),
            payload_retention: None,
            dedupe: DedupeConfig::default(),
            kube: KubeConfig::default(),
            outbound: OutboundConfig::default(),
            limits: LimitsConfig::default(),
            flow: FlowConfig::default(),
            drain: DrainConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source of settings cannot be read, or has something unknown in it.
    #[error("settings: {0}")]
    Read(#[from] config::ConfigError),
    /// A setting makes no sense.
    #[error("settings: {key}: {message}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// What is wrong with it and what would be right.
        message: String,
    },
}

/// Where objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Files below a folder.
    Folder(PathBuf),
    /// Standard output.
    Stdout,
    /// Objects in the cluster.
    Cluster,
}

impl Config {
    /// The client for whatever the gateway itself calls.
    pub fn client(&self) -> Result<Client, ConfigError> {
        let guard = Guard::new(&self.outbound.allow).map_err(|entry| ConfigError::Invalid {
            key: "outbound.allow",
            message: format!("`{entry}` is no address, no network such as 10.0.0.0/8 and no name"),
        })?;
        let proxy = self.outbound.proxy.as_ref();
        let proxy = proxy.map(|url| Proxy::new(&url.0, &self.outbound.no_proxy));
        let proxy = proxy.transpose().map_err(|message| ConfigError::Invalid {
            key: "outbound.proxy",
            message,
        })?;
        Ok(Client::through(guard, proxy))
    }

    /// Reads the settings. A `file` that is named must be there; the default
    /// one need not.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let source = match file {
            Some(path) => File::from(path).format(FileFormat::Yaml).required(true),
            None => File::new(DEFAULT_FILE, FileFormat::Yaml).required(false),
        };
        let environment = Environment::with_prefix("TRIPLINE")
            .source(Some(settings_of(std::env::vars())))
            .prefix_separator("_")
            .separator("__")
            .convert_case(config::Case::Camel)
            .list_separator(",")
            .with_list_parse_key("triggers")
            .with_list_parse_key("secretDirs")
            .with_list_parse_key("kube.endpoints")
            .with_list_parse_key("outbound.allow")
            .with_list_parse_key("outbound.githubHosts")
            .with_list_parse_key("outbound.noProxy")
            .try_parsing(true);
        let read = config::Config::builder()
            .add_source(source)
            .add_source(environment)
            .build()?;
        Ok(read.try_deserialize()?)
    }

    /// Checks what no type can say.
    pub fn check(&self) -> Result<(), ConfigError> {
        let invalid = |key, message: &str| {
            Err(ConfigError::Invalid {
                key,
                message: message.to_owned(),
            })
        };
        if self.limits.body > self.limits.in_flight {
            return invalid(
                "limits.body",
                "is larger than limits.inFlight, so that no such body could come in",
            );
        }
        // The HTTP library's own lower bound.
        if self.limits.head < ByteSize::kib(8) {
            return invalid("limits.head", "must be at least 8KiB");
        }
        if self.limits.connections == 0 {
            return invalid("limits.connections", "must be at least 1");
        }
        self.flow.check()?;
        for (key, tls) in [
            ("ingress.tls", &self.ingress.tls),
            ("webhook.tls", &self.webhook.tls),
        ] {
            if let Err(missing) = tls.files() {
                let message = format!("has no `{missing}`; a certificate needs its key");
                return invalid(key, &message);
            }
        }
        if self.webhook.listen.is_some() && self.webhook.tls.cert.is_none() {
            return invalid(
                "webhook.listen",
                "API servers speak TLS alone; it needs webhook.tls.cert and webhook.tls.key",
            );
        }
        if let Err(message) = telemetry::parse_level(&self.log.level).map(drop) {
            return invalid("log.level", &message);
        }
        if self
            .kube
            .services()?
            .is_some_and(|setup| setup.source.is_some())
        {
            self.check_ports()?;
        }
        // Less would be full before anything has ended.
        let size = self.limits.journal_size;
        if size > ByteSize(0) && size < ByteSize::mib(16) {
            return invalid(
                "limits.journalSize",
                "must be at least 16MiB, or 0 for no limit",
            );
        }
        self.retry.policy()?;
        self.journal_place()?;
        if let Sink::Folder(folder) = self.sink()? {
            self.check_sink_folder(&folder)?;
        }
        let reachable = |address: &str| {
            let parsed: Result<SocketAddr, _> = address.parse();
            parsed.map_or(!address.starts_with("localhost:"), |address| {
                !address.ip().is_loopback()
            })
        };
        if reachable(&self.admin.listen) && self.admin.token_file.is_none() {
            return invalid(
                "admin.listen",
                "others can reach this address; it needs admin.tokenFile, a file with a bearer token",
            );
        }
        Ok(())
    }

    /// A listener's port must be free.
    fn check_ports(&self) -> Result<(), ConfigError> {
        // The API server takes them for nobody's.
        if let Some(address) = self.kube.endpoints.iter().find(|one| one.is_loopback()) {
            return Err(ConfigError::Invalid {
                key: "kube.endpoints",
                message: format!(
                    "{address} is this machine's own; give addresses that the cluster reaches"
                ),
            });
        }
        let addresses = [&self.ingress.listen, &self.admin.listen, &self.probe.listen];
        let range = self.kube.ports;
        let taken = addresses.into_iter().find(|address| {
            let port = address
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok());
            port.is_some_and(|port| range.contains(port))
        });
        match taken {
            None => Ok(()),
            Some(address) => Err(ConfigError::Invalid {
                key: "kube.ports",
                message: format!(
                    "{range} has the port of {address} in it; choose ports that nobody uses"
                ),
            }),
        }
    }

    /// A sink inside a folder of triggers would be read as triggers.
    fn check_sink_folder(&self, folder: &Path) -> Result<(), ConfigError> {
        let folder = real_path(folder);
        let within = |path: &&PathBuf| path.is_dir() && folder.starts_with(real_path(path));
        match self.triggers.iter().find(within) {
            None => Ok(()),
            Some(path) => Err(ConfigError::Invalid {
                key: "sink",
                message: format!(
                    "{} is inside the triggers' folder {}, so that what it gets would be read as triggers; choose one outside",
                    folder.display(),
                    path.display()
                ),
            }),
        }
    }

    /// The bounds of the ingress.
    pub fn ingress_limits(&self) -> Limits {
        let limits = &self.limits;
        let bytes = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        Limits {
            body: bytes(limits.body),
            in_flight: bytes(limits.in_flight),
            head: bytes(limits.head),
            headers: limits.headers,
            head_time: limits.head_time,
            body_time: limits.body_time,
            total_time: limits.total_time,
            connections: limits.connections,
            deferred_events: limits.deferred_events,
            deferred_bytes: bytes(limits.deferred_bytes),
            waiting_events: limits.waiting_events,
            waiting_bytes: bytes(limits.waiting_bytes),
            refusals_per_second: limits.refusals_per_second,
        }
    }

    /// Where objects go.
    pub fn sink(&self) -> Result<Sink, ConfigError> {
        match self.sink.split_once(':') {
            None if self.sink == "stdout" => Ok(Sink::Stdout),
            None if self.sink == "kube" => Ok(Sink::Cluster),
            None if self.sink.is_empty() && self.kube.enabled => Ok(Sink::Cluster),
            None if self.sink.is_empty() => Ok(Sink::Folder(DEFAULT_SINK.into())),
            Some(("dir", path)) if !path.is_empty() => Ok(Sink::Folder(path.into())),
            _ => Err(ConfigError::Invalid {
                key: "sink",
                message: format!(
                    "`{}` is no sink of this version; write dir:PATH, stdout or kube",
                    self.sink
                ),
            }),
        }
    }
}

/// Where a path leads, links followed as far as there is something.
fn real_path(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(parent), Some(name)) if parent != Path::new("") => {
            real_path(parent).join(name)
        }
        (Err(_), _, _) => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    }
}

/// The variables that are settings. Kubernetes puts others beside them: a
/// Service called `tripline` gives every pod `TRIPLINE_SERVICE_HOST`,
/// `TRIPLINE_PORT_8080_TCP_ADDR` and more.
fn settings_of(variables: impl Iterator<Item = (String, String)>) -> HashMap<String, String> {
    let is_link = |name: &str| {
        let port = name.rsplit_once("_PORT").map(|(_, rest)| rest);
        let numbered = |rest: &str| {
            let digits = rest.strip_prefix('_').unwrap_or_default();
            digits.starts_with(|c: char| c.is_ascii_digit())
        };
        name.ends_with("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT")
            || port.is_some_and(|rest| rest.is_empty() || numbered(rest))
            // TRIPLINE_PORT_8080_TCP_PORT
            || (name.contains("_PORT_") && name.ends_with("_PORT"))
    };
    variables
        .filter(|(name, _)| name.starts_with("TRIPLINE_") && !is_link(name))
        .collect()
}

#[cfg(test)]
mod tests;
