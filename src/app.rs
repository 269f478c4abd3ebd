//! The gateway put together, started and stopped.
//!
//! In: settings. Out: a running gateway, and a clean end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::mpsc;
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
use crate::ingress::tls::Look;
use crate::ingress::{self, Budget, Ingress, router};
use crate::journal::progress::RetryPolicy;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal, Quota, Quotas};
use crate::pipeline::Gate;
use crate::secrets::{SecretName, SecretSet, SecretStore};
use crate::telemetry::Metrics;
use crate::telemetry::happening::{CertificateChanged, ClusterFailed, Happening};
use crate::worker::{self, Worker};

mod client;
mod cluster;
mod duty;
mod reload;
mod servers;

pub use reload::Triggers;
use reload::{Installer, Reloader};
use servers::Servers;

/// How long the ports for people and probes may take to answer what they have
/// been asked.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long the journal may take to close.
const CLOSING: Duration = Duration::from_secs(3);

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
        let action: Arc<dyn Action> = match (sink, &client) {
            (Sink::Folder(path), _) => Arc::new(Folder::new(path)),
            (Sink::Cluster, Some(client)) => Arc::new(Cluster::new(client.clone())),
            (Sink::Stdout | Sink::Cluster, _) => Arc::new(Stdout),
        };
        let sink = action.describe();
        let (stop, rest) = (Stop::default(), TaskTracker::new());
        let in_cluster = client.as_ref().filter(|_| from_cluster);
        let notices = in_cluster.map(|client| shared.publish(client, &rest, &stop.rest));
        let (worker, queue) = shared.worker(&config, action, notices);
        match client.filter(|_| from_cluster) {
            Some(client) => {
                let installer = shared.installer(&config);
                let reloader =
                    cluster::Reloader::new(client, &config, demands, installer, &rest, &stop.rest);
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
        let admin = Admin {
            catalog: Arc::clone(&shared.catalog),
            journal: Arc::clone(&shared.journal),
        };
        let health = Arc::clone(&shared.health);
        let servers =
            Servers::bind(&config, router(ingress), admin, health, &shared.metrics).await?;
        let [ingress, admin, probe] = servers.addresses()?;
        let webhook = servers.webhook_address()?;
        for certificate in servers.certificates {
            let metrics = Arc::clone(&shared.metrics);
            let tell = move |look: Look| CertificateChanged(&look).emit(&metrics);
            rest.spawn(certificate.follow(stop.rest.clone(), tell));
        }
        if let Some(server) = servers.webhook {
            rest.spawn(server.run(stop.rest.clone()));
        }
        rest.spawn(servers.admin.run(stop.rest.clone()));
        rest.spawn(servers.probe.run(stop.rest.clone()));
        let serving = spawn(servers.ingress.run(stop.ingress.clone()));
        let token = stop.worker.clone();
        let working = spawn(async move { worker.run(queue, token).await });
        Ok(Self {
            ingress,
            admin,
            probe,
            webhook,
            sink,
            config,
            shared,
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

    /// Stops: not ready, then no more connections, then no more work, all
    /// within the grace period. `hurry` skips the time in which a load
    /// balancer would notice. False where something had to be broken off; it
    /// is performed after the next start.
    pub async fn drain(self, hurry: bool) -> bool {
        self.shared.health.draining();
        if !hurry {
            tokio::time::sleep(self.config.drain.delay).await;
        }
        let grace = self.config.drain.grace;
        let finish = async {
            self.stop.ingress.cancel();
            // Who takes his time to send was told nothing, and sends again.
            let _ = tokio::time::timeout(grace / 2, self.serving).await;
            self.admitting.close();
            self.admitting.wait().await;
            self.stop.worker.cancel();
            let _ = self.working.await;
        };
        let finished = tokio::time::timeout(grace, finish).await;
        self.stop.worker.cancel();
        self.stop.rest.cancel();
        self.rest.close();
        // Who is still connected to the other ports has no say in this.
        let _ = tokio::time::timeout(LAST_WORDS, self.rest.wait()).await;
        let closed = tokio::time::timeout(CLOSING, self.shared.journal.close()).await;
        finished.is_ok() && matches!(closed, Ok(Ok(())))
    }
}

impl Shared {
    /// Also gives what asks for secrets, where those are read by name.
    async fn open(
        config: &Config,
        secrets_by_name: bool,
    ) -> anyhow::Result<(Self, mpsc::Receiver<SecretName>)> {
        let path = config.journal_path()?;
        let opened = tokio::task::spawn_blocking(move || SqliteJournal::open(&path)).await?;
        let journal: Arc<dyn Journal> = Arc::new(opened?);
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
            gate: Arc::new(Gate::new(Arc::clone(&journal), quotas)),
            health: Health::new(Arc::clone(&journal), Arc::clone(&metrics)),
            catalog: Arc::new(Catalog::new(config.limits.deleted_after)),
            secrets,
            metrics,
            journal,
        };
        Ok((shared, demands))
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
    ) -> (Arc<Worker>, worker::Queue) {
        Worker::new(worker::Parts {
            gate: Arc::clone(&self.gate),
            catalog: Arc::clone(&self.catalog),
            secrets: Arc::clone(&self.secrets) as _,
            action,
            metrics: Arc::clone(&self.metrics),
            policy: RetryPolicy::DEFAULT,
            deferred_for: config.limits.deferred_time,
            retention: config.retention,
            notices,
        })
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

#[expect(clippy::disallowed_methods, reason = "drain awaits the handle")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
