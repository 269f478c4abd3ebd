//! The three ports.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;

use crate::config::Config;
use crate::console::{Admin, Guard, Health, admin_router, probe_router};
use crate::ingress::server::Server;
use crate::model::secret::SecretValue;

/// The servers behind them.
pub(super) struct Servers {
    pub ingress: Server,
    pub admin: Server,
    pub probe: Server,
}

impl Servers {
    /// Listens on all of them.
    pub(super) async fn bind(
        config: &Config,
        ingress: Router,
        admin: Admin,
        health: Arc<Health>,
    ) -> anyhow::Result<Self> {
        let limits = config.ingress_limits();
        let token = config.admin.token_file.as_deref().map(read_token);
        let admin = admin_router(Arc::new(admin), Guard::new(token.transpose()?));
        let probe = probe_router(health);
        Ok(Self {
            ingress: Server::bind(&config.ingress.listen, "--listen", ingress, limits).await?,
            admin: Server::bind(&config.admin.listen, "--admin", admin, limits).await?,
            probe: Server::bind(&config.probe.listen, "--probe", probe, limits).await?,
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
}

fn read_token(path: &Path) -> anyhow::Result<SecretValue> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("admin.tokenFile {shown}"))?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "admin.tokenFile {shown} is empty");
    Ok(SecretValue::new(token.as_bytes().to_vec()))
}
