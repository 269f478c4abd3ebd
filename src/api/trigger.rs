//! Trigger: interceptors, bindings and a template.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::meta::{ObjectMeta, null_as_default};
use super::trigger_template::TriggerTemplateSpec;

pub mod deprecated;

use deprecated::{Cel, Sender};

/// A Trigger.
#[derive(Clone, Debug, Deserialize)]
pub struct Trigger {
    /// Name, namespace, labels, annotations.
    pub metadata: ObjectMeta,
    /// What it does.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: TriggerSpec,
}

/// What a Trigger does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerSpec {
    /// Ignored, as upstream does: the object's own name counts.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
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

/// One interceptor of a trigger.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Interceptor {
    /// What its author calls it.
    pub name: Option<String>,
    /// Which interceptor it is.
    #[serde(rename = "ref", deserialize_with = "null_as_default")]
    pub reference: InterceptorRef,
    /// Its parameters.
    #[serde(deserialize_with = "null_as_default")]
    pub params: Vec<InterceptorParam>,
    /// The deprecated kind that replaces body and headers.
    pub webhook: Option<Webhook>,
    /// Bitbucket in the old spelling; gone after [`Self::upgrade`].
    pub bitbucket: Option<Sender>,
    /// Expressions in the old spelling.
    pub cel: Option<Cel>,
    /// GitHub in the old spelling.
    pub github: Option<Sender>,
    /// GitLab in the old spelling.
    pub gitlab: Option<Sender>,
}

/// The deprecated interceptor that replaces body and headers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    /// The Service that it is.
    pub object_ref: Option<ObjectReference>,
    /// Its address, in place of that.
    pub url: Option<String>,
    /// Headers that it is sent.
    #[serde(deserialize_with = "null_as_default")]
    pub header: Vec<HeaderParam>,
}

/// Names an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    /// Its kind.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
    /// Its group and version.
    #[serde(deserialize_with = "null_as_default")]
    pub api_version: String,
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Its namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
}

/// A header to be sent.
#[derive(Clone, Debug, Deserialize)]
pub struct HeaderParam {
    /// Its name.
    pub name: String,
    /// Its value, or several.
    pub value: OneOrMany,
}

/// A text, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Names an interceptor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InterceptorRef {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// `ClusterInterceptor`, which an empty kind means, or
    /// `NamespacedInterceptor`.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
    /// Group and version; not needed.
    #[serde(deserialize_with = "null_as_default")]
    pub api_version: String,
}

/// One parameter of an interceptor: any JSON.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, Hash)]
pub struct InterceptorParam {
    /// Its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: Value,
}

/// A binding in place, or a reference to one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Binding {
    /// Name of the parameter given here.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Name of a TriggerBinding or ClusterTriggerBinding.
    #[serde(rename = "ref", deserialize_with = "null_as_default")]
    pub reference: String,
    /// Which of the two; empty means TriggerBinding.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
    /// Group and version; not needed.
    #[serde(
        alias = "apiversion",
        rename = "apiVersion",
        deserialize_with = "null_as_default"
    )]
    pub api_version: String,
}

/// A template in place, or a reference to one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Template {
    /// Name of a TriggerTemplate.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The template itself.
    pub spec: Option<TriggerTemplateSpec>,
    /// Group and version; not needed.
    #[serde(
        alias = "apiversion",
        rename = "apiVersion",
        deserialize_with = "null_as_default"
    )]
    pub api_version: String,
}
