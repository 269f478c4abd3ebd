//! The Services of those namespaces that have claimed listeners.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::catalog::watch_cluster::after_failure;

/// The watches, one for each namespace.
pub(super) struct Watches {
    client: Client,
    tasks: TaskTracker,
    /// Told whenever something is different.
    pub changed: Arc<Notify>,
    running: HashMap<String, Namespace>,
}

struct Namespace {
    services: Store<Service>,
    state: Arc<Mutex<State>>,
    /// The watch ends with it.
    _running: DropGuard,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unknown,
    Known,
    Failed(String),
}

/// What is known of a Service.
pub(super) enum Sight {
    /// Nobody has looked yet.
    Unknown,
    /// Nobody could look, and why.
    Failed(String),
    /// It is so.
    Seen(Option<Arc<Service>>),
}

impl Watches {
    pub(super) fn new(client: Client, tasks: TaskTracker) -> Self {
        Self {
            client,
            tasks,
            changed: Arc::default(),
            running: HashMap::new(),
        }
    }

    /// Watches these namespaces and no others.
    pub(super) fn keep(&mut self, namespaces: &BTreeSet<String>) {
        self.running.retain(|name, _| namespaces.contains(name));
        for name in namespaces {
            if !self.running.contains_key(name) {
                let watched = self.watch(name);
                self.running.insert(name.clone(), watched);
            }
        }
    }

    fn watch(&self, name: &str) -> Namespace {
        let (services, writer) = reflector::store();
        let state = Arc::new(Mutex::new(State::default()));
        let api: Api<Service> = Api::namespaced(self.client.clone(), name);
        let events = watcher(api, watcher::Config::default())
            .backoff(after_failure())
            .reflect(writer);
        let (into, changed) = (Arc::clone(&state), Arc::clone(&self.changed));
        let following = async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                let now = match event {
                    Ok(Event::Init | Event::InitApply(_)) => continue,
                    Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => State::Known,
                    // What was seen is still the best that is known.
                    Err(error) => match is_forbidden(&error) {
                        true => State::Failed(error.to_string()),
                        false => continue,
                    },
                };
                if let Ok(mut state) = into.lock() {
                    *state = now;
                }
                changed.notify_one();
            }
        };
        let stop = CancellationToken::new();
        let running = stop.clone().drop_guard();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = following => {}
            }
        });
        Namespace {
            services,
            state,
            _running: running,
        }
    }

    /// What is known of a Service.
    pub(super) fn look(&self, namespace: &str, name: &str) -> Sight {
        let Some(watched) = self.running.get(namespace) else {
            return Sight::Unknown;
        };
        let state = watched.state.lock().map(|state| state.clone());
        match state.unwrap_or_default() {
            State::Unknown => Sight::Unknown,
            State::Failed(error) => Sight::Failed(error),
            State::Known => {
                let at = ObjectRef::new(name).within(namespace);
                Sight::Seen(watched.services.get(&at))
            }
        }
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status,
        watcher::Error::WatchError(status) => status,
        _ => return false,
    };
    status.code == 403
}
