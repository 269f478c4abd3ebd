//! An EventListener.

use serde_json::Value;

use crate::admission::Panic;
use crate::admission::field_error::FieldErrors;
use crate::admission::read::{has, items, text};

use super::{Rules, interceptor, metadata, pod, trigger};

pub(super) fn validate(listener: &Value, rules: Rules) -> Result<FieldErrors, Panic> {
    let mut errors = metadata::of_listener(&listener["metadata"]);
    errors.also(spec(&listener["spec"], rules)?.via("spec"));
    Ok(errors)
}

fn spec(spec: &Value, rules: Rules) -> Result<FieldErrors, Panic> {
    let selects = |holder: &Value| {
        has(holder, "labelSelector")
            || !items(&holder["namespaceSelector"], "matchNames").is_empty()
    };
    let (triggers, groups) = (items(spec, "triggers"), items(spec, "triggerGroups"));
    if !selects(spec) && triggers.is_empty() && groups.is_empty() {
        return Ok(match rules {
            Rules::Beta => FieldErrors::neither(&[
                "labelSelector",
                "namespaceSelector",
                "triggerGroups",
                "triggers",
            ]),
            Rules::Alpha => {
                FieldErrors::neither(&["labelSelector", "namespaceSelector", "triggers"])
            }
        });
    }
    let mut errors = FieldErrors::default();
    for (index, one) in triggers.iter().enumerate() {
        errors.also(listed(one, rules)?.via(&format!("triggers[{index}]")));
    }
    let resources = &spec["resources"];
    if has(resources, "kubernetesResource") && has(resources, "customResource") {
        // Nothing else is told then.
        return Ok(FieldErrors::both(&[
            "resources.kubernetesResource",
            "resources.customResource",
        ]));
    }
    for (field, check) in [
        (
            "kubernetesResource",
            pod::kubernetes as fn(&Value, Rules) -> FieldErrors,
        ),
        ("customResource", pod::custom),
    ] {
        if has(resources, field) {
            let found = check(&resources[field], rules);
            errors.also(found.via(&format!("resources.{field}")));
        }
    }
    for (index, group) in groups.iter().enumerate() {
        let mut found = FieldErrors::default();
        if !selects(&group["triggerSelector"]) {
            found.also(FieldErrors::neither(&[
                "triggerSelector.labelSelector",
                "triggerSelector.namespaceSelector",
            ]));
        }
        if items(group, "interceptors").is_empty() {
            found.also(FieldErrors::missing("interceptors"));
        }
        errors.also(found.via(&format!("triggerGroups[{index}]")));
    }
    Ok(errors)
}

/// A trigger that a listener lists.
fn listed(given: &Value, rules: Rules) -> Result<FieldErrors, Panic> {
    let mut errors = FieldErrors::default();
    let is_reference = !text(given, "triggerRef").is_empty();
    if !has(given, "template") && !is_reference {
        errors.also(FieldErrors::neither(&["template", "triggerRef"]));
    }
    let mut parts = ["template", "bindings", "interceptors"].into_iter();
    if is_reference && parts.any(|part| has(given, part)) {
        errors.also(FieldErrors::both(&[
            "triggerRef",
            "template or bindings or interceptors",
        ]));
    }
    errors.also(trigger::bindings(given, rules));
    if has(given, "template") {
        errors.also(trigger::template(&given["template"], rules));
    }
    for (index, one) in items(given, "interceptors").iter().enumerate() {
        let here = format!("interceptors[{index}]");
        if one.is_null() {
            let value = "interceptor '<nil>' must be a valid value";
            errors.also(FieldErrors::invalid(value, &here));
            // Nothing behind it is told.
            return Ok(errors);
        }
        errors.also(interceptor::validate(one, rules)?.via(&here));
    }
    let name = text(given, "name");
    if !metadata::is_label_value(name) {
        let value = format!("trigger name '{name}' must be a valid label value");
        errors.also(FieldErrors::invalid(value, "name"));
    }
    Ok(errors)
}
