//! The objects of a cluster, as far as its API server has told of them.
//!
//! In: changes, from [`super::watch_cluster`]. Out: objects, and what is wrong
//! with those that cannot be read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::TRIGGERS_GROUP;
use crate::model::annotations::MANAGED;

use super::diagnostic::Diagnostic;
use super::objects::{Kind, ObjectKey, Objects};
use super::permits::Crossing;
use super::resolve;

/// How long a kind must not have been served to be gone.
const GONE_AFTER: Duration = Duration::from_secs(15);

/// What is told of the objects of one kind.
#[derive(Debug)]
pub struct Change {
    /// The kind.
    pub kind: Kind,
    /// What has happened.
    pub what: What,
}

/// What has happened.
#[derive(Debug)]
pub enum What {
    /// All objects are about to be told, from the first one on.
    Began,
    /// One of them.
    Found(Value),
    /// That was all of them.
    Complete,
    /// The API server does not know the kind.
    NotServed,
    /// An object is new, or has changed.
    Applied(Value),
    /// An object is gone.
    Deleted(Value),
}

/// Which listeners are Tripline's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// Those with the annotation `tripline.dev/managed: "true"`.
    #[default]
    Managed,
    /// All.
    All,
}

/// The objects of a cluster.
#[derive(Debug, Default)]
pub struct ClusterObjects {
    objects: Objects,
    /// What is wrong with objects, where they can be read all the same.
    remarks: BTreeMap<ObjectKey, Vec<Diagnostic>>,
    /// Kinds that are being told anew, and what was told so far.
    telling: HashMap<Kind, BTreeSet<ObjectKey>>,
    known: HashSet<Kind>,
    /// Kinds that are no longer served, and since when.
    unserved: HashMap<Kind, Instant>,
    /// What of each object matters, hashed: a status changes nothing.
    digests: HashMap<ObjectKey, u64>,
    /// Listeners that are Tripline's by their annotation.
    managed: HashSet<ObjectKey>,
}

impl ClusterObjects {
    /// Takes a change in. Whether what is in force may be another thing now.
    pub fn take(&mut self, change: Change) -> bool {
        let Change { kind, what } = change;
        match what {
            What::Began => {
                self.telling.insert(kind, BTreeSet::new());
                false
            }
            What::Found(value) => {
                let key = ObjectKey::of(kind, &value);
                let is_new = self.apply(kind, value);
                if let Some(told) = self.telling.get_mut(&kind) {
                    told.insert(key);
                }
                // Until all are told, a listener may lack some of its triggers.
                is_new && self.is_complete()
            }
            What::Complete => {
                let told = self.telling.remove(&kind).unwrap_or_default();
                for key in self.objects.keys(kind) {
                    if !told.contains(&key) {
                        self.remove(&key);
                    }
                }
                self.known.insert(kind);
                self.unserved.remove(&kind);
                true
            }
            What::NotServed => self.not_served(kind),
            What::Applied(value) => self.apply(kind, value),
            What::Deleted(value) => {
                self.remove(&ObjectKey::of(kind, &value));
                true
            }
        }
    }

    /// A kind that has been served before is gone when it has not been for a
    /// while: an API server that starts may not know all of its kinds at once.
    fn not_served(&mut self, kind: Kind) -> bool {
        if self.known.insert(kind) {
            return true;
        }
        let since = *self.unserved.entry(kind).or_insert_with(Instant::now);
        let keys = self.objects.keys(kind);
        if keys.is_empty() || since.elapsed() < GONE_AFTER {
            return false;
        }
        for key in &keys {
            self.remove(key);
        }
        true
    }

    /// Whether every kind has been told once.
    pub fn is_complete(&self) -> bool {
        Kind::OF_TRIGGERS
            .iter()
            .all(|kind| self.known.contains(kind))
    }

    /// The objects, without listeners that are not claimed.
    pub fn objects(&self, claim: Claim) -> Objects {
        let mut objects = self.objects.clone();
        if claim == Claim::Managed {
            objects
                .listeners
                .retain(|key, _| self.managed.contains(key));
            objects
                .unreadable
                .retain(|key, _| key.kind != Kind::EventListener || self.managed.contains(key));
        }
        objects
    }

    /// What is wrong with objects on their own.
    pub fn remarks(&self) -> Vec<Diagnostic> {
        self.remarks.values().flatten().cloned().collect()
    }

    fn apply(&mut self, kind: Kind, mut value: Value) -> bool {
        // A list does not say of each object what it is.
        value["kind"] = kind.name().into();
        value["apiVersion"] = format!("{TRIGGERS_GROUP}/{}", kind.stored_version()).into();
        let key = ObjectKey::of(kind, &value);
        let digest = digest(kind, &value);
        if self.digests.insert(key.clone(), digest) == Some(digest) {
            return false;
        }
        match value["metadata"]["annotations"][MANAGED.key] == "true" {
            true => drop(self.managed.insert(key.clone())),
            false => drop(self.managed.remove(&key)),
        }
        let read = self.objects.apply(value);
        match read.diagnostics.is_empty() {
            true => self.remarks.remove(&key),
            false => self.remarks.insert(key, read.diagnostics),
        };
        true
    }

    fn remove(&mut self, key: &ObjectKey) {
        self.objects.remove(key);
        self.remarks.remove(key);
        self.digests.remove(key);
        self.managed.remove(key);
    }
}

/// Of everything that is read from an object.
fn digest(kind: Kind, value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value["spec"].to_string().hash(&mut hasher);
    if matches!(kind, Kind::ClusterInterceptor | Kind::Interceptor) {
        // It says where the interceptor is.
        value["status"]["address"].to_string().hash(&mut hasher);
    }
    for field in ["uid", "labels", "annotations"] {
        value["metadata"][field].to_string().hash(&mut hasher);
    }
    hasher.finish()
}

/// Triggers of other namespaces that listeners among `objects` select.
pub fn crossings(objects: &Objects) -> HashSet<Crossing> {
    resolve::crossings(objects)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listener(name: &str, spec: Value, managed: bool) -> Value {
        let annotations = json!({MANAGED.key: managed.to_string()});
        let metadata = json!({"name": name, "namespace": "ci", "annotations": annotations});
        json!({"metadata": metadata, "spec": spec})
    }

    fn change(what: What) -> Change {
        Change {
            kind: Kind::EventListener,
            what,
        }
    }

    fn names(objects: &ClusterObjects, claim: Claim) -> Vec<String> {
        let claimed = objects.objects(claim);
        claimed
            .listeners
            .keys()
            .map(|key| key.name.clone())
            .collect()
    }

    #[test]
    fn what_is_told_anew_replaces_what_was_known() {
        let mut objects = ClusterObjects::default();
        let found = |name| change(What::Found(listener(name, json!({}), true)));
        for told in [
            change(What::Began),
            found("a"),
            found("b"),
            change(What::Complete),
        ] {
            objects.take(told);
        }
        assert_eq!(names(&objects, Claim::Managed), ["a", "b"]);
        for told in [change(What::Began), found("b"), found("c")] {
            objects.take(told);
        }
        assert_eq!(
            names(&objects, Claim::Managed),
            ["a", "b", "c"],
            "until all are told"
        );
        objects.take(change(What::Complete));
        assert_eq!(names(&objects, Claim::Managed), ["b", "c"]);
        objects.take(change(What::Deleted(listener("b", json!({}), true))));
        assert_eq!(names(&objects, Claim::Managed), ["c"]);
    }

    #[test]
    fn only_claimed_listeners_are_there() {
        let mut objects = ClusterObjects::default();
        objects.take(change(What::Applied(listener("ours", json!({}), true))));
        objects.take(change(What::Applied(listener("theirs", json!({}), false))));
        assert_eq!(names(&objects, Claim::Managed), ["ours"]);
        assert_eq!(names(&objects, Claim::All), ["ours", "theirs"]);
        objects.take(change(What::Applied(listener("ours", json!({}), false))));
        assert!(names(&objects, Claim::Managed).is_empty());
    }

    #[test]
    fn a_status_is_no_change_and_a_bad_object_is_told() {
        let mut objects = ClusterObjects::default();
        let mut object = listener("a", json!({}), true);
        assert!(objects.take(change(What::Applied(object.clone()))));
        object["status"] = json!({"address": {"url": "http://x"}});
        assert!(!objects.take(change(What::Applied(object))));
        let bad = listener("a", json!({"triggers": 7}), true);
        assert!(objects.take(change(What::Applied(bad))));
        let remarks = objects.remarks();
        assert!(
            remarks[0]
                .to_string()
                .starts_with("EventListener ci/a: /spec/triggers: ")
        );
        assert!(objects.objects(Claim::Managed).listeners.is_empty());
    }

    #[test]
    fn a_kind_that_is_not_served_for_a_moment_is_not_gone() {
        let mut objects = ClusterObjects::default();
        assert!(
            objects.take(change(What::NotServed)),
            "nothing is known to be there"
        );
        objects.take(change(What::Began));
        objects.take(change(What::Found(listener("a", json!({}), true))));
        objects.take(change(What::Complete));
        assert!(!objects.take(change(What::NotServed)));
        assert_eq!(names(&objects, Claim::Managed), ["a"]);
    }
}
