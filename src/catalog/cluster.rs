//! The objects of a cluster, as far as its API server has told of them.
//!
//! In: changes, from [`super::watch_cluster`]. Out: objects, and what is wrong
//! with those that cannot be read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::model::annotations::MANAGED;

use super::diagnostic::Diagnostic;
use super::objects::{Kind, ObjectKey, Objects};
use super::permits::Crossing;
use super::resolve;

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
                true
            }
            What::NotServed => {
                for key in self.objects.keys(kind) {
                    self.remove(&key);
                }
                self.known.insert(kind)
            }
            What::Applied(value) => self.apply(kind, value),
            What::Deleted(value) => {
                self.remove(&ObjectKey::of(kind, &value));
                true
            }
        }
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
        value["apiVersion"] = crate::api::TRIGGERS_V1BETA1.into();
        let key = ObjectKey::of(kind, &value);
        let digest = digest(&value);
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
fn digest(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value["spec"].to_string().hash(&mut hasher);
    for field in ["uid", "labels", "annotations"] {
        value["metadata"][field].to_string().hash(&mut hasher);
    }
    hasher.finish()
}

/// Triggers of other namespaces that listeners among `objects` select.
pub fn crossings(objects: &Objects) -> HashSet<Crossing> {
    resolve::crossings(objects)
}
