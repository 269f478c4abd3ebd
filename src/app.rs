//! The gateway put together, started and stopped.
//!
//! In: settings. Out: a running gateway, and a clean end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::act::Action;
use crate::act::folder::Folder;
use crate::act::stdout::Stdout;
use crate::catalog::watch_files::Watch;
use crate::catalog::{Catalog, Loader, SourceFile, files};
use crate::config::{Config, Sink};
use crate::console::{Admin, Guard, Health, admin_router, probe_router};
use crate::ingress::limits::Limits;
use crate::ingress::server::Server;
use crate::ingress::{Budget, Ingress, router};
use crate::journal::progress::RetryPolicy;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal, Quota};
use crate::model::secret::SecretValue;
use crate::pipeline::Gate;
use crate::secrets::{SecretSet, SecretStore};
use crate::telemetry::Metrics;
use crate::telemetry::happening::{ConfigLoaded, ConfigMistake, Happening};
use crate::worker::{Parts, Worker};

/// How long clean-up may take after the grace period is over.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where triggers come from.
#[derive(Clone, Debug)]
pub enum Triggers {
    /// Folders and files, watched.
    Paths(Vec<PathBuf>),
    /// Files inside the binary.
    Shipped(Vec<SourceFile>),
}

/// A running gateway.
pub struct App {
    /// Where senders reach it.
    pub ingress: SocketAddr,
    /// Where people reach it.
    pub admin: SocketAddr,
    /// Where probes reach it.
    pub probe: SocketAddr,
    /// Where objects go.
    pub sink: String,
    config: Config,
    health: Arc<Health>,
    journal: Arc<dyn Journal>,
    stop_ingress: CancellationToken,
    stop_worker: CancellationToken,
    stop_rest: CancellationToken,
    admitting: TaskTracker,
    serving: JoinHandle<()>,
    working: JoinHandle<()>,
    rest: TaskTracker,
}

/// What is read again when something changes.
struct Reloader {
    triggers: Triggers,
    secret_dirs: Vec<PathBuf>,
    loader: Loader,
    catalog: Arc<Catalog>,
    secrets: Arc<SecretStore>,
    metrics: Arc<Metrics>,
}

impl App {
    /// Starts a gateway. When this returns, it listens.
    pub async fn start(config: Config, triggers: Triggers) -> anyhow::Result<Self> {
        config.check()?;
        let limits = config.ingress_limits();
        let metrics = Arc::new(Metrics::default());
        let catalog = Arc::new(Catalog::default());
        let secrets = SecretStore::new();
        let path = config.journal_path()?;
        let opened = tokio::task::spawn_blocking(move || SqliteJournal::open(&path)).await?;
        let journal: Arc<dyn Journal> = Arc::new(opened?);
        let quota = Quota {
            events: limits.deferred_events,
            bytes: limits.deferred_bytes,
        };
        let gate = Arc::new(Gate::new(Arc::clone(&journal), quota));
        let action: Arc<dyn Action> = match config.sink()? {
            Sink::Folder(path) => Arc::new(Folder::new(path)),
            Sink::Stdout => Arc::new(Stdout),
        };
        let sink = action.describe();
        let (worker, queue) = Worker::new(Parts {
            gate: Arc::clone(&gate),
            catalog: Arc::clone(&catalog),
            secrets: Arc::clone(&secrets) as _,
            action,
            metrics: Arc::clone(&metrics),
            policy: RetryPolicy::DEFAULT,
            deferred_for: config.limits.deferred_time,
        });
        let health = Health::new(Arc::clone(&journal), Arc::clone(&metrics));
        let mut reloader = Reloader {
            triggers,
            secret_dirs: config.secret_dirs.clone(),
            loader: Loader::default(),
            catalog: Arc::clone(&catalog),
            secrets: Arc::clone(&secrets),
            metrics: Arc::clone(&metrics),
        };
        let watch = reloader.watch()?;
        reloader.reload();
        health.loaded();
        let admitting = TaskTracker::new();
        let ingress = Ingress::new(
            limits,
            Arc::clone(&catalog),
            Arc::clone(&secrets) as _,
            gate,
            Arc::clone(&worker),
            Arc::clone(&metrics),
            Budget::new(limits.in_flight),
            config.default_listener.clone(),
            admitting.clone(),
        );
        let servers = Servers::bind(
            &config,
            limits,
            router(ingress),
            &catalog,
            &journal,
            &health,
        )
        .await?;
        let (stop_ingress, stop_worker, stop_rest) = Default::default();
        let rest = TaskTracker::new();
        let addresses = servers.addresses()?;
        rest.spawn(servers.admin.run(CancellationToken::clone(&stop_rest)));
        rest.spawn(servers.probe.run(stop_rest.clone()));
        rest.spawn(reloader.run(watch, stop_rest.clone()));
        let serving = spawn(servers.ingress.run(CancellationToken::clone(&stop_ingress)));
        let token = CancellationToken::clone(&stop_worker);
        let working = spawn(async move { worker.run(queue, token).await });
        Ok(Self {
            ingress: addresses.0,
            admin: addresses.1,
            probe: addresses.2,
            sink,
            config,
            health,
            journal,
            stop_ingress,
            stop_worker,
            stop_rest,
            admitting,
            serving,
            working,
            rest,
        })
    }

    /// The journal, to look something up in.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Stops: not ready, then no more connections, then no more work, all
    /// within the grace period. `hurry` skips the time in which a load
    /// balancer would notice. False where something had to be broken off; it
    /// is performed after the next start.
    pub async fn drain(self, hurry: bool) -> bool {
        self.health.draining();
        if !hurry {
            tokio::time::sleep(self.config.drain.delay).await;
        }
        let clean = async {
            self.stop_ingress.cancel();
            let _ = self.serving.await;
            self.admitting.close();
            self.admitting.wait().await;
            self.stop_worker.cancel();
            let _ = self.working.await;
        };
        let clean = tokio::time::timeout(self.config.drain.grace, clean).await;
        self.stop_worker.cancel();
        self.stop_rest.cancel();
        self.rest.close();
        let close = async {
            self.rest.wait().await;
            self.journal.close().await
        };
        let closed = tokio::time::timeout(LAST_WORDS, close).await;
        clean.is_ok() && matches!(closed, Ok(Ok(())))
    }
}

struct Servers {
    ingress: Server,
    admin: Server,
    probe: Server,
}

impl Servers {
    async fn bind(
        config: &Config,
        limits: Limits,
        ingress: axum::Router,
        catalog: &Arc<Catalog>,
        journal: &Arc<dyn Journal>,
        health: &Arc<Health>,
    ) -> anyhow::Result<Self> {
        let token = match &config.admin.token_file {
            Some(path) => Some(read_token(path)?),
            None => None,
        };
        let admin = Admin {
            catalog: Arc::clone(catalog),
            journal: Arc::clone(journal),
        };
        let admin = admin_router(Arc::new(admin), Guard::new(token));
        let probe = probe_router(Arc::clone(health));
        Ok(Self {
            ingress: Server::bind(&config.ingress.listen, "--listen", ingress, limits).await?,
            admin: Server::bind(&config.admin.listen, "--admin", admin, limits).await?,
            probe: Server::bind(&config.probe.listen, "--probe", probe, limits).await?,
        })
    }

    fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr, SocketAddr)> {
        Ok((
            self.ingress.address()?,
            self.admin.address()?,
            self.probe.address()?,
        ))
    }
}

fn read_token(path: &std::path::Path) -> anyhow::Result<SecretValue> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("admin.tokenFile {shown}"))?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "admin.tokenFile {shown} is empty");
    Ok(SecretValue::new(token.as_bytes().to_vec()))
}

impl Reloader {
    fn watch(&self) -> anyhow::Result<Option<Watch>> {
        let mut paths = self.secret_dirs.clone();
        if let Triggers::Paths(triggers) = &self.triggers {
            paths.extend(triggers.iter().cloned());
        }
        if paths.is_empty() {
            return Ok(None);
        }
        Watch::new(&paths)
            .map(Some)
            .context("watching the trigger files")
    }

    /// Reads everything again and puts it in force. Secrets come first, so
    /// that no trigger is in force without its secrets.
    fn reload(&mut self) {
        let began = Instant::now();
        let (files, mut diagnostics) = match &self.triggers {
            Triggers::Paths(paths) => files::read(paths),
            Triggers::Shipped(files) => (files.clone(), Vec::new()),
        };
        let loaded = self.loader.load(&files);
        diagnostics.extend(loaded.diagnostics);
        let mut secrets = SecretSet::default();
        diagnostics.extend(secrets.add_objects(&loaded.objects));
        let mut mistakes: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        for folder in &self.secret_dirs {
            if let Err(error) = secrets.add_folder(folder) {
                mistakes.push(error.to_string());
            }
        }
        self.secrets.replace(secrets);
        let listeners = loaded.snapshot.listeners().count();
        let triggers = loaded.snapshot.listeners().map(|l| l.triggers.len()).sum();
        self.catalog.replace(loaded.snapshot);
        for diagnostic in &mistakes {
            ConfigMistake { diagnostic }.emit(&self.metrics);
        }
        let loaded = ConfigLoaded {
            listeners,
            triggers,
            errors: mistakes.len(),
            took: began.elapsed(),
        };
        loaded.emit(&self.metrics);
    }

    async fn run(mut self, mut watch: Option<Watch>, stop: CancellationToken) {
        let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
        else {
            return;
        };
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => {}
                () = changed => {}
            }
            let reloaded = tokio::task::spawn_blocking(move || {
                self.reload();
                self
            });
            match reloaded.await {
                Ok(reloader) => self = reloader,
                Err(_) => return,
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "drain awaits the handle")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
