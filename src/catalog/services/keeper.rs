//! Makes Services of claimed listeners lead here, and gives them back. One
//! replica does it for all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kube::Client;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::guard::too_slow;
use crate::model::ids::ListenerId;

use super::addresses::{self, Addresses, Source};
use super::name::service_name;
use super::ports::{Ports, Range};
use super::records::{self, Records};
use super::wanted::Wanted;
use super::watch::{Sight, Watches};
use super::{ServiceState, change};

mod give_back;
mod memory;
mod step;

use memory::Memory;

/// How long changes are collected before they are looked at together.
const QUIET: Duration = Duration::from_millis(50);

/// How long after a failure it is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// And after the API server has refused it.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// The reason of a condition where that is so.
const FORBIDDEN: &str = "Forbidden";

/// How often everything is looked at without a reason.
const RESYNC: Duration = Duration::from_secs(300);

/// Longest time that one listener may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Tells what failed, and how.
pub type Failed = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// How Services are kept.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The ports that listeners get.
    pub range: Range,
    /// The cluster's own domain.
    pub domain: String,
    /// Where the gateway's pods are. Nothing: all Services are given back.
    pub source: Option<Source>,
}

/// Keeps them.
pub struct Keeper {
    client: Client,
    setup: Setup,
    wanted: watch::Receiver<Option<Vec<Wanted>>>,
    addresses: watch::Receiver<Option<Addresses>>,
    states: watch::Sender<BTreeMap<ListenerId, ServiceState>>,
    watches: Watches,
    records: Records,
    ports: Option<Ports>,
    memories: HashMap<ListenerId, Memory>,
    given_back: HashSet<ListenerId>,
    failed: Failed,
    /// When there is something to do next.
    next: Instant,
}

impl Keeper {
    /// Keeps the Services of `wanted` listeners, and tells how they are doing.
    /// `tasks` owns its watches; they end when it does.
    pub fn new(
        client: Client,
        setup: Setup,
        wanted: watch::Receiver<Option<Vec<Wanted>>>,
        states: watch::Sender<BTreeMap<ListenerId, ServiceState>>,
        tasks: TaskTracker,
        failed: Failed,
    ) -> Self {
        let (told, addresses) = watch::channel(None);
        if let Some(source) = setup.source.clone() {
            let report = Arc::clone(&failed);
            let following = addresses::follow(source, client.clone(), told, move |error| {
                report("watching the gateway's own addresses", &error.to_string());
            });
            tasks.spawn(following);
        }
        Self {
            watches: Watches::new(client.clone(), tasks),
            records: Records::new(client.clone()),
            client,
            setup,
            wanted,
            addresses,
            states,
            ports: None,
            memories: HashMap::new(),
            given_back: HashSet::new(),
            failed,
            next: Instant::now(),
        }
    }

    /// Does it until `stop`. What it has made stays.
    pub async fn run(mut self, stop: CancellationToken) {
        let changed = Arc::clone(&self.watches.changed);
        let recorded = records::watch(self.client.clone());
        let mut recorded = std::pin::pin!(recorded);
        loop {
            self.next = Instant::now() + RESYNC;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.pass() => {}
            }
            let next = tokio::time::sleep_until(self.next.into());
            let addresses_changed = async {
                // Where they are fixed nobody tells any more.
                if self.addresses.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                told = self.wanted.changed() => if told.is_err() { return },
                () = addresses_changed => {}
                () = changed.notified() => {}
                Some(Ok(recorded)) = recorded.next() => {
                    // Not as it was written: it is read again.
                    if recorded != self.ports {
                        self.ports = None;
                    }
                }
                () = next => {}
            }
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Looks at every listener once.
    async fn pass(&mut self) {
        let Some(mut wanted) = self.wanted.borrow_and_update().clone() else {
            return;
        };
        if self.setup.source.is_none() {
            wanted.clear();
        }
        let addresses = self.addresses.borrow_and_update().clone();
        let namespaces = wanted.iter().map(|one| one.id.namespace.clone());
        self.watches.keep(&namespaces.collect());
        let ids: BTreeSet<ListenerId> = wanted.iter().map(|one| one.id.clone()).collect();
        if let Err(error) = self.give_ports(&wanted, &ids).await {
            // Somebody else may have written: it is read again.
            self.ports = None;
            self.report("writing which port is whose", &error);
            return;
        }
        self.memories.retain(|id, _| ids.contains(id));
        let mut states = self.states.borrow().clone();
        states.retain(|id, _| ids.contains(id));
        for one in &wanted {
            self.given_back.remove(&one.id);
            let step = timeout(LONGEST, self.step(one, addresses.as_ref()));
            match step.await.unwrap_or_else(|_| Err(too_slow())) {
                Ok(Some(state)) => drop(states.insert(one.id.clone(), state)),
                Ok(None) => {}
                Err(error) => {
                    let state = self.failure(&one.id, &error);
                    if state.reason == FORBIDDEN {
                        self.again_in(AFTER_REFUSAL);
                        if states.get(&one.id) != Some(&state) {
                            (self.failed)("keeping a Service", &state.message);
                        }
                        states.insert(one.id.clone(), state);
                        continue;
                    }
                    self.report(&format!("keeping the Service of {}", one.id), &error);
                    // It may have been led here all the same.
                    states.entry(one.id.clone()).or_insert(state);
                }
            }
        }
        for id in self.unwanted(&ids) {
            match self.give_back(&id).await {
                Ok(()) => drop(self.given_back.insert(id)),
                Err(error) => {
                    self.report(&format!("giving the Service of {id} back"), &error);
                    // Its namespace may be gone, and the rights with it.
                    if matches!(&error, kube::Error::Api(status) if status.code == 403) {
                        self.given_back.insert(id);
                    }
                }
            }
        }
        self.states.send_if_modified(|known| {
            let is_new = *known != states;
            *known = states;
            is_new
        });
    }

    /// Records a port for each listener that can use one.
    async fn give_ports(
        &mut self,
        wanted: &[Wanted],
        ids: &BTreeSet<ListenerId>,
    ) -> kube::Result<()> {
        let mut ports = match self.ports.take() {
            Some(ports) => ports,
            None => match self.records.load().await {
                // Who may not read them has given none away.
                Err(kube::Error::Api(status))
                    if status.code == 403 && self.setup.source.is_none() =>
                {
                    Ports::default()
                }
                loaded => loaded?,
            },
        };
        let busy = ports.iter().map(|(_, id)| id.clone());
        let busy = busy.filter(|id| !ids.contains(id) && !self.given_back.contains(id));
        let busy: BTreeSet<ListenerId> = busy.collect();
        let mut usable: BTreeSet<ListenerId> = BTreeSet::new();
        let mut hints = HashMap::new();
        for one in wanted {
            let seen = self
                .watches
                .look(&one.id.namespace, &service_name(&one.id.name));
            let is_usable = match &seen {
                Sight::Unknown | Sight::Failed(_) => false,
                Sight::Seen(None) => true,
                Sight::Seen(Some(service)) => {
                    if let Some(port) = change::recorded_port(service) {
                        hints.insert(one.id.clone(), port);
                    }
                    change::whose(service, &one.id.name) != change::Whose::Foreign
                }
            };
            if ports.of(&one.id).is_some() || (is_usable && !one.shape.is_tls) {
                usable.insert(one.id.clone());
            }
        }
        let hint = |id: &ListenerId| hints.get(id).copied();
        let has_changed = ports.assign(&usable, &busy, self.setup.range, hint);
        if has_changed {
            self.records.store(&ports).await?;
        }
        self.ports = Some(ports);
        Ok(())
    }

    /// Listeners with a port that are no longer wanted and not given back yet.
    fn unwanted(&self, ids: &BTreeSet<ListenerId>) -> Vec<ListenerId> {
        let recorded = self.ports.iter().flat_map(Ports::iter).map(|(_, id)| id);
        recorded
            .filter(|id| !ids.contains(id) && !self.given_back.contains(id))
            .cloned()
            .collect()
    }

    fn report(&mut self, what: &str, error: &kube::Error) {
        self.again_in(AFTER_FAILURE);
        (self.failed)(what, &error.to_string());
    }

    fn again_in(&mut self, wait: Duration) {
        self.next = self.next.min(Instant::now() + wait);
    }
}
