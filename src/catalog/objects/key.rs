//! Which object.

use std::fmt;

use serde_json::Value;

use super::DEFAULT_NAMESPACE;

/// The kinds that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `EventListener`.
    EventListener,
    /// `Trigger`.
    Trigger,
    /// `TriggerTemplate`.
    TriggerTemplate,
    /// `TriggerBinding`.
    TriggerBinding,
    /// `ClusterTriggerBinding`.
    ClusterTriggerBinding,
    /// `Secret`.
    Secret,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for a kind that has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            name,
        } = self;
        match namespace.as_str() {
            "" => write!(f, "{kind:?} {name}"),
            _ => write!(f, "{kind:?} {namespace}/{name}"),
        }
    }
}

pub(super) fn key_of(kind: Kind, value: &Value) -> ObjectKey {
    let meta = |key: &str| value["metadata"][key].as_str().unwrap_or_default();
    let namespace = match (kind, meta("namespace")) {
        (Kind::ClusterTriggerBinding, _) => "",
        (_, "") => DEFAULT_NAMESPACE,
        (_, given) => given,
    };
    ObjectKey {
        kind,
        namespace: namespace.to_owned(),
        name: meta("name").to_owned(),
    }
}
