//! What one replica does for all: it keeps the Services of listeners, and
//! writes their statuses.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::catalog::lease::{HOLDS, Lease, RENEWED};
use crate::catalog::services::{Failed, Keeper, ServiceState, Setup, Wanted};
use crate::catalog::status::{Status, Writer};
use crate::clock::unix_ms;
use crate::model::ids::ListenerId;
use crate::telemetry::Metrics;
use crate::telemetry::happening::{ClusterFailed, Happening};

/// Name of the lease, in the gateway's own namespace.
const LEASE: &str = "tripline";

/// How long the status of a listener waits for word of its Service, so that it
/// does not name two addresses one after the other.
const WORD_WITHIN: Duration = Duration::from_secs(10);

/// What keeping Services takes.
pub(super) struct Services {
    pub client: Client,
    pub setup: Setup,
    pub wanted: watch::Receiver<Option<Vec<Wanted>>>,
    pub tasks: TaskTracker,
}

/// Services while they are kept.
struct Kept {
    states: watch::Receiver<BTreeMap<ListenerId, ServiceState>>,
    /// It ends with it.
    _running: DropGuard,
}

/// Does it for as long as this process holds the lease.
pub(super) struct Duty {
    lease: Lease,
    writer: Writer,
    said: watch::Receiver<BTreeMap<ListenerId, Status>>,
    /// When the lease was renewed last.
    held: Option<Instant>,
    metrics: Arc<Metrics>,
    services: Option<Services>,
    kept: Option<Kept>,
    /// Listeners of whose Services there is no word yet, and since when.
    unheard: HashMap<ListenerId, Instant>,
}

impl Duty {
    pub(super) fn new(
        client: Client,
        said: watch::Receiver<BTreeMap<ListenerId, Status>>,
        metrics: Arc<Metrics>,
        services: Option<Services>,
    ) -> Self {
        let holder = Uuid::now_v7().to_string();
        Self {
            lease: Lease::new(client.clone(), LEASE, holder),
            writer: Writer::new(client),
            said,
            held: None,
            metrics,
            services,
            kept: None,
            unheard: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut renew = tokio::time::interval(RENEWED);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_mine = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = renew.tick() => is_mine = self.hold(is_mine).await,
                changed = self.said.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
                () = Self::word(&mut self.kept) => {}
            }
            if is_mine {
                let wanted = self.wanted();
                // What is not done then goes on after the lease is renewed.
                let write = timeout(HOLDS / 5, self.writer.write(&wanted, now()));
                tokio::select! {
                    () = stop.cancelled() => break,
                    failure = write => {
                        self.report("writing the status of listeners", failure.unwrap_or_default());
                    }
                }
            }
        }
        self.kept = None;
        // The next one need not wait until the lease has run out.
        if is_mine {
            let _ = timeout(HOLDS / 10, self.lease.release()).await;
        }
    }

    async fn hold(&mut self, was_mine: bool) -> bool {
        let asked = timeout(HOLDS / 5, self.lease.hold(now())).await;
        let is_mine = match asked {
            Ok(Ok(is_mine)) => {
                self.held = is_mine.then(Instant::now);
                is_mine
            }
            // It holds as long as nobody else may take it.
            Ok(Err(error)) => {
                self.report("renewing the lease", Some(error));
                self.held.is_some_and(|at| at.elapsed() < HOLDS)
            }
            Err(_) => self.held.is_some_and(|at| at.elapsed() < HOLDS),
        };
        if is_mine && !was_mine {
            self.writer.forget();
            self.unheard.clear();
            self.kept = self.keep();
        }
        if !is_mine {
            self.kept = None;
        }
        is_mine
    }

    /// Begins to keep Services.
    fn keep(&self) -> Option<Kept> {
        let services = self.services.as_ref()?;
        let (told, states) = watch::channel(BTreeMap::new());
        let metrics = Arc::clone(&self.metrics);
        let failed: Failed =
            Arc::new(move |what, error| ClusterFailed { what, error }.emit(&metrics));
        let keeper = Keeper::new(
            services.client.clone(),
            services.setup.clone(),
            services.wanted.clone(),
            told,
            services.tasks.clone(),
            failed,
        );
        let stop = CancellationToken::new();
        services.tasks.spawn(keeper.run(stop.clone()));
        Some(Kept {
            states,
            _running: stop.drop_guard(),
        })
    }

    /// Waits for word of Services.
    async fn word(kept: &mut Option<Kept>) {
        if let Some(kept) = kept
            && kept.states.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// What is to be written now.
    fn wanted(&mut self) -> BTreeMap<ListenerId, Status> {
        let mut wanted = self.said.borrow_and_update().clone();
        let keeps = self.services.as_ref();
        let keeps = keeps.is_some_and(|services| services.setup.source.is_some());
        let Some(kept) = self.kept.as_mut().filter(|_| keeps) else {
            return wanted;
        };
        let states = kept.states.borrow_and_update();
        self.unheard.retain(|id, _| wanted.contains_key(id));
        wanted.retain(|id, status| {
            status.service = states.get(id).cloned();
            if status.service.is_some() {
                self.unheard.remove(id);
                return true;
            }
            let since = self.unheard.entry(id.clone()).or_insert_with(Instant::now);
            since.elapsed() > WORD_WITHIN
        });
        wanted
    }

    fn report(&self, what: &str, failure: Option<kube::Error>) {
        if let Some(error) = failure {
            let error = error.to_string();
            ClusterFailed {
                what,
                error: &error,
            }
            .emit(&self.metrics);
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(unix_ms()).unwrap_or_default()
}
