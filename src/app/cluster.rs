//! The configuration of a cluster: taken over as it changes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::cluster::{self, Change, Claim, ClusterObjects};
use crate::catalog::guard::Guard;
use crate::catalog::services::{Wanted, wanted};
use crate::catalog::status::{Status, statuses};
use crate::catalog::{Entry, Loader, Snapshot, Way, watch_cluster};
use crate::config::Config;
use crate::model::ids::ListenerId;
use crate::model::secret::SecretKeyRef;
use crate::secrets::{SecretName, SecretSet, Told, Watches};
use crate::telemetry::happening::{ClusterFailed, Happening};
use crate::verify::Verifier;

use super::duty::{Duty, Services};
use super::reload::{Installer, Mistake};

/// How long it must have been quiet before changes are taken over together,
/// and how long they are held back at most.
const QUIET: Duration = Duration::from_millis(30);
const NO_LONGER_THAN: Duration = Duration::from_millis(300);

/// How often is looked whether rights have changed.
const RIGHTS_EVERY: Duration = Duration::from_secs(10);

/// How long readiness waits for the first sight of the cluster.
const READY_AT_LAST: Duration = Duration::from_secs(60);

/// Secrets that expressions have asked for, and that are watched since.
const DEMANDED: usize = 256;

/// The same of one namespace.
const DEMANDED_BY_ONE: usize = 32;

/// Takes over what a cluster says.
pub(super) struct Reloader {
    claim: Claim,
    objects: ClusterObjects,
    changes: mpsc::Receiver<Change>,
    guard: Guard,
    loader: Option<Loader>,
    /// Whether the listeners in force take triggers of other namespaces.
    has_crossings: bool,
    watches: Watches,
    told: mpsc::Receiver<Told>,
    demands: mpsc::Receiver<SecretName>,
    demanded: HashSet<SecretName>,
    secrets: SecretSet,
    installer: Installer,
    /// What is to be said of listeners, for whoever holds the lease.
    statuses: watch::Sender<BTreeMap<ListenerId, Status>>,
    /// What listeners want of their Services, for him too.
    services: watch::Sender<Option<Vec<Wanted>>>,
    base: String,
    /// Whether the ports of listeners are open.
    opened: watch::Receiver<bool>,
}

impl Reloader {
    /// Begins to watch; whoever asks before everything is known is told to
    /// come again.
    pub(super) fn new(
        client: Client,
        config: &Config,
        demands: mpsc::Receiver<SecretName>,
        installer: Installer,
        opened: watch::Receiver<bool>,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> anyhow::Result<Self> {
        let metrics = Arc::clone(&installer.metrics);
        let failed = move |kind: crate::catalog::objects::Kind, error: &_| {
            let what = format!("watching {}s", kind.name());
            let error = format!("{error}");
            ClusterFailed {
                what: &what,
                error: &error,
            }
            .emit(&metrics);
        };
        let changes = watch_cluster::watch(&client, tasks, stop, failed);
        let (watches, told) = Watches::new(client.clone(), tasks.clone());
        let (statuses, said) = watch::channel(BTreeMap::new());
        let (services, wanted) = watch::channel(None);
        let keeping = config.kube.services()?.map(|setup| Services {
            client: client.clone(),
            setup,
            wanted,
            tasks: tasks.clone(),
        });
        let duty = Duty::new(
            client.clone(),
            said,
            Arc::clone(&installer.metrics),
            keeping,
        );
        tasks.spawn(duty.run(stop.clone()));
        installer
            .catalog
            .replace(Arc::new(Snapshot::new([], true)), vec![]);
        installer.secrets.replace(SecretSet::default());
        Ok(Self {
            claim: config.kube.claim,
            objects: ClusterObjects::default(),
            changes,
            guard: Guard::new(client),
            loader: Some(Loader::default()),
            has_crossings: false,
            watches,
            told,
            demands,
            demanded: HashSet::new(),
            secrets: SecretSet::default(),
            installer,
            statuses,
            services,
            base: config.kube.address.clone(),
            opened,
        })
    }

    /// Takes over changes until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut rights = tokio::time::interval(RIGHTS_EVERY);
        let ready_at_last = tokio::time::sleep(READY_AT_LAST);
        let mut ready_at_last = std::pin::pin!(ready_at_last);
        let mut waited = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(change) = self.changes.recv() => {
                    if self.take(change).await {
                        self.reload().await;
                    }
                }
                Some(told) = self.told.recv() => self.put_all(told),
                Some(name) = self.demands.recv() => self.demand(name),
                _ = rights.tick() => {
                    if self.has_crossings {
                        self.reload().await;
                    }
                }
                Ok(()) = self.opened.changed() => self.is_ready(),
                () = &mut ready_at_last, if !waited => {
                    waited = true;
                    self.installer.health.loaded();
                }
            }
        }
    }

    /// Takes changes in until it is quiet. Whether any of them matters.
    async fn take(&mut self, first: Change) -> bool {
        let mut matters = self.objects.take(first);
        let until = Instant::now() + NO_LONGER_THAN;
        while Instant::now() < until {
            match timeout(QUIET, self.changes.recv()).await {
                Ok(Some(change)) => matters |= self.objects.take(change),
                Ok(None) | Err(_) => break,
            }
        }
        matters
    }

    async fn reload(&mut self) {
        if !self.objects.is_complete() {
            return;
        }
        let began = Instant::now();
        let objects = self.objects.objects(self.claim);
        let crossings = cluster::crossings(&objects);
        self.has_crossings = !crossings.is_empty();
        let (permits, failure) = self.guard.permits(&crossings).await;
        if let Some(error) = failure {
            let error = error.to_string();
            let what = "asking for rights";
            ClusterFailed {
                what,
                error: &error,
            }
            .emit(&self.installer.metrics);
        }
        let mut loader = self.loader.take().unwrap_or_default();
        let remarks = self.objects.remarks();
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = loader.load_cluster(objects, false, remarks, &permits);
            (loader, loaded)
        });
        let Ok((loader, loaded)) = loading.await else {
            return self.installer.failed("reading the configuration panicked");
        };
        self.loader = Some(loader);
        self.statuses
            .send_replace(statuses(&loaded.snapshot, &self.base));
        self.services.send_replace(Some(wanted(&loaded)));
        let mistakes = loaded.diagnostics.iter().map(Mistake::of).collect();
        self.installer
            .install(Arc::clone(&loaded.snapshot), mistakes, began);
        self.is_ready();
        self.watch_secrets(&loaded.snapshot);
    }

    /// Ready once there is a configuration, and its ports are open: Services
    /// lead to whoever is ready.
    fn is_ready(&self) {
        let is_loaded = !self.installer.catalog.snapshot().is_incomplete();
        if is_loaded && *self.opened.borrow() {
            self.installer.health.loaded();
        }
    }

    /// Watches the Secrets that triggers name, and no others.
    fn watch_secrets(&mut self, snapshot: &Snapshot) {
        let mut wanted = self.demanded.clone();
        for listener in snapshot.listeners() {
            for entry in &listener.triggers {
                let mut want = |at: &SecretKeyRef| {
                    wanted.insert((at.namespace.clone(), at.name.clone()));
                };
                match entry {
                    Entry::Ready(trigger) => trigger.ways().flat_map(Way::secrets).for_each(want),
                    Entry::Broken(broken) => {
                        let verifiers = broken.verifiers.iter().flatten();
                        verifiers.flat_map(Verifier::secrets).for_each(&mut want);
                    }
                }
            }
        }
        let ended = self.watches.keep(&wanted);
        for name in &ended {
            self.secrets.forget(name);
        }
        if !ended.is_empty() {
            self.installer.secrets.replace(self.secrets.clone());
        }
        for name in wanted {
            self.watches.want(name);
        }
        if self.watches.is_full() {
            let (what, error) = ("watching secrets", "there are too many; some are not read");
            ClusterFailed { what, error }.emit(&self.installer.metrics);
        }
    }

    /// Watches a Secret whose name only an expression knows.
    fn demand(&mut self, name: SecretName) {
        if self.watches.has(&name) {
            return;
        }
        let of_namespace = self.demanded.iter().filter(|known| known.0 == name.0);
        // Names may come from payloads: one namespace must not use up all.
        if of_namespace.count() < DEMANDED_BY_ONE && self.demanded.len() < DEMANDED {
            self.demanded.insert(name.clone());
            self.watches.want(name);
        }
    }

    /// Takes over what is told of Secrets, all of it at once: at the start that
    /// is much, and events that wait are looked at after each time.
    fn put_all(&mut self, first: Told) {
        let mut has_changed = self.put(first);
        while let Ok(told) = self.told.try_recv() {
            has_changed |= self.put(told);
        }
        if has_changed {
            self.installer.secrets.replace(self.secrets.clone());
            self.installer.catalog.secrets_changed();
        }
    }

    /// Takes over what is told of one Secret. Whether that is something new.
    fn put(&mut self, told: Told) -> bool {
        let Told { name, keys } = told;
        // What was told of one that is no longer watched may be old.
        if !self.watches.has(&name) {
            return false;
        }
        match keys {
            Ok(keys) => {
                self.secrets.put(name, keys);
                true
            }
            Err(error) => {
                let what = format!("reading secret {}/{}", name.0, name.1);
                ClusterFailed {
                    what: &what,
                    error: &error,
                }
                .emit(&self.installer.metrics);
                false
            }
        }
    }
}
