//! Which triggers a listener, or a group of it, selects.

use std::collections::BTreeMap;

use crate::api::event_listener::{EventListener, NamespaceSelector};
use crate::api::meta::LabelSelector;

/// A selection of Triggers by namespace and labels.
#[derive(Clone, Copy)]
pub(super) struct Selection<'a> {
    /// Namespace of the listener: a label selector alone looks there.
    namespace: &'a str,
    names: &'a NamespaceSelector,
    labels: Option<&'a LabelSelector>,
}

impl<'a> Selection<'a> {
    /// What the listener itself selects, and where it says so.
    pub(super) fn of_listener(listener: &'a EventListener) -> (Self, &'static str) {
        let spec = &listener.spec;
        let selection = Self {
            namespace: &listener.metadata.namespace,
            names: &spec.namespace_selector,
            labels: spec.label_selector.as_ref(),
        };
        (selection, "/spec/namespaceSelector")
    }

    /// What each of its groups selects, and where it says so.
    pub(super) fn of_groups(listener: &'a EventListener) -> impl Iterator<Item = (Self, String)> {
        let groups = listener.spec.trigger_groups.iter().enumerate();
        groups.map(|(index, group)| {
            let selection = Self {
                namespace: &listener.metadata.namespace,
                names: &group.trigger_selector.namespace_selector,
                labels: group.trigger_selector.label_selector.as_ref(),
            };
            (
                selection,
                format!("/spec/triggerGroups/{index}/triggerSelector"),
            )
        })
    }

    /// Whether it takes anything at all.
    pub(super) fn is_any(self) -> bool {
        self.labels.is_some() || self.may_cross()
    }

    /// Whether it may take Triggers of other namespaces.
    pub(super) fn may_cross(self) -> bool {
        !self.names.match_names.is_empty()
    }

    /// Whether it takes a Trigger.
    pub(super) fn takes(self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        let in_namespace = match self.names.match_names.as_slice() {
            [all] if all == "*" => true,
            [] => self.labels.is_some() && namespace == self.namespace,
            names => names.iter().any(|name| name == namespace),
        };
        in_namespace && self.labels.is_none_or(|selector| selector.selects(labels))
    }
}
