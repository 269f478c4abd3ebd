//! The gateway put together, started and stopped.
//!
//! In: settings. Out: a running gateway, and a clean end.

use std::net::SocketAddr;
use std::sync::Arc;

use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::act::Action;
use crate::act::cluster::Cluster;
use crate::act::cluster::events::{self, Notices};
use crate::act::folder::Folder;
use crate::act::stdout::Stdout;
use crate::catalog::{Catalog, Loader};
use crate::config::{Config, Sink};
use crate::console::{Admin, Health};
use crate::ingress::server::Server;
use crate::ingress::tls::{Certificate, Look};
use crate::ingress::{self, Budget, Ingress, router};
use crate::journal::history::History;
use crate::journal::{Journal, Quota, Quotas};
use crate::outbound::Http;
use crate::pipeline::Gate;
use crate::secrets::{SecretName, SecretSet, SecretStore};
use crate::telemetry::Metrics;
use crate::telemetry::happening::{CertificateChanged, ClusterFailed, Happening};
use crate::worker::{self, Caller, Lifecycle, Worker};

mod claim;
mod client;
mod cluster;
mod drain;
mod duty;
mod journals;
mod ports;
mod reload;
mod servers;

pub use client::read_cluster;
use ports::ListenerPorts;
pub use reload::Triggers;
use reload::{Installer, Reloader};
use servers::Servers;

/// A running gateway.
pub struct App {
    /// Where senders reach it.
    pub ingress: SocketAddr,
    /// Where people reach it.
    pub admin: SocketAddr,
    /// Where probes reach it.
    pub probe: SocketAddr,
    /// Where API servers reach it, if they do.
    pub webhook: Option<SocketAddr>,
    /// Where objects go.
    pub sink: String,
    config: Config,
    shared: Shared,
    door: Arc<Ingress>,
    worker: Arc<Worker>,
    stop: Stop,
    serving: JoinHandle<()>,
    working: JoinHandle<()>,
    /// What has been accepted and is not handed over yet.
    admitting: TaskTracker,
    rest: TaskTracker,
}

/// What the parts of the gateway share.
struct Shared {
    metrics: Arc<Metrics>,
    catalog: Arc<Catalog>,
    secrets: Arc<SecretStore>,
    journal: Arc<dyn Journal>,
    history: Arc<dyn History>,
    gate: Arc<Gate>,
    health: Arc<Health>,
}

/// What is stopped one after the other.
#[derive(Default)]
struct Stop {
    ingress: CancellationToken,
    worker: CancellationToken,
    rest: CancellationToken,
}

/// Where objects go.
fn action(sink: Sink, client: Option<&Client>) -> Arc<dyn Action> {
    match (sink, client) {
        (Sink::Folder(path), _) => Arc::new(Folder::new(path)),
        (Sink::Cluster, Some(client)) => Arc::new(Cluster::new(client.clone())),
        (Sink::Stdout | Sink::Cluster, _) => Arc::new(Stdout),
    }
}

impl App {
    /// Starts a gateway. When this returns, it listens.
    pub async fn start(config: Config, triggers: Triggers) -> anyhow::Result<Self> {
        config.check()?;
        let from_cluster = matches!(triggers, Triggers::Cluster);
        let sink = config.sink()?;
        let client = match from_cluster || sink == Sink::Cluster {
            true => Some(client::connect(&config).await?),
            false => None,
        };
        let (shared, demands) = Shared::open(&config, from_cluster).await?;
        let action = action(sink, client.as_ref());
        let sink = action.describe();
        let (stop, rest) = (Stop::default(), TaskTracker::new());
        let in_cluster = client.as_ref().filter(|_| from_cluster);
        if let Some(client) = in_cluster {
            claim::check(&config, client, &shared.metrics).await?;
        }
        let notices = in_cluster.map(|client| shared.publish(client, &rest, &stop.rest));
        let worker = shared.worker(&config, action, notices, (&rest, &stop.rest))?;
        let has_ports = in_cluster.is_some() && config.kube.listener_ports() > 0;
        let (opening, opened) = watch::channel(!has_ports);
        match in_cluster.cloned() {
            Some(client) => {
                let installer = shared.installer(&config);
                let owner = (&rest, &stop.rest);
                let reloader =
                    cluster::Reloader::new(client, &config, demands, installer, opened, owner)?;
                rest.spawn(reloader.run(stop.rest.clone()));
            }
            None => {
                let mut reloader = shared.reloader(&config, triggers);
                let watch = reloader.watch()?;
                reloader.reload();
                rest.spawn(reloader.run(watch, stop.rest.clone()));
            }
        }
        let admitting = TaskTracker::new();
        let ingress = shared.ingress(&config, &worker, &admitting);
        let (admin, health) = (shared.admin(&worker), Arc::clone(&shared.health));
        let routes = router(Arc::clone(&ingress));
        let servers = Servers::bind(&config, routes, admin, health, &shared.metrics).await?;
        let addresses = servers.addresses()?;
        let webhook = servers.webhook_address()?;
        let ports = client.filter(|_| has_ports).map(|client| ListenerPorts {
            client,
            ingress: Arc::clone(&ingress),
            catalog: Arc::clone(&shared.catalog),
            metrics: Arc::clone(&shared.metrics),
            connections: servers.connections,
            limits: servers.limits,
            range: config.kube.ports,
            beside: addresses[0],
            opened: opening,
        });
        for certificate in servers.certificates {
            shared.follow(certificate, &rest, &stop.rest);
        }
        let others = [Some(servers.admin), Some(servers.probe), servers.webhook];
        for server in others.into_iter().flatten() {
            rest.spawn(server.run(stop.rest.clone()));
        }
        let serving = spawn(serve(servers.ingress, ports, stop.ingress.clone()));
        let (token, running) = (stop.worker.clone(), Arc::clone(&worker));
        let working = spawn(async move { running.run(token).await });
        Ok(Self {
            ingress: addresses[0],
            admin: addresses[1],
            probe: addresses[2],
            webhook,
            sink,
            config,
            shared,
            door: ingress,
            worker,
            stop,
            serving,
            working,
            admitting,
            rest,
        })
    }

    /// How senders speak to it.
    pub fn scheme(&self) -> &'static str {
        match self.config.ingress.tls.cert {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The journal, to look something up in.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.shared.journal
    }
}

impl Shared {
    /// Also gives what asks for secrets, where those are read by name.
    async fn open(
        config: &Config,
        secrets_by_name: bool,
    ) -> anyhow::Result<(Self, mpsc::Receiver<SecretName>)> {
        let (journal, history) = journals::open(config).await?;
        let limits = config.ingress_limits();
        let quotas = Quotas {
            verified: Quota {
                events: limits.waiting_events,
                bytes: limits.waiting_bytes,
            },
            unverified: Quota {
                events: limits.deferred_events,
                bytes: limits.deferred_bytes,
            },
        };
        let metrics = Arc::new(Metrics::default());
        let (secrets, demands) = match secrets_by_name {
            true => SecretStore::by_name(),
            false => (SecretStore::new(), mpsc::channel(1).1),
        };
        let shared = Self {
            gate: Arc::new(Gate::new(Arc::clone(&journal), quotas).remembering(config.windows())),
            health: Health::new(Arc::clone(&journal), Arc::clone(&metrics)),
            catalog: Arc::new(Catalog::new(config.limits.deleted_after)),
            secrets,
            metrics,
            journal,
            history,
        };
        Ok((shared, demands))
    }

    fn admin(&self, worker: &Arc<Worker>) -> Admin {
        Admin {
            worker: Arc::clone(worker),
            history: Arc::clone(&self.history),
            metrics: Arc::clone(&self.metrics),
            catalog: Arc::clone(&self.catalog),
            journal: Arc::clone(&self.journal),
        }
    }

    /// Reads a certificate again when its files change.
    fn follow(&self, certificate: Certificate, tasks: &TaskTracker, stop: &CancellationToken) {
        let metrics = Arc::clone(&self.metrics);
        let tell = move |look: Look| CertificateChanged(&look).emit(&metrics);
        tasks.spawn(certificate.follow(stop.clone(), tell));
    }

    /// Publishes what becomes of deliveries as Kubernetes Events.
    fn publish(&self, client: &Client, tasks: &TaskTracker, stop: &CancellationToken) -> Notices {
        let (notices, told) = events::channel();
        let metrics = Arc::clone(&self.metrics);
        let failed = move |error: &kube::Error| {
            let (what, error) = ("publishing an Event", error.to_string());
            ClusterFailed {
                what,
                error: &error,
            }
            .emit(&metrics);
        };
        let publishing = events::publish(client.clone(), told, failed);
        let stop = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = publishing => {}
            }
        });
        notices
    }

    fn worker(
        &self,
        config: &Config,
        action: Arc<dyn Action>,
        notices: Option<Notices>,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> anyhow::Result<Arc<Worker>> {
        let http: Arc<dyn Http> = Arc::new(config.client()?);
        let metrics = Arc::clone(&self.metrics);
        let lifecycle = Lifecycle::start(Arc::clone(&http), metrics, tasks, stop);
        let caller = Caller::new(http, config.outbound.github_hosts.clone());
        Ok(Worker::new(worker::Parts {
            gate: Arc::clone(&self.gate),
            history: Arc::clone(&self.history),
            catalog: Arc::clone(&self.catalog),
            secrets: Arc::clone(&self.secrets) as _,
            action,
            calls: Arc::new(caller),
            metrics: Arc::clone(&self.metrics),
            policy: config.retry.policy()?,
            flow: config.flow.flow(),
            deferred_for: config.limits.deferred_time,
            retention: config.retention(),
            lifecycle,
            notices,
        }))
    }

    fn ingress(
        &self,
        config: &Config,
        worker: &Arc<Worker>,
        admitting: &TaskTracker,
    ) -> Arc<Ingress> {
        let limits = config.ingress_limits();
        Ingress::new(ingress::Parts {
            limits,
            catalog: Arc::clone(&self.catalog),
            secrets: Arc::clone(&self.secrets) as _,
            gate: Arc::clone(&self.gate),
            worker: Arc::clone(worker),
            metrics: Arc::clone(&self.metrics),
            budget: Budget::new(limits.in_flight),
            default_listener: config.default_listener.clone(),
            tasks: admitting.clone(),
        })
    }

    fn reloader(&self, config: &Config, triggers: Triggers) -> Reloader {
        Reloader {
            triggers,
            secret_dirs: config.secret_dirs.clone(),
            loader: Loader::default(),
            last: SecretSet::default(),
            installer: self.installer(config),
        }
    }

    fn installer(&self, config: &Config) -> Installer {
        Installer {
            default_listener: config.default_listener.clone(),
            catalog: Arc::clone(&self.catalog),
            secrets: Arc::clone(&self.secrets),
            health: Arc::clone(&self.health),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

/// The port for all, and those of listeners.
async fn serve(server: Server, ports: Option<ListenerPorts>, stop: CancellationToken) {
    let ports = async {
        if let Some(ports) = ports {
            ports.run(stop.clone()).await;
        }
    };
    tokio::join!(server.run(stop.clone()), ports);
}

#[expect(clippy::disallowed_methods, reason = "drain awaits the handle")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
