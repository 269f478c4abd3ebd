//! What upstream fills in, and what it rewrites.

use serde_json::{Map, Value, json};

use crate::api::V1ALPHA1;
use crate::api::trigger::deprecated;

use super::read::{items_mut, text};
use super::{Object, Panic};

/// Account of listeners that name none.
const ACCOUNT: &str = "default";

/// Label that says how an interceptor is spoken to.
const SERVER_TYPE: &str = "server/type";

/// Fills in what is not there; fails where upstream's webhook crashes.
pub(super) fn set(object: &mut Object) -> Result<(), Panic> {
    let (kind, version) = (object.kind.as_str(), object.version.as_str());
    let value = &mut object.value;
    match kind {
        "ClusterInterceptor" | "Interceptor" => interceptor(value),
        "Trigger" => {
            bindings(&mut value["spec"], "spec")?;
            for (index, one) in items_mut(&mut value["spec"], "interceptors").enumerate() {
                if one.is_null() {
                    return Err(Panic(format!("spec.interceptors[{index}]")));
                }
                reference(one, version);
            }
        }
        "EventListener" => listener(&mut value["spec"], version)?,
        _ => {}
    }
    Ok(())
}

/// It is taken to speak HTTP. Other labels are lost with that, as upstream has
/// it.
fn interceptor(value: &mut Value) {
    let labels = value["metadata"]["labels"].as_object();
    if !labels.is_some_and(|labels| labels.contains_key(SERVER_TYPE)) {
        value["metadata"]["labels"] = json!({SERVER_TYPE: "http"});
    }
}

fn listener(spec: &mut Value, version: &str) -> Result<(), Panic> {
    if text(spec, "serviceAccountName").is_empty() {
        spec["serviceAccountName"] = ACCOUNT.into();
    }
    let replicas = spec.pointer_mut("/resources/kubernetesResource/replicas");
    if let Some(replicas) = replicas.filter(|replicas| **replicas == 0) {
        *replicas = 1.into();
    }
    for (index, trigger) in items_mut(spec, "triggers").enumerate() {
        bindings(trigger, &format!("spec.triggers[{index}]"))?;
        let interceptors = items_mut(trigger, "interceptors");
        interceptors
            .filter(|one| !one.is_null())
            .for_each(|one| reference(one, version));
    }
    for group in items_mut(spec, "triggerGroups") {
        let interceptors = items_mut(group, "interceptors");
        interceptors
            .filter(|one| !one.is_null())
            .for_each(kind_of_interceptor);
    }
    Ok(())
}

fn bindings(holder: &mut Value, path: &str) -> Result<(), Panic> {
    for (index, binding) in items_mut(holder, "bindings").enumerate() {
        if binding.is_null() {
            return Err(Panic(format!("{path}.bindings[{index}]")));
        }
        if text(binding, "kind").is_empty() {
            binding["kind"] = "TriggerBinding".into();
        }
    }
    Ok(())
}

fn reference(interceptor: &mut Value, version: &str) {
    kind_of_interceptor(interceptor);
    if version == V1ALPHA1 {
        upgrade(interceptor);
    }
}

fn kind_of_interceptor(interceptor: &mut Value) {
    if text(&interceptor["ref"], "kind").is_empty() {
        interceptor["ref"]["kind"] = "ClusterInterceptor".into();
    }
}

/// An interceptor that was written in place becomes a reference. One without
/// a name loses its parameters, as upstream has it.
fn upgrade(interceptor: &mut Value) {
    if !text(&interceptor["ref"], "name").is_empty() {
        return;
    }
    let given = |name: &&str| !interceptor[*name].is_null();
    let name = deprecated::NAMES.into_iter().find(given);
    let written = name.map(|name| interceptor[name].take());
    let params = written.map(|written| {
        let fields = match name {
            Some("cel") => [("filter", json!("")), ("overlays", Value::Null)],
            _ => [("secretRef", Value::Null), ("eventTypes", Value::Null)],
        };
        let params = fields.into_iter().map(|(field, absent)| {
            let value = written.get(field).cloned().unwrap_or(absent);
            json!({"name": field, "value": value})
        });
        params.collect()
    });
    if let Some(object) = interceptor.as_object_mut() {
        take_away_nulls(object);
        object.insert("params".into(), Value::Array(params.unwrap_or_default()));
    }
    if let Some(name) = name {
        interceptor["ref"]["name"] = name.into();
    }
}

fn take_away_nulls(object: &mut Map<String, Value>) {
    object.retain(|_, value| !value.is_null());
}
