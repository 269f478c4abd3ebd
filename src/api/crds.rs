//! The definitions of Tekton's kinds, for clusters that do not have Tekton's
//! own: the same group, versions and names, so that either can take the
//! other's place, and schemas that take whatever upstream takes.

use serde_json::{Map, Value, json};

use super::{TRIGGERS_GROUP, V1ALPHA1, V1BETA1};

struct Kind {
    kind: &'static str,
    singular: &'static str,
    short: &'static str,
    is_namespaced: bool,
    /// Versions that are served, the stored one first.
    versions: &'static [&'static str],
    spec: fn() -> Value,
    columns: fn() -> Value,
}

const TRIGGER_VERSIONS: &[&str] = &[V1BETA1, V1ALPHA1];
const INTERCEPTOR_VERSIONS: &[&str] = &[V1ALPHA1];

const KINDS: [Kind; 7] = [
    Kind {
        kind: "EventListener",
        singular: "eventlistener",
        short: "el",
        is_namespaced: true,
        versions: TRIGGER_VERSIONS,
        spec: listener,
        columns: listener_columns,
    },
    Kind {
        kind: "Trigger",
        singular: "trigger",
        short: "tri",
        is_namespaced: true,
        versions: TRIGGER_VERSIONS,
        spec: trigger,
        columns: age_alone,
    },
    Kind {
        kind: "TriggerTemplate",
        singular: "triggertemplate",
        short: "tt",
        is_namespaced: true,
        versions: TRIGGER_VERSIONS,
        spec: template,
        columns: age_alone,
    },
    Kind {
        kind: "TriggerBinding",
        singular: "triggerbinding",
        short: "tb",
        is_namespaced: true,
        versions: TRIGGER_VERSIONS,
        spec: binding,
        columns: age_alone,
    },
    Kind {
        kind: "ClusterTriggerBinding",
        singular: "clustertriggerbinding",
        short: "ctb",
        is_namespaced: false,
        versions: TRIGGER_VERSIONS,
        spec: binding,
        columns: age_alone,
    },
    Kind {
        kind: "ClusterInterceptor",
        singular: "clusterinterceptor",
        short: "ci",
        is_namespaced: false,
        versions: INTERCEPTOR_VERSIONS,
        spec: interceptor,
        columns: age_alone,
    },
    Kind {
        kind: "Interceptor",
        singular: "interceptor",
        short: "ni",
        is_namespaced: true,
        versions: INTERCEPTOR_VERSIONS,
        spec: interceptor,
        columns: age_alone,
    },
];

/// Every CustomResourceDefinition, as objects of `apiextensions.k8s.io/v1`.
pub fn definitions() -> Vec<Value> {
    KINDS.iter().map(definition).collect()
}

fn definition(kind: &Kind) -> Value {
    let plural = format!("{}s", kind.singular);
    let version = |name: &str, is_stored: bool| {
        json!({
            "name": name,
            "served": true,
            "storage": is_stored,
            "subresources": {"status": {}},
            "additionalPrinterColumns": (kind.columns)(),
            "schema": {"openAPIV3Schema": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {
                    "spec": (kind.spec)(),
                    "status": open("What the gateway says of it."),
                },
            }},
        })
    };
    let versions = kind.versions.iter().enumerate();
    let versions: Vec<Value> = versions
        .map(|(index, name)| version(name, index == 0))
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{TRIGGERS_GROUP}"),
            "labels": {"app.kubernetes.io/part-of": "tripline"},
        },
        "spec": {
            "group": TRIGGERS_GROUP,
            "scope": if kind.is_namespaced { "Namespaced" } else { "Cluster" },
            "names": {
                "kind": kind.kind,
                "plural": plural,
                "singular": kind.singular,
                "shortNames": [kind.short],
                "categories": ["tekton", "tekton-triggers"],
            },
            "versions": versions,
        },
    })
}

/// An object that may have any fields. Go reads null as the empty value, and
/// keys in any letter case, so that nothing here is required or closed.
fn object(description: &str, properties: Value) -> Value {
    json!({
        "type": "object",
        "description": description,
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": properties,
    })
}

fn open(description: &str) -> Value {
    object(description, Value::Object(Map::new()))
}

fn list(description: &str, items: Value) -> Value {
    json!({"type": "array", "description": description, "nullable": true, "items": items})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description, "nullable": true})
}

fn anything(description: &str) -> Value {
    json!({
        "description": description,
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

fn listener() -> Value {
    let selector = object(
        "Namespaces whose Triggers are taken.",
        json!({"matchNames": list("Names; * alone stands for all.", text("A name."))}),
    );
    object(
        "What the EventListener does.",
        json!({
            "serviceAccountName": text("Account that triggers act as where they name none."),
            "triggers": list("Triggers written here, or named.", trigger()),
            "triggerGroups": list("Triggers that share interceptors.", open("A group.")),
            "namespaceSelector": selector,
            "labelSelector": open("Labels of the Triggers that are taken."),
            "resources": open("How Tekton would run it; only the account is read."),
            "cloudEventURI": text("Where Tekton would send lifecycle events."),
        }),
    )
}

fn trigger() -> Value {
    let reference = object(
        "Which interceptor.",
        json!({
            "name": text("Its name."),
            "kind": text("ClusterInterceptor or NamespacedInterceptor."),
            "apiVersion": text("Its version."),
        }),
    );
    let param = object(
        "A parameter.",
        json!({"name": text("Its name."), "value": anything("Its value.")}),
    );
    let interceptor = object(
        "An interceptor.",
        json!({
            "name": text("What its author calls it."),
            "ref": reference,
            "params": list("Its parameters.", param),
            "webhook": open("An interceptor of the old kind."),
        }),
    );
    let one_binding = object(
        "A binding: a name with a value, or a reference.",
        json!({
            "name": text("Name of the parameter."),
            "value": anything("Its value."),
            "ref": text("Name of a binding."),
            "kind": text("TriggerBinding or ClusterTriggerBinding."),
        }),
    );
    object(
        "What the trigger does.",
        json!({
            "name": text("Its name, in an EventListener."),
            "triggerRef": text("Name of a Trigger, in an EventListener."),
            "interceptors": list("Interceptors, in order.", interceptor),
            "bindings": list("Bindings, in order.", one_binding),
            "template": object(
                "The template: a reference or a spec.",
                json!({"ref": text("Name of a TriggerTemplate."), "spec": template()}),
            ),
            "serviceAccountName": text("Account that it acts as."),
        }),
    )
}

fn template() -> Value {
    let param = object(
        "A parameter.",
        json!({
            "name": text("Its name."),
            "description": text("What it is for."),
            "default": anything("Its value where no binding gives one."),
        }),
    );
    object(
        "What is created.",
        json!({
            "params": list("Parameters.", param),
            "resourcetemplates": list("Resources.", open("A resource.")),
        }),
    )
}

fn binding() -> Value {
    let param = object(
        "A parameter.",
        json!({"name": text("Its name."), "value": anything("Its value.")}),
    );
    object(
        "What it binds.",
        json!({"params": list("Parameters.", param)}),
    )
}

fn interceptor() -> Value {
    let service = object(
        "The Service that it is behind.",
        json!({
            "name": text("Its name."),
            "namespace": text("Its namespace."),
            "path": text("Path of the requests."),
            "port": json!({"type": "integer", "description": "Its port.", "nullable": true}),
        }),
    );
    let client = object(
        "Its address: a url or a service.",
        json!({
            "caBundle": text("Certificates in PEM that its own is checked against, in base64."),
            "url": text("The address as it is."),
            "service": service,
        }),
    );
    object("How it is reached.", json!({"clientConfig": client}))
}

fn listener_columns() -> Value {
    let ready = |field: &str| format!(".status.conditions[?(@.type=='Ready')].{field}");
    json!([
        {"name": "Address", "type": "string", "jsonPath": ".status.address.url"},
        {"name": "Ready", "type": "string", "jsonPath": ready("status")},
        {"name": "Reason", "type": "string", "jsonPath": ready("reason")},
        age(),
    ])
}

fn age_alone() -> Value {
    json!([age()])
}

fn age() -> Value {
    json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
}
