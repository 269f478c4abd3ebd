//! TriggerTemplate: the resources that a trigger makes.

use serde::Deserialize;
use serde_json::Value;

use crate::model::params::ParamSpec;

use super::meta::{ObjectMeta, null_as_default};

/// A TriggerTemplate.
#[derive(Clone, Debug, Deserialize)]
pub struct TriggerTemplate {
    /// Name, namespace, labels, annotations.
    pub metadata: ObjectMeta,
    /// What it makes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: TriggerTemplateSpec,
}

/// Parameters and the resources that use them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TriggerTemplateSpec {
    /// Parameters, with defaults.
    #[serde(deserialize_with = "null_as_default")]
    pub params: Vec<ParamSpec>,
    /// Resources with `$(tt.params.NAME)` in them. Upstream's documentation
    /// spells the field in both ways.
    #[serde(alias = "resourceTemplates", deserialize_with = "null_as_default")]
    pub resourcetemplates: Vec<Value>,
}
