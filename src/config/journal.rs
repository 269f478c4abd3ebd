//! Where the journal is.

use std::path::PathBuf;

use bytesize::ByteSize;
use serde::Deserialize;

use crate::journal::jetstream::{Access, Settings};

use super::{Config, ConfigError, TlsConfig};

/// Numbers of servers that may hold a stream.
const REPLICAS: [usize; 3] = [1, 3, 5];

/// The streams of a journal on a NATS server.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NatsConfig {
    /// What the names of streams and subjects begin with.
    pub prefix: String,
    /// How many servers hold each stream: 1, 3 or 5.
    pub replicas: usize,
    /// File of credentials: a JWT and its key.
    pub credentials_file: Option<PathBuf>,
    /// File of certificates that vouch for the server's, in PEM.
    pub ca: Option<PathBuf>,
    /// The certificate that the gateway shows.
    pub tls: TlsConfig,
    /// File of the key that credentials of events that wait are sealed with;
    /// `seal.key` in the data folder where none is named.
    pub seal_key_file: Option<PathBuf>,
    /// Bytes of deliveries that may wait; no limit where it is 0.
    pub max_bytes: ByteSize,
    /// Bytes of history; no limit where it is 0.
    pub history_max_bytes: ByteSize,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            prefix: "tripline".into(),
            replicas: 1,
            credentials_file: None,
            ca: None,
            tls: TlsConfig::default(),
            seal_key_file: None,
            max_bytes: ByteSize::b(0),
            history_max_bytes: ByteSize::b(0),
        }
    }
}

/// Where the journal is.
#[derive(Clone, Debug)]
pub enum JournalPlace {
    /// A file.
    Sqlite(PathBuf),
    /// Streams on a NATS server.
    Nats(Box<Nats>),
}

/// Streams on a NATS server.
#[derive(Clone, Debug)]
pub struct Nats {
    /// How the server is reached.
    pub access: Access,
    /// How the streams are to be.
    pub settings: Settings,
    /// File of the key that credentials are sealed with.
    pub seal: PathBuf,
}

impl Config {
    /// Where the journal is.
    pub fn journal_place(&self) -> Result<JournalPlace, ConfigError> {
        let journal = self.journal.as_str();
        if journal.is_empty() {
            return Ok(JournalPlace::Sqlite(self.data.join("journal.db")));
        }
        if ["nats://", "tls://"].iter().any(|s| journal.starts_with(s)) {
            return self.nats().map(Box::new).map(JournalPlace::Nats);
        }
        match journal.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(JournalPlace::Sqlite(path.into())),
            _ => Err(ConfigError::Invalid {
                key: "journal",
                message: format!(
                    "`{journal}` is no journal; write sqlite:PATH, nats://HOST:PORT or tls://HOST:PORT"
                ),
            }),
        }
    }

    fn nats(&self) -> Result<Nats, ConfigError> {
        let nats = &self.nats;
        let invalid = |key, message: String| Err(ConfigError::Invalid { key, message });
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if nats.prefix.is_empty() || !nats.prefix.chars().all(is_name) {
            return invalid(
                "nats.prefix",
                format!("`{}` must be of letters, digits, `-` and `_`", nats.prefix),
            );
        }
        if !REPLICAS.contains(&nats.replicas) {
            return invalid(
                "nats.replicas",
                format!("{} servers hold no stream; write 1, 3 or 5", nats.replicas),
            );
        }
        let client = match nats.tls.files() {
            Ok(files) => files.map(|(cert, key)| (cert.to_owned(), key.to_owned())),
            Err(missing) => {
                let message = format!("has no `{missing}`; a certificate needs its key");
                return invalid("nats.tls", message);
            }
        };
        let bound = |size: ByteSize| match size.as_u64() {
            0 => -1,
            bytes => i64::try_from(bytes).unwrap_or(i64::MAX),
        };
        Ok(Nats {
            access: Access {
                servers: self.journal.clone(),
                credentials: nats.credentials_file.clone(),
                ca: nats.ca.clone(),
                client,
            },
            settings: Settings {
                prefix: nats.prefix.clone(),
                replicas: nats.replicas,
                max_bytes: bound(nats.max_bytes),
                history_max_bytes: bound(nats.history_max_bytes),
                // A stream takes zero for ever.
                retention: self.retention.unwrap_or_default(),
                // A key that nobody looks at any more may go.
                dedupe_kept_for: self.dedupe.window.max(self.dedupe.hash_window),
            },
            seal: match &nats.seal_key_file {
                Some(file) => file.clone(),
                None => self.data.join("seal.key"),
            },
        })
    }
}
