//! Keys in the letter case that the API gives them. Go's decoder, which these
//! kinds have always been read with, takes any: `resourceTemplates` is in
//! upstream's own documentation.
//!
//! Only keys of the API's own structures are touched. Labels, parameters of
//! interceptors, resources and pod templates are their author's.

use serde_json::{Map, Value};

use super::objects::Kind;

/// What is below a key.
#[derive(Clone, Copy)]
enum Shape {
    /// Nothing that is looked into.
    Any,
    /// A structure with these keys. Others are left as they are.
    Struct(&'static [(&'static str, Shape)]),
    /// A list of such things.
    List(&'static Shape),
}

use Shape::{Any, List, Struct};

const METADATA: Shape = Struct(&[
    ("annotations", Any),
    ("generateName", Any),
    ("labels", Any),
    ("name", Any),
    ("namespace", Any),
    ("uid", Any),
]);

const LABEL_SELECTOR: Shape = Struct(&[
    (
        "matchExpressions",
        List(&Struct(&[("key", Any), ("operator", Any), ("values", Any)])),
    ),
    ("matchLabels", Any),
]);

const NAMESPACE_SELECTOR: Shape = Struct(&[("matchNames", Any)]);

const NAME_AND_VALUE: Shape = Struct(&[("name", Any), ("value", Any)]);

const BINDING_SPEC: Shape = Struct(&[("params", List(&NAME_AND_VALUE))]);

const TEMPLATE_SPEC: Shape = Struct(&[
    (
        "params",
        List(&Struct(&[
            ("default", Any),
            ("description", Any),
            ("name", Any),
        ])),
    ),
    ("resourcetemplates", Any),
]);

const REFERENCE: Shape = Struct(&[("apiVersion", Any), ("kind", Any), ("name", Any)]);

const SENDER: Shape = Struct(&[
    ("eventTypes", Any),
    (
        "secretRef",
        Struct(&[("secretKey", Any), ("secretName", Any)]),
    ),
]);

const CEL: Shape = Struct(&[
    ("filter", Any),
    (
        "overlays",
        List(&Struct(&[("expression", Any), ("key", Any)])),
    ),
]);

const WEBHOOK: Shape = Struct(&[
    ("header", List(&NAME_AND_VALUE)),
    (
        "objectRef",
        Struct(&[
            ("apiVersion", Any),
            ("fieldPath", Any),
            ("kind", Any),
            ("name", Any),
            ("namespace", Any),
            ("resourceVersion", Any),
            ("uid", Any),
        ]),
    ),
    ("url", Any),
]);

const INTERCEPTORS: Shape = List(&Struct(&[
    ("bitbucket", SENDER),
    ("cel", CEL),
    ("github", SENDER),
    ("gitlab", SENDER),
    ("name", Any),
    ("params", List(&NAME_AND_VALUE)),
    ("ref", REFERENCE),
    ("webhook", WEBHOOK),
]));

const BINDINGS: Shape = List(&Struct(&[
    ("apiversion", Any),
    ("kind", Any),
    ("name", Any),
    ("ref", Any),
    ("value", Any),
]));

const TEMPLATE: Shape = Struct(&[("apiversion", Any), ("ref", Any), ("spec", TEMPLATE_SPEC)]);

/// A trigger, in a listener or by itself.
const TRIGGER_SPEC: Shape = Struct(&[
    ("bindings", BINDINGS),
    ("interceptors", INTERCEPTORS),
    ("name", Any),
    ("serviceAccountName", Any),
    ("template", TEMPLATE),
    ("triggerRef", Any),
]);

const GROUP: Shape = Struct(&[
    ("interceptors", INTERCEPTORS),
    ("name", Any),
    (
        "triggerSelector",
        Struct(&[
            ("labelSelector", LABEL_SELECTOR),
            ("namespaceSelector", NAMESPACE_SELECTOR),
        ]),
    ),
]);

/// Down to the account, which is all that is read of it.
const KUBERNETES_RESOURCE: Shape = Struct(&[
    ("replicas", Any),
    ("serviceLoadBalancerClass", Any),
    ("servicePort", Any),
    ("serviceType", Any),
    (
        "spec",
        Struct(&[(
            "template",
            Struct(&[("spec", Struct(&[("serviceAccountName", Any)]))]),
        )]),
    ),
]);

const LISTENER_SPEC: Shape = Struct(&[
    ("cloudEventURI", Any),
    ("labelSelector", LABEL_SELECTOR),
    ("namespaceSelector", NAMESPACE_SELECTOR),
    (
        "resources",
        Struct(&[
            ("customResource", Any),
            ("kubernetesResource", KUBERNETES_RESOURCE),
        ]),
    ),
    ("serviceAccountName", Any),
    ("triggerGroups", List(&GROUP)),
    ("triggers", List(&TRIGGER_SPEC)),
]);

const INTERCEPTOR_SPEC: Shape = Struct(&[(
    "clientConfig",
    Struct(&[
        ("caBundle", Any),
        (
            "service",
            Struct(&[
                ("name", Any),
                ("namespace", Any),
                ("path", Any),
                ("port", Any),
            ]),
        ),
        ("url", Any),
    ]),
)]);

/// Gives the keys of an object their own spelling.
pub(super) fn normalise(kind: Kind, value: &mut Value) {
    let spec = match kind {
        // Kubernetes itself reads those.
        Kind::Secret => return,
        Kind::EventListener => LISTENER_SPEC,
        Kind::Trigger => TRIGGER_SPEC,
        Kind::TriggerTemplate => TEMPLATE_SPEC,
        Kind::TriggerBinding | Kind::ClusterTriggerBinding => BINDING_SPEC,
        Kind::ClusterInterceptor | Kind::Interceptor => INTERCEPTOR_SPEC,
    };
    let Value::Object(object) = value else { return };
    for (name, shape) in [
        ("metadata", METADATA),
        ("spec", spec),
        ("status", Struct(&[])),
    ] {
        rename(object, name);
        if let Some(below) = object.get_mut(name) {
            walk(below, shape);
        }
    }
}

fn walk(value: &mut Value, shape: Shape) {
    match (value, shape) {
        (Value::Object(object), Struct(keys)) => {
            for (name, below) in keys {
                rename(object, name);
                if let Some(value) = object.get_mut(*name) {
                    walk(value, *below);
                }
            }
        }
        (Value::Array(items), List(shape)) => {
            for item in items {
                walk(item, *shape);
            }
        }
        _ => {}
    }
}

/// Gives a key its own spelling. One that is there in it already counts, and
/// the other one is nobody's then.
fn rename(object: &mut Map<String, Value>, name: &str) {
    if object.contains_key(name) {
        return;
    }
    let other = object.keys().find(|key| key.eq_ignore_ascii_case(name));
    if let Some(other) = other.cloned()
        && let Some(value) = object.remove(&other)
    {
        object.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_the_api_get_their_spelling_and_others_keep_theirs() {
        let mut trigger = json!({
            "Metadata": {"NAME": "t", "Labels": {"Team": "A"}},
            "SPEC": {
                "Bindings": [{"Name": "p", "VALUE": "Name"}],
                "interceptors": [{"REF": {"Name": "cel"}, "params": [{"name": "x", "value": {"Name": 1}}]}],
                "Template": {"Spec": {"resourceTemplates": [{"Kind": "X"}]}},
                "Other": {"Name": 1},
            },
        });
        normalise(Kind::Trigger, &mut trigger);
        assert_eq!(
            trigger,
            json!({
                "metadata": {"name": "t", "labels": {"Team": "A"}},
                "spec": {
                    "bindings": [{"name": "p", "value": "Name"}],
                    "interceptors": [{"ref": {"name": "cel"}, "params": [{"name": "x", "value": {"Name": 1}}]}],
                    "template": {"spec": {"resourcetemplates": [{"Kind": "X"}]}},
                    "Other": {"Name": 1},
                },
            })
        );
    }

    #[test]
    fn one_that_is_spelt_right_is_not_replaced() {
        let mut binding = json!({"spec": {"Params": [], "params": [{"name": "a", "value": "b"}]}});
        let before = binding.clone();
        normalise(Kind::TriggerBinding, &mut binding);
        assert_eq!(binding, before);
    }
}
