//! Interceptors as `v1alpha1` wrote them, in place, and how they are written
//! since.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Interceptor, InterceptorParam};
use crate::api::meta::null_as_default;

/// Their fields, the one that counts first.
pub const NAMES: [&str; 4] = ["bitbucket", "cel", "github", "gitlab"];

/// Who may send, and what.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sender {
    /// The shared secret.
    pub secret_ref: Option<SecretRef>,
    /// Types of events.
    pub event_types: Option<Vec<String>>,
}

/// A value of a Secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretRef {
    /// Its key.
    #[serde(deserialize_with = "null_as_default")]
    pub secret_key: String,
    /// Name of the Secret.
    #[serde(deserialize_with = "null_as_default")]
    pub secret_name: String,
}

/// Expressions.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cel {
    /// Says whether an event is wanted.
    #[serde(deserialize_with = "null_as_default")]
    pub filter: String,
    /// Values that are added.
    pub overlays: Option<Vec<Overlay>>,
}

/// A value that is added.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Overlay {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub key: String,
    /// The value.
    #[serde(deserialize_with = "null_as_default")]
    pub expression: String,
}

impl Interceptor {
    /// The interceptors of the old spelling that are given, the one that
    /// counts first.
    pub fn deprecated(&self) -> Vec<&'static str> {
        let given = [
            self.bitbucket.is_some(),
            self.cel.is_some(),
            self.github.is_some(),
            self.gitlab.is_some(),
        ];
        let given = NAMES.into_iter().zip(given).filter(|(_, given)| *given);
        given.map(|(name, _)| name).collect()
    }

    /// Rewrites an interceptor of the old spelling into a reference with
    /// parameters. One that has a reference keeps it, and of several the first
    /// of [`Self::deprecated`] counts, as upstream has it; gives those that do
    /// not count.
    pub fn upgrade(&mut self) -> Vec<&'static str> {
        let mut ignored = self.deprecated();
        if self.reference.name.is_empty() && !ignored.is_empty() {
            let name = ignored.remove(0);
            self.params = self.deprecated_params(name);
            self.reference.name = name.to_owned();
        }
        self.cel = None;
        for sender in [&mut self.bitbucket, &mut self.github, &mut self.gitlab] {
            *sender = None;
        }
        ignored
    }

    fn deprecated_params(&self, name: &str) -> Vec<InterceptorParam> {
        let sender = match name {
            "bitbucket" => &self.bitbucket,
            "github" => &self.github,
            "gitlab" => &self.gitlab,
            _ => &None,
        };
        let params = match (sender, &self.cel) {
            (Some(sender), _) => vec![
                ("secretRef", sender.secret_ref.as_ref().map(SecretRef::json)),
                ("eventTypes", sender.event_types.as_ref().map(|t| json!(t))),
            ],
            (None, Some(cel)) => vec![
                ("filter", Some(json!(cel.filter))),
                ("overlays", cel.overlays.as_deref().map(overlays)),
            ],
            (None, None) => Vec::new(),
        };
        let params = params.into_iter().map(|(name, value)| InterceptorParam {
            name: name.to_owned(),
            value: value.unwrap_or_default(),
        });
        params.collect()
    }
}

impl SecretRef {
    fn json(&self) -> Value {
        json!({"secretKey": self.secret_key, "secretName": self.secret_name})
    }
}

fn overlays(overlays: &[Overlay]) -> Value {
    let overlays = overlays.iter();
    overlays
        .map(|one| json!({"key": one.key, "expression": one.expression}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgraded(value: Value) -> (String, Value, Vec<&'static str>) {
        let mut interceptor: Interceptor = serde_json::from_value(value).unwrap();
        let ignored = interceptor.upgrade();
        let params = serde_json::to_value(&interceptor.params).unwrap();
        (interceptor.reference.name, params, ignored)
    }

    #[test]
    fn what_was_written_in_place_becomes_a_reference_with_parameters() {
        let secret = json!({"secretName": "s", "secretKey": "k"});
        for sender in ["github", "gitlab", "bitbucket"] {
            let old = json!({sender: {"secretRef": secret, "eventTypes": ["push"]}});
            let params = json!([
                {"name": "secretRef", "value": secret},
                {"name": "eventTypes", "value": ["push"]},
            ]);
            assert_eq!(upgraded(old), (sender.to_owned(), params, vec![]));
        }
        let overlay = json!({"key": "k", "expression": "1"});
        let old = json!({"cel": {"filter": "true", "overlays": [overlay]}});
        let params = json!([
            {"name": "filter", "value": "true"},
            {"name": "overlays", "value": [overlay]},
        ]);
        assert_eq!(upgraded(old), ("cel".to_owned(), params, vec![]));
    }

    #[test]
    fn an_empty_one_counts_and_null_does_not() {
        let params = json!([
            {"name": "secretRef", "value": null},
            {"name": "eventTypes", "value": null},
        ]);
        assert_eq!(
            upgraded(json!({"github": {}, "cel": null})),
            ("github".to_owned(), params, vec![])
        );
    }

    #[test]
    fn a_reference_comes_before_all_and_one_of_several_counts() {
        let both = json!({"ref": {"name": "cel"}, "github": {}});
        let (name, params, ignored) = upgraded(both);
        assert_eq!((name.as_str(), params), ("cel", json!([])));
        assert_eq!(ignored, ["github"]);
        let (name, _, ignored) = upgraded(json!({"github": {}, "cel": {}, "gitlab": {}}));
        assert_eq!(name, "cel");
        assert_eq!(ignored, ["github", "gitlab"]);
    }
}
