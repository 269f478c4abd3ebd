//! How the server is reached.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};

use crate::journal::JournalError;

use super::store::remote;

/// How long the server may take to be there when the gateway starts.
const FIRST_WITHIN: Duration = Duration::from_secs(30);

/// How long one attempt may take, and how long to wait before the next.
const ATTEMPT: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_millis(500);

/// Longest wait before the connection is tried again once it was there.
const RECONNECT_AFTER: Duration = Duration::from_secs(2);

/// Where the server is and what it wants to see.
#[derive(Clone, Default)]
pub struct Access {
    /// Servers, `nats://` or `tls://`, with commas between them; user and
    /// password may be in them.
    pub servers: String,
    /// File of NATS credentials: a JWT and its key.
    pub credentials: Option<PathBuf>,
    /// File of certificates that vouch for the server's, in PEM.
    pub ca: Option<PathBuf>,
    /// Files of a certificate and its key to show, in PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The addresses may hold a password.
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    fn addresses(&self) -> Result<Vec<ServerAddr>, JournalError> {
        let servers = self.servers.split(',');
        let addresses = servers.map(|server| {
            let parsed = server.trim().parse::<ServerAddr>();
            // The address itself may hold a password.
            parsed.map_err(|error| remote(format!("its address cannot be read: {error}")))
        });
        addresses.collect()
    }

    async fn options(&self, addresses: &[ServerAddr]) -> Result<ConnectOptions, JournalError> {
        let mut options = ConnectOptions::new()
            .name("tripline")
            .connection_timeout(ATTEMPT)
            .reconnect_delay_callback(|attempts| {
                let doubled = 2u32.saturating_pow(u32::try_from(attempts).unwrap_or(8).min(8));
                (Duration::from_millis(20) * doubled).min(RECONNECT_AFTER)
            });
        // The client takes a user from nowhere but its options.
        let named = addresses.iter().find(|address| address.has_user_pass());
        if let Some((user, password)) = named.and_then(|one| one.username().zip(one.password())) {
            options = options.user_and_password(plain(user), plain(password));
        } else if let Some(token) = named.and_then(ServerAddr::username) {
            options = options.token(plain(token));
        }
        if let Some(file) = &self.credentials {
            let read = options.credentials_file(file).await;
            options = read.map_err(|error| remote(format!("{}: {error}", file.display())))?;
        }
        if let Some(file) = &self.ca {
            options = options.add_root_certificates(file.clone());
        }
        if let Some((cert, key)) = &self.client {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        if self
            .servers
            .split(',')
            .any(|s| s.trim().starts_with("tls://"))
        {
            options = options.require_tls(true);
        }
        Ok(options)
    }

    /// Connects; once that has worked, the connection comes back by itself.
    pub(super) async fn connect(&self) -> Result<Client, JournalError> {
        let addresses = self.addresses()?;
        let mut last = String::new();
        let connecting = async {
            loop {
                let options = self.options(&addresses).await?;
                match options.connect(&addresses).await {
                    Ok(client) => return Ok(client),
                    Err(error) if may_pass(&error) => last = error.to_string(),
                    Err(error) => return Err(remote(error.to_string())),
                }
                tokio::time::sleep(BETWEEN).await;
            }
        };
        let connected = tokio::time::timeout(FIRST_WITHIN, connecting).await;
        connected.unwrap_or_else(|_| {
            let hosts: Vec<String> = addresses
                .iter()
                .map(|address| format!("{}:{}", address.host(), address.port()))
                .collect();
            let seconds = FIRST_WITHIN.as_secs();
            Err(remote(format!(
                "{} cannot be reached within {seconds} s: {last}",
                hosts.join(", ")
            )))
        })
    }
}

/// A part of an address without its escapes.
fn plain(part: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(part);
    decoded.decode_utf8_lossy().into_owned()
}

fn may_pass(error: &async_nats::ConnectError) -> bool {
    use async_nats::ConnectErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::Io | Kind::Dns | Kind::TimedOut | Kind::MaxReconnects
    )
}
