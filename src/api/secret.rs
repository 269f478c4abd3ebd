//! Secret, as Kubernetes has it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::meta::{ObjectMeta, null_as_default};

/// A Secret. Prints its keys and nothing of its values.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Name, namespace, labels, annotations.
    pub metadata: ObjectMeta,
    /// Values in base64.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data: BTreeMap<String, String>,
    /// Values as text; they win over `data`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub string_data: BTreeMap<String, String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.metadata.name)
            .field("namespace", &self.metadata.namespace)
            .field("data", &self.data.keys())
            .field("stringData", &self.string_data.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_prints_keys_and_no_values() {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "s"},
            "data": {"a": "aHVudGVyMg=="},
            "stringData": {"b": "hunter2"},
        }))
        .unwrap();
        let printed = format!("{secret:?}");
        assert!(printed.contains("\"a\"") && printed.contains("\"b\""));
        assert!(!printed.contains("hunter2") && !printed.contains("aHVudGVyMg"));
    }
}
