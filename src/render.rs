//! Renders resource templates: puts parameters into them.
//!
//! In: a TriggerTemplate's spec, compiled once; for each event its parameters
//! and its `Origin`. Out: manifests, stamped with what they come from. Follows
//! Tekton Triggers wherever that gives a resource, but substitutes in the
//! parsed tree and never in JSON or YAML text: no parameter can change the
//! shape of a manifest. It must not read anything but its arguments.
//!
//! `compile` reads a template into a `tree` with a `leaf` for each text that has
//! expressions, and `control` takes Tripline's own annotations off it; `values`
//! go into leaves, and `identity` with `names` stamps what was rendered.

mod compile;
mod control;
mod decode;
mod error;
mod identity;
mod leaf;
mod names;
mod tree;
mod undeclared;
mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use compile::compile;
pub use error::RenderError;
pub use undeclared::undeclared;

use crate::model::ids::{EventId, ListenerId, TriggerId};
use crate::model::limits::MANIFEST_BYTES;
use crate::model::manifest::Manifest;
use crate::model::params::{Param, ParamSpec};
use tree::Node;
use values::Values;

static NO_CONTROL: BTreeMap<String, String> = BTreeMap::new();

/// The spec of a TriggerTemplate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TemplateSource {
    /// `spec.params`.
    pub params: Vec<ParamSpec>,
    /// `spec.resourcetemplates`.
    pub resourcetemplates: Vec<Value>,
    /// Whether it has the annotation `triggers.tekton.dev/old-escape-quotes`.
    pub old_escape_quotes: bool,
}

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    params: Vec<ParamSpec>,
    resources: Vec<Resource>,
    old_escape_quotes: bool,
}

#[derive(Debug)]
struct Resource {
    root: Node,
    control: BTreeMap<String, String>,
}

/// What resources are rendered for.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The event.
    pub event: EventId,
    /// The trigger's path in its listener.
    pub trigger: &'a TriggerId,
    /// The listener.
    pub listener: &'a ListenerId,
    /// The trigger's own name; empty where it has none.
    pub trigger_name: &'a str,
    /// The trigger's namespace.
    pub namespace: &'a str,
    /// The value of `$(uid)`.
    pub uid: Uuid,
}

/// What a template gives for one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// One manifest for each resource template, in order.
    pub manifests: Vec<Manifest>,
    /// Annotations of Tripline's own that parameters spelled; they do not count.
    pub ignored: Vec<IgnoredAnnotation>,
}

/// An annotation that was taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredAnnotation {
    /// Index of the resource in its template.
    pub resource: usize,
    /// Its key.
    pub key: String,
}

impl Template {
    /// The parameters that it declares.
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }

    /// How many resource templates it has.
    pub fn resources(&self) -> usize {
        self.resources.len()
    }

    /// The annotations `tripline.dev/*` that stand on the resource template
    /// with this index, whole keys, values as written.
    pub fn control(&self, index: usize) -> &BTreeMap<String, String> {
        let resource = self.resources.get(index);
        resource.map_or(&NO_CONTROL, |resource| &resource.control)
    }
}

/// Renders all resources of a template for one event, or none.
pub fn render(
    template: &Template,
    params: &[Param],
    origin: &Origin<'_>,
) -> Result<Rendered, RenderError> {
    let uid = origin.uid.to_string();
    let values = Values::new(params, &template.params, uid, template.old_escape_quotes);
    let mut manifests = Vec::with_capacity(template.resources.len());
    let mut ignored = Vec::new();
    for (resource, source) in template.resources.iter().enumerate() {
        let mut value = tree::render(&source.root, &values, resource)?;
        let object = value.as_object_mut().filter(|object| names_kind(object));
        let object = object.ok_or(RenderError::NoKind { resource })?;
        let keys = identity::stamp(object, origin, resource)?;
        let limit = MANIFEST_BYTES;
        if serde_json::to_vec(&value).map_or(true, |text| text.len() > limit) {
            return Err(RenderError::TooLarge { resource, limit });
        }
        ignored.extend(
            keys.into_iter()
                .map(|key| IgnoredAnnotation { resource, key }),
        );
        manifests.push(Manifest(value));
    }
    Ok(Rendered { manifests, ignored })
}

/// Whether it says what it is. Nothing else is asked of it here: upstream asks
/// no more before it looks for the kind in the cluster. It finds no kind where
/// the API version has more than a group and a version.
fn names_kind(object: &Map<String, Value>) -> bool {
    let text = |field| object.get(field).and_then(Value::as_str).unwrap_or("");
    !text("kind").is_empty() && text("apiVersion").matches('/').count() <= 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn template(resources: &[Value]) -> Template {
        let source = TemplateSource {
            params: vec![ParamSpec {
                name: "declared".into(),
                description: None,
                default: Some("default".into()),
            }],
            resourcetemplates: resources.to_vec(),
            old_escape_quotes: false,
        };
        compile(source).expect("compiles")
    }

    fn rendered(resources: &[Value], value: &str) -> Result<Rendered, RenderError> {
        let origin = Origin {
            event: EventId(Uuid::from_u128(7)),
            trigger: &TriggerId("ci/push".into()),
            listener: &ListenerId {
                namespace: "ci".into(),
                name: "el".into(),
            },
            trigger_name: "push",
            namespace: "ci",
            uid: Uuid::from_u128(9),
        };
        let params = [Param {
            name: "p".into(),
            value: value.into(),
        }];
        render(&template(resources), &params, &origin)
    }

    fn one(resource: &Value, value: &str) -> Value {
        let rendered = rendered(std::slice::from_ref(resource), value).expect("renders");
        rendered.manifests[0].0.clone()
    }

    #[test]
    fn params_win_over_defaults_and_what_has_neither_stays() {
        let object = one(
            &json!({"kind": "X", "n": 1, "spec": ["$(tt.params.p)", {
                "d": "$(tt.params.declared)",
                "u": "$(tt.params.unset)",
                "$(tt.params.p)-key": "$(uid)",
            }]}),
            "v",
        );
        let uid = Uuid::from_u128(9).to_string();
        let expected = json!(["v", {"d": "default", "u": "$(tt.params.unset)", "v-key": uid}]);
        assert_eq!(object["spec"], expected);
        assert_eq!(object["n"], 1);
    }

    #[test]
    fn a_key_that_a_param_spells_never_replaces_one_of_the_author() {
        let resource = json!({"kind": "X", "spec": {"$(tt.params.p)": 1, "kind": 2}});
        assert_eq!(one(&resource, "kind")["spec"], json!({"kind": 2}));
        let resource = json!({"kind": "X", "$(tt.params.p)": 1});
        assert_eq!(one(&resource, "spec")["spec"], 1);
        let error = rendered(&[resource], "kind").expect_err("says what it is");
        assert_eq!(
            error.to_string(),
            "a parameter in a key of resource 0 spells kind, which is already there"
        );
    }

    #[test]
    fn a_resource_without_a_kind_fails_the_event() {
        let resources = [json!({"kind": "X"}), json!({"kind": "$(tt.params.p)"})];
        assert_eq!(
            rendered(&resources, ""),
            Err(RenderError::NoKind { resource: 1 })
        );
        let versioned = json!({"kind": "X", "apiVersion": "$(tt.params.p)"});
        for (version, fits) in [
            ("v1", true),
            ("a.b/v1", true),
            ("", true),
            ("a/b/v1", false),
        ] {
            let given = rendered(std::slice::from_ref(&versioned), version);
            assert_eq!(given.is_ok(), fits, "{version}");
        }
    }

    #[test]
    fn annotations_of_ours_count_only_as_the_author_wrote_them() {
        let resource = json!({"kind": "X", "metadata": {"annotations": {
            "tripline.dev/if": "$(tt.params.p)",
            "$(tt.params.p)": "x",
        }}});
        let template = template(std::slice::from_ref(&resource));
        assert_eq!(template.control(0)["tripline.dev/if"], "$(tt.params.p)");
        assert!(template.control(1).is_empty());
        let rendered = rendered(&[resource], "tripline.dev/trigger").expect("renders");
        let key = "tripline.dev/trigger".to_owned();
        assert_eq!(rendered.ignored, [IgnoredAnnotation { resource: 0, key }]);
        let manifest = &rendered.manifests[0];
        assert_eq!(manifest.annotation("tripline.dev/trigger"), Some("ci/push"));
        assert_eq!(manifest.annotation("tripline.dev/if"), None);
    }

    #[test]
    fn a_manifest_that_no_server_takes_is_refused() {
        let resources = [json!({"kind": "X", "a": "$(tt.params.p)", "b": "$(tt.params.p)"})];
        let error =
            rendered(&resources, &"x".repeat(MANIFEST_BYTES / 2)).expect_err("is too large");
        assert_eq!(
            error.reason(),
            crate::model::verdict::Reason::ManifestTooLarge
        );
        let error =
            rendered(&resources, &"\\n".repeat(MANIFEST_BYTES / 3)).expect_err("is too large");
        assert_eq!(
            error.reason(),
            crate::model::verdict::Reason::ManifestTooLarge
        );
    }

    #[test]
    fn a_compiled_template_can_be_shared() {
        fn shared<T: Send + Sync>() {}
        shared::<Template>();
    }

    /// The tree with every text replaced by nothing, keys kept.
    fn shape(value: &Value) -> Value {
        match value {
            Value::String(_) => json!(""),
            Value::Array(items) => items.iter().map(shape).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), shape(value)))
                .collect(),
            scalar => scalar.clone(),
        }
    }

    proptest! {
        #[test]
        fn no_payload_changes_the_shape_of_a_manifest(
            payload in r#"(\PC|["\\{}\[\],:$()\n\t]|\$\(uid\)|\$\(tt\.params\.p\)|\\u[0-9a-fd]{4}|","kind":"Y|\n- ){0,20}"#,
        ) {
            let resource = json!({
                "apiVersion": "tekton.dev/v1",
                "kind": "PipelineRun",
                "metadata": {"generateName": "run-$(tt.params.p)-", "labels": {"l": "$(tt.params.p)"}},
                "spec": {
                    "params": [{"name": "a", "value": "$(tt.params.p)"}, {"name": "b", "value": "fixed"}],
                    "text": "x \"$(tt.params.p)\"\n$(uid) $(tt.params.p)",
                    "number": 1,
                },
            });
            let object = one(&resource, &payload);
            let sentinel = one(&resource, "sentinel");
            prop_assert_eq!(shape(&object), shape(&sentinel));
            for field in ["/apiVersion", "/kind", "/spec/params/1/value", "/metadata/namespace"] {
                prop_assert_eq!(object.pointer(field), sentinel.pointer(field));
            }
        }
    }
}
