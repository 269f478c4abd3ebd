//! EventListener: an address, and the triggers behind it.

use serde::Deserialize;
use serde_json::Value;

use super::meta::{LabelSelector, ObjectMeta, null_as_default};
use super::trigger::{Binding, Interceptor, Template};

/// An EventListener.
#[derive(Clone, Debug, Deserialize)]
pub struct EventListener {
    /// Name, namespace, labels, annotations.
    pub metadata: ObjectMeta,
    /// What it does.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: EventListenerSpec,
}

/// What an EventListener does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventListenerSpec {
    /// Account that its triggers act as, where they name none.
    #[serde(deserialize_with = "null_as_default")]
    pub service_account_name: String,
    /// Triggers written in place or referred to.
    #[serde(deserialize_with = "null_as_default")]
    pub triggers: Vec<EventListenerTrigger>,
    /// Triggers that share interceptors.
    #[serde(deserialize_with = "null_as_default")]
    pub trigger_groups: Vec<TriggerGroup>,
    /// Namespaces whose Triggers it takes.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace_selector: NamespaceSelector,
    /// Labels of the Triggers that it takes.
    pub label_selector: Option<LabelSelector>,
    /// How Tekton would run its pod. Only the account is read.
    #[serde(deserialize_with = "null_as_default")]
    pub resources: Resources,
    /// Where Tekton would send lifecycle CloudEvents.
    #[serde(rename = "cloudEventURI", deserialize_with = "null_as_default")]
    pub cloud_event_uri: String,
}

/// Triggers that share interceptors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerGroup {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// What an event passes once for all of them.
    #[serde(deserialize_with = "null_as_default")]
    pub interceptors: Vec<Interceptor>,
    /// Which triggers they are.
    #[serde(deserialize_with = "null_as_default")]
    pub trigger_selector: TriggerSelector,
}

/// Triggers by their namespaces and labels.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerSelector {
    /// Their namespaces.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace_selector: NamespaceSelector,
    /// Their labels.
    pub label_selector: Option<LabelSelector>,
}

/// Namespaces by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceSelector {
    /// The names; `*` alone stands for all.
    #[serde(deserialize_with = "null_as_default")]
    pub match_names: Vec<String>,
}

/// A trigger of an EventListener: written in place, or a reference.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventListenerTrigger {
    /// Name of the trigger written here.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Name of a Trigger in the listener's namespace.
    pub trigger_ref: Option<String>,
    /// Interceptors, in order.
    #[serde(deserialize_with = "null_as_default")]
    pub interceptors: Vec<Interceptor>,
    /// Bindings, in order.
    #[serde(deserialize_with = "null_as_default")]
    pub bindings: Vec<Binding>,
    /// The template.
    pub template: Option<Template>,
    /// Account that it acts as.
    #[serde(deserialize_with = "null_as_default")]
    pub service_account_name: String,
}

/// How Tekton would run the listener.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// A Deployment and a Service.
    #[serde(deserialize_with = "null_as_default")]
    pub kubernetes_resource: Value,
    /// Something else that runs pods.
    #[serde(deserialize_with = "null_as_default")]
    pub custom_resource: Value,
}

impl EventListenerSpec {
    /// The account that triggers act as where they name none: the pod
    /// template's, else the listener's.
    pub fn account(&self) -> Option<&str> {
        fn of_pod(resource: &Value) -> Option<&str> {
            let account = resource.pointer("/spec/template/spec/serviceAccountName")?;
            account.as_str().filter(|account| !account.is_empty())
        }
        let resources = &self.resources;
        of_pod(&resources.kubernetes_resource)
            .or_else(|| of_pod(&resources.custom_resource))
            .or(Some(&self.service_account_name))
            .filter(|account| !account.is_empty())
    }
}
