//! How Tekton would run a listener: what may be said of its pod.

use serde_json::Value;

use crate::admission::decode::{Unknown, decode};
use crate::admission::field_error::FieldErrors;
use crate::admission::read::{has, items, text};
use crate::api::schema::{self, Shape};

use super::Rules;

const POD: &str = "spec.template.spec";

/// Fields that either version takes, and those of `v1beta1` alone.
struct Allowed {
    always: &'static [&'static str],
    since_beta: &'static [&'static str],
}

const IN_POD: Allowed = Allowed {
    always: &[
        "serviceAccountName",
        "containers",
        "tolerations",
        "nodeSelector",
    ],
    since_beta: &[
        "affinity",
        "topologySpreadConstraints",
        "imagePullSecrets",
        "securityContext",
    ],
};

const IN_CONTAINER: Allowed = Allowed {
    always: &[
        "resources",
        "env",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
    ],
    since_beta: &["securityContext"],
};

const IN_CUSTOM_CONTAINER: Allowed = Allowed {
    always: &["resources", "env"],
    since_beta: &["securityContext"],
};

const IN_VARIABLE: Allowed = Allowed {
    always: &["name", "valueFrom"],
    since_beta: &[],
};

const IN_SOURCE: Allowed = Allowed {
    always: &["secretKeyRef"],
    since_beta: &[],
};

/// Variables that come as a pair.
const PAIR: [&str; 2] = ["TLS_CERT", "TLS_KEY"];

/// A Deployment and a Service.
pub(super) fn kubernetes(resource: &Value, rules: Rules) -> FieldErrors {
    let mut errors = FieldErrors::default();
    if let Some(replicas) = resource["replicas"]
        .as_i64()
        .filter(|replicas| *replicas < 0)
    {
        errors.also(FieldErrors::invalid(replicas, "spec.replicas"));
    }
    let pod = &resource["spec"]["template"]["spec"];
    errors.also(self::pod(pod, &IN_CONTAINER, rules).via(POD));
    if has(resource, "serviceLoadBalancerClass") && text(resource, "serviceType") != "LoadBalancer"
    {
        let class = text(resource, "serviceLoadBalancerClass");
        let details = "ServiceLoadBalancerClass is only needed for LoadBalancer service type";
        let error = FieldErrors::invalid(class, "serviceLoadBalancerClass");
        errors.also(error.with_details(details));
    }
    errors
}

/// Something else that runs pods: the rest of it is its own affair.
pub(super) fn custom(resource: &Value, rules: Rules) -> FieldErrors {
    let decoded = decode("v1.WithPod", resource, Unknown::PassedOver);
    let mut errors = FieldErrors::default();
    if let Some(mistake) = decoded.mistake {
        errors.also(FieldErrors::invalid(mistake.message, "spec"));
    }
    let pod = &decoded.value["spec"]["template"]["spec"];
    errors.also(self::pod(pod, &IN_CUSTOM_CONTAINER, rules).via(POD));
    errors
}

fn pod(pod: &Value, in_container: &Allowed, rules: Rules) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let containers = items(pod, "containers");
    if containers.len() > 1 {
        errors.also(FieldErrors::both(&["containers"]));
    }
    errors.also(disallowed(pod, "v1.PodSpec", &IN_POD, rules));
    if let [container] = containers {
        let mut found = disallowed(container, "v1.Container", in_container, rules);
        found.also(variables(items(container, "env"), rules).via("env"));
        errors.also(found.via("containers[0]"));
    }
    errors
}

fn variables(variables: &[Value], rules: Rules) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let mut of_pair = Vec::new();
    for (index, variable) in variables.iter().enumerate() {
        let mut found = disallowed(variable, "v1.EnvVar", &IN_VARIABLE, rules);
        if has(variable, "valueFrom") {
            let source = &variable["valueFrom"];
            let inside = disallowed(source, "v1.EnvVarSource", &IN_SOURCE, rules);
            found.also(inside.via("valueFrom"));
        }
        errors.also(found.via(&format!("[{index}]")));
        of_pair.extend(Some(text(variable, "name")).filter(|name| PAIR.contains(name)));
    }
    if let [alone] = of_pair[..] {
        let message =
            format!("Expected env's are TLS_CERT and TLS_KEY, but got only one env {alone}");
        errors.also(FieldErrors::generic(message, &[]));
    }
    errors
}

/// Fields that are set and may not be.
fn disallowed(holder: &Value, of: &'static str, allowed: &Allowed, rules: Rules) -> FieldErrors {
    let Shape::Struct(fields) = schema::shape(of) else {
        return FieldErrors::default();
    };
    let is_allowed = |name: &str| {
        allowed.always.contains(&name)
            || (rules == Rules::Beta && allowed.since_beta.contains(&name))
    };
    let mut set: Vec<&str> = fields
        .iter()
        .filter(|field| !is_allowed(field.name) && is_set(field.of, &holder[field.name]))
        .map(|field| field.name)
        .collect();
    set.sort_unstable();
    FieldErrors::disallowed(&set)
}

/// An empty list is set, an empty text is not, unless it may be absent: so Go
/// tells them apart.
fn is_set(of: &'static str, value: &Value) -> bool {
    match (schema::shape(of), value) {
        (_, Value::Null) | (Shape::Bool, Value::Bool(false)) => false,
        (Shape::Text, Value::String(text)) => !text.is_empty(),
        _ => true,
    }
}
