//! What a Service is, and what is to be changed about it. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{TRIGGERS_GROUP, V1BETA1};
use crate::model::annotations::{PORT, RESTORE, SERVICE};

use super::name::service_name;
use super::slices::port_name;
use super::wanted::Wanted;

/// Whose a Service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Tripline has made it.
    Made,
    /// It was Tekton's, and is marked as Tripline's.
    Taken,
    /// Tekton has made it for the listener.
    Tektons,
    /// Somebody else's.
    Foreign,
}

/// What a Service was before.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    selector: BTreeMap<String, String>,
    ports: Vec<ServicePort>,
}

/// Whose a Service is that has the name of a listener's.
pub(super) fn whose(service: &Service, listener: &str) -> Whose {
    let owners = service.metadata.owner_references.iter().flatten();
    let is_owner = |owner: &OwnerReference| {
        let group = owner.api_version.split('/').next();
        group == Some(TRIGGERS_GROUP) && owner.kind == "EventListener" && owner.name == listener
    };
    let is_owned = owners.into_iter().any(is_owner);
    let labels = service.metadata.labels.as_ref();
    let has_labels = tektons_labels(listener)
        .iter()
        .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value));
    match mark(service) {
        Some("made") if is_owned => Whose::Made,
        Some("taken") if is_owned || has_labels => Whose::Taken,
        None if is_owned || has_labels => Whose::Tektons,
        _ => Whose::Foreign,
    }
}

fn mark(service: &Service) -> Option<&str> {
    annotation(service, SERVICE.key)
}

fn annotation<'a>(service: &'a Service, key: &str) -> Option<&'a str> {
    let annotations = service.metadata.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

/// The port that a Service says it has.
pub(super) fn recorded_port(service: &Service) -> Option<u16> {
    annotation(service, PORT.key)?.parse().ok()
}

/// Whether somebody's pods are behind a Service.
pub(super) fn has_selector(service: &Service) -> bool {
    let selector = service
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| !selector.is_empty())
}

/// The version of a Service, where it is a number.
pub(super) fn version(service: &Service) -> Option<u64> {
    service.metadata.resource_version.as_ref()?.parse().ok()
}

/// The number of the port at which a Service takes events.
pub(super) fn service_port(service: &Service) -> Option<i32> {
    let name = port_name(service);
    let mut ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    ports
        .find(|port| port.name.as_deref().unwrap_or_default() == name)
        .map(|port| port.port)
}

fn tektons_labels(listener: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/managed-by", "EventListener"),
        ("app.kubernetes.io/part-of", "Triggers"),
        ("eventlistener", listener),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The Service of a listener that has none.
pub(super) fn made(wanted: &Wanted, port: u16) -> Service {
    let annotations = [
        (SERVICE.key.to_owned(), "made".to_owned()),
        (PORT.key.to_owned(), port.to_string()),
    ];
    Service {
        metadata: ObjectMeta {
            name: Some(service_name(&wanted.id.name)),
            namespace: Some(wanted.id.namespace.clone()),
            labels: Some(tektons_labels(&wanted.id.name)),
            annotations: Some(annotations.into()),
            // No controller: Tekton's would think that it has to do something.
            owner_references: Some(vec![OwnerReference {
                api_version: format!("{TRIGGERS_GROUP}/{V1BETA1}"),
                kind: "EventListener".into(),
                name: wanted.id.name.clone(),
                uid: wanted.uid.clone(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            type_: wanted.shape.kind.clone(),
            load_balancer_class: wanted.shape.class.clone(),
            ports: Some(vec![ServicePort {
                name: Some("http-listener".into()),
                port: wanted.shape.port,
                protocol: Some("TCP".into()),
                target_port: Some(IntOrString::Int(port.into())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// A merge patch that marks Tekton's Service, and keeps what it is.
pub(super) fn marked(service: &Service, port: u16) -> Value {
    let spec = service.spec.clone().unwrap_or_default();
    let before = Before {
        selector: spec.selector.unwrap_or_default(),
        ports: spec.ports.unwrap_or_default(),
    };
    let before = serde_json::to_string(&before).unwrap_or_default();
    json!({"metadata": {
        "resourceVersion": service.metadata.resource_version,
        "annotations": {SERVICE.key: "taken", PORT.key: port.to_string(), RESTORE.key: before},
    }})
}

/// A merge patch that takes the pods from behind a Service, and says which
/// port of the gateway it leads to. Nothing where that is so already.
pub(super) fn taken(service: &Service, port: u16) -> Option<Value> {
    let spec = service.spec.as_ref()?;
    let name = port_name(service);
    let mut ports = spec.ports.clone().unwrap_or_default();
    for one in &mut ports {
        if one.name.as_deref().unwrap_or_default() == name {
            one.target_port = Some(IntOrString::Int(port.into()));
        }
    }
    let is_so = !has_selector(service)
        && Some(&ports) == spec.ports.as_ref()
        && recorded_port(service) == Some(port);
    (!is_so).then(|| {
        json!({
            "metadata": {
                "resourceVersion": service.metadata.resource_version,
                "annotations": {PORT.key: port.to_string()},
            },
            "spec": {"selector": null, "ports": ports},
        })
    })
}

/// A merge patch that makes a Service what it was, and takes the marks away.
/// Where nobody can say what it was, the marks alone.
pub(super) fn restored(service: &Service) -> Value {
    let before = annotation(service, RESTORE.key);
    let before = before.and_then(|text| serde_json::from_str::<Before>(text).ok());
    let mut patch = unmarked(service);
    if let Some(before) = before {
        let mut selector = json!(before.selector);
        let now = service
            .spec
            .as_ref()
            .and_then(|spec| spec.selector.as_ref());
        // In a merge patch, what is not named stays.
        for key in now.into_iter().flat_map(BTreeMap::keys) {
            if !before.selector.contains_key(key) {
                selector[key] = Value::Null;
            }
        }
        patch["spec"] = json!({"selector": selector, "ports": before.ports});
    }
    patch
}

/// A merge patch that takes the marks away.
pub(super) fn unmarked(service: &Service) -> Value {
    json!({"metadata": {
        "resourceVersion": service.metadata.resource_version,
        "annotations": {SERVICE.key: null, PORT.key: null, RESTORE.key: null},
    }})
}

#[cfg(test)]
mod tests;
