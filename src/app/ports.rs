//! The ports of listeners: each replica listens on all that are recorded, and
//! for as long as their listeners are served.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use kube::Client;
use kube::runtime::watcher;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::catalog::services::{Ports, Range, watch_ports};
use crate::ingress::limits::Limits;
use crate::ingress::server::{Connections, Server};
use crate::ingress::{Ingress, listener_router};
use crate::model::ids::ListenerId;
use crate::telemetry::Metrics;
use crate::telemetry::happening::{ClusterFailed, Happening, PortFailed};

use super::spawn;

/// How often a port that could not be opened is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Opens and closes them.
pub(super) struct ListenerPorts {
    pub client: Client,
    pub ingress: Arc<Ingress>,
    pub catalog: Arc<Catalog>,
    pub metrics: Arc<Metrics>,
    pub connections: Connections,
    pub limits: Limits,
    pub range: Range,
    /// The address of the ingress; the ports are beside it.
    pub beside: SocketAddr,
    /// Told once all that were known at the start are open.
    pub opened: watch::Sender<bool>,
}

/// A port that is listened on.
struct Open {
    listener: ListenerId,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl ListenerPorts {
    /// Listens until `stop`; then lets everybody finish.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut open = HashMap::new();
        let told = watch_ports(self.client.clone());
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow(told, &mut open) => {}
        }
        for port in open.values() {
            port.stop.cancel();
        }
        for (_, port) in open {
            let _ = port.serving.await;
        }
    }

    async fn follow(
        &self,
        told: impl Stream<Item = watcher::Result<Option<Ports>>>,
        open: &mut HashMap<u16, Open>,
    ) {
        let mut told = std::pin::pin!(told);
        let mut changed = self.catalog.changed();
        let mut again = tokio::time::interval(AGAIN);
        let mut ports = None;
        loop {
            tokio::select! {
                recorded = told.next() => match recorded {
                    Some(Ok(Some(recorded))) => ports = Some(recorded),
                    // Somebody has deleted it: it will be written anew.
                    Some(Ok(None)) => drop(ports.get_or_insert_default()),
                    Some(Err(error)) => self.failed(&error),
                    None => return,
                },
                told = changed.changed() => if told.is_err() { return },
                _ = again.tick() => {}
            }
            if let Some(ports) = &ports {
                self.open(ports, open).await;
                // Before its listeners are known, nobody can say which to open.
                if !self.catalog.snapshot().is_incomplete() {
                    self.opened.send_replace(true);
                }
            }
        }
    }

    /// Listens on these ports and no others.
    async fn open(&self, ports: &Ports, open: &mut HashMap<u16, Open>) {
        let snapshot = self.catalog.snapshot();
        // What is outside the range is no port of a listener.
        let recorded = ports.iter().filter(|(port, _)| self.range.contains(*port));
        let served = recorded.filter(|(_, id)| snapshot.listener(&id.to_string()).is_some());
        let wanted: HashMap<u16, ListenerId> =
            served.map(|(port, id)| (port, id.clone())).collect();
        open.retain(|port, known| {
            let stays = wanted.get(port) == Some(&known.listener);
            if !stays {
                known.stop.cancel();
            }
            stays && !known.serving.is_finished()
        });
        for (port, listener) in wanted {
            if !open.contains_key(&port)
                && let Some(opened) = self.listen(port, listener).await
            {
                open.insert(port, opened);
            }
        }
    }

    async fn listen(&self, port: u16, listener: ListenerId) -> Option<Open> {
        let mut address = self.beside;
        address.set_port(port);
        let router = listener_router(Arc::clone(&self.ingress), &listener);
        let bound = Server::bind(&address.to_string(), "kube.ports", router, self.limits).await;
        let server = match bound {
            Ok(server) => server
                .counted(Arc::clone(&self.metrics))
                .among(self.connections.clone()),
            Err(error) => {
                let listener = &listener;
                let error = &error;
                PortFailed { listener, error }.emit(&self.metrics);
                return None;
            }
        };
        let stop = CancellationToken::new();
        let serving = spawn(server.run(stop.clone()));
        Some(Open {
            listener,
            stop,
            serving,
        })
    }

    fn failed(&self, error: &watcher::Error) {
        let (what, error) = ("watching which port is whose", error.to_string());
        ClusterFailed {
            what,
            error: &error,
        }
        .emit(&self.metrics);
    }
}
