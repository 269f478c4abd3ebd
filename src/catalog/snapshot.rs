//! What is in force: an immutable set of listeners with their triggers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::ids::{ListenerId, TriggerId};

use super::compile::{Broken, Trigger};

/// A listener and its triggers.
#[derive(Debug)]
pub struct Listener {
    /// Namespace and name.
    pub id: ListenerId,
    /// Identity that an API server gave; empty for one from a file.
    pub uid: String,
    /// Its triggers, in order.
    pub triggers: Vec<Entry>,
}

/// A trigger of a listener, working or not.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It looks at events.
    Ready(Arc<Trigger>),
    /// Its events wait until it is mended.
    Broken(Arc<Broken>),
}

impl Entry {
    /// Its path in the listener.
    pub fn id(&self) -> &TriggerId {
        match self {
            Self::Ready(trigger) => trigger.id(),
            Self::Broken(broken) => &broken.id,
        }
    }

    /// Its name; empty for an inline trigger without one.
    pub fn name(&self) -> &str {
        match self {
            Self::Ready(trigger) => &trigger.source.name,
            Self::Broken(broken) => &broken.name,
        }
    }
}

/// Every listener.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// By `namespace/name`.
    listeners: HashMap<String, Arc<Listener>>,
}

impl Snapshot {
    /// A snapshot of these listeners.
    pub fn new(listeners: impl IntoIterator<Item = Listener>) -> Self {
        let listeners = listeners.into_iter();
        Self {
            listeners: listeners
                .map(|listener| (listener.id.to_string(), Arc::new(listener)))
                .collect(),
        }
    }

    /// The listener under `namespace/name`.
    pub fn listener(&self, path: &str) -> Option<&Arc<Listener>> {
        self.listeners.get(path)
    }

    /// The listener, where there is exactly one.
    pub fn only(&self) -> Option<&Arc<Listener>> {
        let mut all = self.listeners.values();
        all.next().filter(|_| all.next().is_none())
    }

    /// Every listener, in no order.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.listeners.values()
    }

    /// Every trigger, with its listener.
    pub(super) fn trigger_ids(&self) -> impl Iterator<Item = (ListenerId, TriggerId)> {
        self.listeners.values().flat_map(|listener| {
            let triggers = listener.triggers.iter();
            triggers.map(|entry| (listener.id.clone(), entry.id().clone()))
        })
    }

    /// The trigger under its path in a listener.
    pub fn trigger(&self, listener: &ListenerId, id: &TriggerId) -> Option<&Entry> {
        let listener = self.listeners.get(&listener.to_string())?;
        listener.triggers.iter().find(|entry| entry.id() == id)
    }
}
