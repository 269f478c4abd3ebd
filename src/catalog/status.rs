//! What EventListeners say of themselves: whether they work, why not, and
//! where they are reached.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::{TRIGGERS_GROUP, V1BETA1};
use crate::model::ids::ListenerId;

use super::guard::too_slow;
use super::services::ServiceState;
use super::snapshot::{Entry, Snapshot};

/// Problems that a message names; the others are counted.
const NAMED: usize = 5;

/// Longest time that writing one may take.
const LONGEST: Duration = Duration::from_secs(5);

/// What is to be said of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether all of it works.
    pub is_ready: bool,
    /// Why not, or how much it has.
    pub message: String,
    /// Where it is reached.
    pub url: String,
    /// How it stands with its Service, where that is known.
    pub service: Option<ServiceState>,
}

/// The statuses of all listeners of a snapshot, by their ids. `base` is the
/// URL of the ingress.
pub fn statuses(snapshot: &Snapshot, base: &str) -> BTreeMap<ListenerId, Status> {
    let listeners = snapshot.listeners();
    listeners
        .map(|listener| {
            let broken = listener.triggers.iter().filter_map(|entry| match entry {
                Entry::Ready(_) => None,
                Entry::Broken(broken) => Some(broken),
            });
            let broken = broken.flat_map(|broken| broken.problems.iter().map(ToString::to_string));
            let mut problems: Vec<String> = broken.chain(listener.problems.clone()).collect();
            if listener.triggers.is_empty() {
                problems.push("it has no triggers: events are answered 503".into());
            }
            let more = problems.len().saturating_sub(NAMED);
            problems.truncate(NAMED);
            if more > 0 {
                problems.push(format!("and {more} more"));
            }
            let is_ready = problems.is_empty();
            if is_ready {
                let count = listener.triggers.len();
                problems.push(format!("{count} triggers are in force"));
                // It works all the same.
                problems.extend(listener.remarks.first().cloned());
            }
            let status = Status {
                is_ready,
                message: problems.join("; "),
                url: format!("{}/{}", base.trim_end_matches('/'), listener.id),
                service: None,
            };
            (listener.id.clone(), status)
        })
        .collect()
}

/// Writes statuses that have changed.
pub struct Writer {
    client: Client,
    written: HashMap<ListenerId, Status>,
}

impl Writer {
    /// Has written nothing yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            written: HashMap::new(),
        }
    }

    /// Forgets what was written: another one may have written since.
    pub fn forget(&mut self) {
        self.written.clear();
    }

    /// Writes what has changed, and takes away what was written of listeners
    /// that are no longer Tripline's. Gives the last failure; what failed is
    /// tried again the next time.
    pub async fn write(
        &mut self,
        wanted: &BTreeMap<ListenerId, Status>,
        now: Timestamp,
    ) -> Option<kube::Error> {
        let mut failure = None;
        let gone: Vec<ListenerId> = self
            .written
            .keys()
            .filter(|id| !wanted.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            // Tekton's controller writes its own into an empty one.
            let nothing = json!({"status": null});
            match self.patch(&id, nothing).await {
                Ok(()) => drop(self.written.remove(&id)),
                Err(error) if is_about_one(&error) => failure = Some(error),
                Err(error) => return Some(error),
            }
        }
        for (id, status) in wanted {
            if self.written.get(id) == Some(status) {
                continue;
            }
            match self.patch(id, body(status, now)).await {
                Ok(()) => drop(self.written.insert(id.clone(), status.clone())),
                Err(error) if is_about_one(&error) => failure = Some(error),
                Err(error) => return Some(error),
            }
        }
        failure
    }

    async fn patch(&self, id: &ListenerId, body: Value) -> kube::Result<()> {
        let kind = GroupVersionKind::gvk(TRIGGERS_GROUP, V1BETA1, "EventListener");
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &id.namespace, &resource);
        let params = PatchParams::default();
        let patch = Patch::Merge(body);
        let patched = timeout(LONGEST, api.patch_status(&id.name, &params, &patch)).await;
        match patched.unwrap_or_else(|_| Err(too_slow())) {
            Ok(_) => Ok(()),
            // It has been deleted in the meantime.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether others may fare better.
fn is_about_one(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code < 500)
}

fn body(status: &Status, now: Timestamp) -> Value {
    let (value, reason) = match status.is_ready {
        true => ("True", "TriggersInForce"),
        false => ("False", "TriggersBroken"),
    };
    let condition = |kind: &str, value: &str, reason: &str, message: &str| {
        json!({
            "type": kind,
            "status": value,
            "reason": reason,
            "message": message,
            "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        })
    };
    let mut conditions = vec![condition("Ready", value, reason, &status.message)];
    let service = status.service.as_ref();
    if let Some(service) = service {
        let value = if service.url.is_some() {
            "True"
        } else {
            "False"
        };
        conditions.push(condition(
            "Service",
            value,
            service.reason,
            &service.message,
        ));
    }
    let managed = service.filter(|service| service.url.is_some());
    let url = managed.and_then(|service| service.url.as_ref());
    let mut body = json!({"status": {
        "address": {"url": url.unwrap_or(&status.url)},
        "conditions": conditions,
    }});
    if let Some(service) = managed {
        body["status"]["configuration"] = json!({"generatedName": service.name});
    }
    body
}
