//! Where an object goes: `NAMESPACE/KIND/NAME`. Parts of it may come from a
//! payload, so that each is checked to be a plain name.

use std::fmt;

use crate::model::manifest::Manifest;

use super::ActError;

/// Longest name that the API server takes.
const NAME_LENGTH: usize = 253;

/// The parts of an object's place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ObjectPath<'a> {
    pub namespace: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
}

impl fmt::Display for ObjectPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.name)
    }
}

impl<'a> ObjectPath<'a> {
    /// The place of `manifest`, or why it has none.
    pub(super) fn of(manifest: &'a Manifest) -> Result<Self, ActError> {
        let part = |value: Option<&'a str>, field: &str| match value {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(ActError::Invalid(format!("the resource has no {field}"))),
        };
        let version = part(manifest.api_version(), "apiVersion")?;
        if !is_version(version) {
            return Err(ActError::Invalid(format!("`{version}` is no apiVersion")));
        }
        let kind = part(manifest.kind(), "kind")?;
        let name = part(manifest.name(), "metadata.name or metadata.generateName")?;
        let namespace = part(manifest.namespace(), "metadata.namespace")?;
        if !kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ActError::Invalid(format!("`{kind}` is no kind")));
        }
        for (field, value) in [("name", name), ("namespace", namespace)] {
            if !is_plain_name(value) {
                let message = format!("`{value}` is no valid metadata.{field}");
                return Err(ActError::Invalid(message));
            }
        }
        Ok(Self {
            namespace,
            kind,
            name,
        })
    }
}

/// `v1`, `batch/v1`, `tekton.dev/v1beta1`: a version, or a group and one.
fn is_version(text: &str) -> bool {
    let plain = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed)
    };
    let (group, version) = text.split_once('/').unwrap_or(("core", text));
    text.len() <= NAME_LENGTH && plain(group) && plain(version)
}

/// What the API server takes as a segment of a path, and a filesystem as a
/// visible file.
fn is_plain_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    name.len() <= NAME_LENGTH && !name.starts_with('.') && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(namespace: &str, kind: &str, name: &str) -> Manifest {
        let meta = json!({"namespace": namespace, "name": name});
        Manifest(json!({"apiVersion": "v1", "kind": kind, "metadata": meta}))
    }

    #[test]
    fn no_part_of_a_payload_leads_out_of_the_folder() {
        assert!(ObjectPath::of(&manifest("ci", "ConfigMap", "a-1.b")).is_ok());
        for (namespace, kind, name) in [
            ("ci", "ConfigMap", "../../etc/passwd"),
            ("ci", "ConfigMap", ".."),
            ("ci", "ConfigMap", ".hidden"),
            ("ci", "ConfigMap", "a/b"),
            ("ci", "ConfigMap", "a\0b"),
            ("..", "ConfigMap", "a"),
            ("ci", "../x", "a"),
            ("ci", "ConfigMap", ""),
            ("", "ConfigMap", "a"),
        ] {
            let manifest = manifest(namespace, kind, name);
            let error = ObjectPath::of(&manifest).unwrap_err();
            assert!(
                error.patience() == crate::act::Patience::None,
                "{manifest:?}"
            );
        }
        assert!(ObjectPath::of(&manifest("ci", "ConfigMap", &"a".repeat(254))).is_err());
    }

    #[test]
    fn a_manifest_without_a_kind_or_version_is_invalid() {
        let bare = Manifest(json!({"metadata": {"name": "a", "namespace": "b"}}));
        assert!(ObjectPath::of(&bare).is_err());
    }
}
