//! The ports.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ServerConfig;

use crate::config::{Config, TlsConfig};
use crate::console::{Admin, Guard, Health, admin_router, probe_router};
use crate::ingress::limits::{CONSOLE_CONNECTIONS, Limits, OTHER_FILES};
use crate::ingress::server::{Connections, Server};
use crate::ingress::tls::Certificate;
use crate::ingress::webhook_router;
use crate::model::secret::SecretValue;
use crate::telemetry::Metrics;
use crate::telemetry::happening::{ConnectionsCapped, Happening};

/// The servers behind them.
pub(super) struct Servers {
    pub ingress: Server,
    pub admin: Server,
    pub probe: Server,
    /// What the ingress and the ports of listeners share.
    pub connections: Connections,
    /// The bounds of both.
    pub limits: Limits,
    pub webhook: Option<Server>,
    /// What their certificates are read from.
    pub certificates: Vec<Certificate>,
}

impl Servers {
    /// Listens on all of them.
    pub(super) async fn bind(
        config: &Config,
        ingress: Router,
        admin: Admin,
        health: Arc<Health>,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let mut limits = config.ingress_limits();
        // Each port is a socket, and may hold a connection that waits.
        let ports = 2 * config.kube.listener_ports();
        let at_most = open_files().saturating_sub(OTHER_FILES + ports).max(1);
        if limits.connections > at_most {
            let wanted = limits.connections;
            ConnectionsCapped { wanted, at_most }.emit(metrics);
            limits.connections = at_most;
        }
        let console = Limits {
            connections: CONSOLE_CONNECTIONS,
            ..limits
        };
        let connections = Connections::new(limits.connections);
        let mut certificates = Vec::new();
        let webhook = match &config.webhook.listen {
            None => None,
            Some(address) => {
                let tls = certified("webhook.tls", &config.webhook.tls, &mut certificates)?;
                let router = webhook_router(limits);
                let server = Server::bind(address, "--webhook", router, console).await?;
                Some(server.secured(tls))
            }
        };
        let tls = certified("ingress.tls", &config.ingress.tls, &mut certificates)?;
        let token = config.admin.token_file.as_deref().map(read_token);
        let admin = admin_router(Arc::new(admin), Guard::new(token.transpose()?));
        let probe = probe_router(health);
        Ok(Self {
            ingress: Server::bind(&config.ingress.listen, "--listen", ingress, limits)
                .await?
                .counted(Arc::clone(metrics))
                .among(connections.clone())
                .secured(tls),
            admin: Server::bind(&config.admin.listen, "--admin", admin, console).await?,
            probe: Server::bind(&config.probe.listen, "--probe", probe, console).await?,
            connections,
            limits,
            webhook,
            certificates,
        })
    }

    /// The addresses of ingress, admin and probe.
    pub(super) fn addresses(&self) -> std::io::Result<[SocketAddr; 3]> {
        Ok([
            self.ingress.address()?,
            self.admin.address()?,
            self.probe.address()?,
        ])
    }

    /// The address of the webhook, where there is one.
    pub(super) fn webhook_address(&self) -> std::io::Result<Option<SocketAddr>> {
        self.webhook.as_ref().map(Server::address).transpose()
    }
}

/// How to speak TLS, where there is a certificate; it joins those that are
/// followed.
fn certified(
    key: &str,
    tls: &TlsConfig,
    certificates: &mut Vec<Certificate>,
) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    let Ok(Some((cert, private))) = tls.files() else {
        return Ok(None);
    };
    let certificate = Certificate::load(cert, private).with_context(|| key.to_owned())?;
    let config = certificate
        .server_config()
        .with_context(|| key.to_owned())?;
    certificates.push(certificate);
    Ok(Some(config))
}

/// How many files may be open: as many as the system lets this process ask for.
fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(_) => limit.current,
    };
    current.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

fn read_token(path: &Path) -> anyhow::Result<SecretValue> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("admin.tokenFile {shown}"))?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "admin.tokenFile {shown} is empty");
    Ok(SecretValue::new(token.as_bytes().to_vec()))
}
