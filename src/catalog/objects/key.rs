//! Which object.

use std::fmt;

use serde_json::Value;

use crate::api::{V1ALPHA1, V1BETA1};
use crate::model::ids::ListenerId;

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
    /// `ClusterInterceptor`.
    ClusterInterceptor,
    /// `Interceptor`.
    Interceptor,
    /// `Secret`.
    Secret,
}

impl Kind {
    /// The kinds that say what is triggered.
    pub const OF_TRIGGERS: [Self; 7] = [
        Self::EventListener,
        Self::Trigger,
        Self::TriggerTemplate,
        Self::TriggerBinding,
        Self::ClusterTriggerBinding,
        Self::ClusterInterceptor,
        Self::Interceptor,
    ];

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut known = Self::OF_TRIGGERS.into_iter().chain([Self::Secret]);
        known.find(|kind| kind.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventListener => "EventListener",
            Self::Trigger => "Trigger",
            Self::TriggerTemplate => "TriggerTemplate",
            Self::TriggerBinding => "TriggerBinding",
            Self::ClusterTriggerBinding => "ClusterTriggerBinding",
            Self::ClusterInterceptor => "ClusterInterceptor",
            Self::Interceptor => "Interceptor",
            Self::Secret => "Secret",
        }
    }

    /// The version that a cluster stores it in.
    pub fn stored_version(self) -> &'static str {
        match self {
            Self::ClusterInterceptor | Self::Interceptor => V1ALPHA1,
            Self::Secret => "v1",
            _ => V1BETA1,
        }
    }

    /// Whether it is read in a version of Tekton's group.
    pub(in crate::catalog) fn is_read_in(self, version: &str) -> bool {
        self != Self::Secret && (version == V1ALPHA1 || version == self.stored_version())
    }

    /// Whether it is in a namespace.
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::ClusterTriggerBinding | Self::ClusterInterceptor)
    }
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

impl ObjectKey {
    /// The key of an object of this kind.
    pub fn of(kind: Kind, value: &Value) -> Self {
        key_of(kind, value)
    }

    /// Whether it is this listener's.
    pub(in crate::catalog) fn is_listener(&self, id: &ListenerId) -> bool {
        self.kind == Kind::EventListener && self.namespace == id.namespace && self.name == id.name
    }
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
    let namespace = match (kind.is_namespaced(), meta("namespace")) {
        (false, _) => "",
        (_, "") => DEFAULT_NAMESPACE,
        (_, given) => given,
    };
    ObjectKey {
        kind,
        namespace: namespace.to_owned(),
        name: meta("name").to_owned(),
    }
}
