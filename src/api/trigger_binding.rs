//! TriggerBinding and ClusterTriggerBinding: parameters from an event.

use serde::Deserialize;

use super::meta::{ObjectMeta, null_as_default};

/// A TriggerBinding, or a ClusterTriggerBinding, which has no namespace.
#[derive(Clone, Debug, Deserialize)]
pub struct TriggerBinding {
    /// Name, namespace, labels, annotations.
    pub metadata: ObjectMeta,
    /// Its parameters.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: TriggerBindingSpec,
}

/// The parameters of a binding.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TriggerBindingSpec {
    /// In order.
    #[serde(deserialize_with = "null_as_default")]
    pub params: Vec<BindingParam>,
}

/// One parameter: text with `$(…)` expressions in it.
#[derive(Clone, Debug, Deserialize)]
pub struct BindingParam {
    /// Its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// The text.
    #[serde(default, deserialize_with = "null_as_default")]
    pub value: String,
}
