//! Parameters: what bindings produce and templates consume.

use serde::{Deserialize, Serialize};

/// One resolved parameter. Values are always text, as in Tekton Triggers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Param {
    /// Name, as `$(tt.params.NAME)` spells it.
    pub name: String,
    /// Text to put in its place.
    pub value: String,
}

/// The parameters of one delivery, in the order in which bindings gave them.
pub type Params = Vec<Param>;

/// A parameter that a template declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamSpec {
    /// Name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Value where no binding gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}
