//! Secrets of a cluster: each is read and watched by its name, so that the
//! gateway needs rights on those that triggers name, and on no others.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::catalog::watch_cluster::after_failure;
use crate::model::secret::SecretValue;

use super::SecretName;

/// Secrets that are watched at once. Each watch is a connection.
const WATCHED: usize = 1000;

/// What is told of a Secret.
#[derive(Debug)]
pub struct Told {
    /// Which one.
    pub name: SecretName,
    /// Its values; none where there is no such Secret. Why it cannot be read,
    /// where that is so.
    pub keys: Result<HashMap<String, SecretValue>, String>,
}

/// The watches.
pub struct Watches {
    client: Client,
    tasks: TaskTracker,
    sender: mpsc::Sender<Told>,
    /// A watch ends when its guard is dropped.
    running: HashMap<SecretName, DropGuard>,
}

impl Watches {
    /// Watches nothing yet. What is told comes through the channel.
    pub fn new(client: Client, tasks: TaskTracker) -> (Self, mpsc::Receiver<Told>) {
        let (sender, told) = mpsc::channel(64);
        let watches = Self {
            client,
            tasks,
            sender,
            running: HashMap::new(),
        };
        (watches, told)
    }

    /// Watches a Secret, where it is not watched already.
    pub fn want(&mut self, name: SecretName) {
        if self.running.contains_key(&name) || self.running.len() >= WATCHED {
            return;
        }
        let stop = CancellationToken::new();
        let following = follow(self.client.clone(), name.clone(), self.sender.clone());
        self.running.insert(name, stop.clone().drop_guard());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = following => {}
            }
        });
    }

    /// Whether a Secret is watched.
    pub fn has(&self, name: &SecretName) -> bool {
        self.running.contains_key(name)
    }

    /// Whether no more can be watched.
    pub fn is_full(&self) -> bool {
        self.running.len() >= WATCHED
    }

    /// Ends the watches of all others. Gives their names.
    pub fn keep(&mut self, wanted: &HashSet<SecretName>) -> Vec<SecretName> {
        let ended = self.running.keys().filter(|name| !wanted.contains(*name));
        let ended: Vec<SecretName> = ended.cloned().collect();
        for name in &ended {
            self.running.remove(name);
        }
        ended
    }
}

async fn follow(client: Client, name: SecretName, sender: mpsc::Sender<Told>) {
    let api: Api<Secret> = Api::namespaced(client, &name.0);
    let events = watcher::watch_object(api, &name.1).backoff(after_failure());
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let keys = match event {
            Ok(secret) => Ok(secret.map(values).unwrap_or_default()),
            Err(error) => Err(error.to_string()),
        };
        let told = Told {
            name: name.clone(),
            keys,
        };
        if sender.send(told).await.is_err() {
            return;
        }
    }
}

fn values(secret: Secret) -> HashMap<String, SecretValue> {
    let data = secret.data.unwrap_or_default().into_iter();
    data.map(|(key, value)| (key, SecretValue::new(value.0)))
        .collect()
}
