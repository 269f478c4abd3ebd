//! What works differently from Tekton, object by object.

use serde_json::Value;

use crate::catalog::services::service_name;
use crate::catalog::services::{is_tls, tekton_name};
use crate::verify::registry;

use super::Verdict;
use super::interceptors::{self, Wishes};

/// Something that works differently.
pub(super) struct Finding {
    /// Where in the object.
    pub pointer: String,
    pub verdict: Verdict,
    pub text: String,
    pub as_in_tekton: Option<&'static str>,
}

impl Finding {
    pub(super) fn better(pointer: &str, text: impl Into<String>) -> Self {
        Self::new(Verdict::WorksBetter, pointer, text)
    }

    pub(super) fn attention(pointer: &str, text: impl Into<String>) -> Self {
        Self::new(Verdict::NeedsAttention, pointer, text)
    }

    /// Something to know, that changes nothing.
    pub(super) fn note(pointer: &str, text: impl Into<String>) -> Self {
        Self::new(Verdict::WorksAsIs, pointer, text)
    }

    fn new(verdict: Verdict, pointer: &str, text: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            verdict,
            text: text.into(),
            as_in_tekton: None,
        }
    }

    pub(super) fn unless(mut self, how: &'static str) -> Self {
        self.as_in_tekton = Some(how);
        self
    }
}

/// Everything that is to be said of an object.
pub(super) fn of(kind: &str, name: &str, namespace: &str, object: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    match kind {
        "EventListener" => listener(name, namespace, object, &mut found),
        "Trigger" => trigger(&object["spec"], "/spec", Wishes::of(object), &mut found),
        "TriggerBinding" | "ClusterTriggerBinding" => {
            bindings(&object["spec"]["params"], "/spec/params", &mut found);
        }
        "TriggerTemplate" => template(&object["spec"], "/spec", &mut found),
        _ => {}
    }
    found
}

fn listener(name: &str, namespace: &str, object: &Value, found: &mut Vec<Finding>) {
    let spec = &object["spec"];
    found.push(Finding::better(
        "",
        format!(
            "no Deployment of its own: one gateway serves all; senders who call Service {} in the cluster, and Ingresses \
             that lead to it, go on working once it is claimed",
            service_name(name)
        ),
    ));
    if service_name(name) != tekton_name(name) {
        found.push(Finding::attention(
            "/metadata/name",
            format!(
                "no Service may be called {}: it is reached by its path, or as {}",
                tekton_name(name),
                service_name(name)
            ),
        ));
    }
    resources(name, namespace, &spec["resources"], found);
    if spec["cloudEventURI"]
        .as_str()
        .is_some_and(|uri| !uri.is_empty())
    {
        found.push(Finding::better(
            "/spec/cloudEventURI",
            "CloudEvents about events are sent to it with names and ids in place of the request's headers, and none for strangers",
        ));
    }
    let names = spec["namespaceSelector"]["matchNames"].as_array();
    let others = names.into_iter().flatten().filter_map(Value::as_str);
    let others: Vec<&str> = others.filter(|other| *other != namespace).collect();
    if !others.is_empty() {
        found.push(Finding::attention(
            "/spec/namespaceSelector",
            format!(
                "it takes Triggers of {}: only where its service account may get triggers there, and impersonate theirs. Ask with \
                 `kubectl auth can-i get triggers.triggers.tekton.dev -n NAMESPACE --as system:serviceaccount:{namespace}:ACCOUNT`",
                match others[..] {
                    ["*"] => "all namespaces".to_owned(),
                    _ => others.join(", "),
                }
            ),
        ));
    }
    let wishes = Wishes::of(object);
    let triggers = spec["triggers"].as_array();
    for (index, one) in triggers.into_iter().flatten().enumerate() {
        trigger(one, &format!("/spec/triggers/{index}"), wishes, found);
    }
    let groups = spec["triggerGroups"].as_array();
    for (index, group) in groups.into_iter().flatten().enumerate() {
        interceptors::of(
            group,
            &format!("/spec/triggerGroups/{index}"),
            wishes,
            found,
        );
    }
}

/// What a listener says of its pods and its Service.
fn resources(name: &str, namespace: &str, resources: &Value, found: &mut Vec<Finding>) {
    let resource = &resources["kubernetesResource"];
    if is_tls(resource) {
        found.push(Finding::attention(
            "/spec/resources/kubernetesResource",
            "TLS_CERT and TLS_KEY: its senders speak TLS to the Service, which the gateway does not; end TLS in an \
             Ingress, or leave this listener to Tekton",
        ));
    } else if !resource["spec"].is_null() || !resource["replicas"].is_null() {
        found.push(Finding::note(
            "/spec/resources/kubernetesResource",
            "what it says of pods has no effect, the service account apart: there are none of its own",
        ));
    }
    if !resources["customResource"].is_null() {
        found.push(Finding::attention(
            "/spec/resources/customResource",
            format!(
                "a resource of its own kind is not made; the Service {} that belongs to it is left alone: lead its senders to \
                 /{namespace}/{name} of the gateway",
                service_name(name)
            ),
        ));
    }
}

/// A trigger, in place or as an object.
fn trigger(spec: &Value, at: &str, wishes: Wishes, found: &mut Vec<Finding>) {
    interceptors::of(spec, at, wishes, found);
    bindings(&spec["bindings"], &format!("{at}/bindings"), found);
    if !spec["template"]["spec"].is_null() {
        template(
            &spec["template"]["spec"],
            &format!("{at}/template/spec"),
            found,
        );
    }
}

/// Values with names.
fn bindings(params: &Value, at: &str, found: &mut Vec<Finding>) {
    for (index, param) in params.as_array().into_iter().flatten().enumerate() {
        let value = param["value"].as_str().unwrap_or_default();
        for name in headers_in(value) {
            let mut credentials = registry::credential_headers();
            if credentials.any(|credential| credential.eq_ignore_ascii_case(name)) {
                found.push(Finding::attention(
                    &format!("{at}/{index}/value"),
                    format!(
                        "bindings do not see {name}, which carries a credential: the parameter has no value unless the template \
                         gives it a default"
                    ),
                ));
            }
        }
    }
}

/// The headers that a value takes: `$(header.NAME)`.
fn headers_in(value: &str) -> impl Iterator<Item = &str> {
    value.split("$(").skip(1).filter_map(|expression| {
        let inside = expression.trim_start_matches(['{', '.']);
        let rest = inside.strip_prefix("header.")?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        Some(&rest[..end.unwrap_or(rest.len())])
    })
}

fn template(spec: &Value, at: &str, found: &mut Vec<Finding>) {
    let (field, resources) = match spec["resourcetemplates"].is_array() {
        true => ("resourcetemplates", &spec["resourcetemplates"]),
        false => ("resourceTemplates", &spec["resourceTemplates"]),
    };
    let resources = resources.as_array().map(Vec::as_slice).unwrap_or_default();
    let has_params = resources
        .iter()
        .any(|one| one.to_string().contains("$(tt.params."));
    if has_params {
        found.push(Finding::better(
            at,
            "values go into the parsed resource: a quote, a line break or a brace in a payload stays in its text, and breaks or \
             changes nothing else",
        ));
    }
    for (index, resource) in resources.iter().enumerate() {
        let metadata = &resource["metadata"];
        let place = format!("{at}/{field}/{index}/metadata");
        let is_generated = metadata["name"].is_null() && !metadata["generateName"].is_null();
        if is_generated {
            found.push(Finding::better(
                &place,
                "its name is made from the event: an attempt that is made again meets the object that is there",
            ));
        } else if metadata["name"]
            .as_str()
            .is_some_and(|name| !name.contains("$("))
        {
            found.push(Finding::note(
                &place,
                "a fixed name: from the second event on it is taken, as in Tekton, and the delivery is given up (name_taken)",
            ));
        }
    }
}
