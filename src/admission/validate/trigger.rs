//! What Triggers and the triggers of a listener have in common.

use serde_json::Value;

use crate::admission::Panic;
use crate::admission::field_error::FieldErrors;
use crate::admission::read::{has, items, text};

use super::{Rules, interceptor, template};

/// The `spec` of a Trigger.
pub(super) fn spec(spec: &Value, rules: Rules) -> Result<FieldErrors, Panic> {
    let mut errors = bindings(spec, rules);
    errors.also(self::template(&spec["template"], rules));
    for (index, one) in items(spec, "interceptors").iter().enumerate() {
        let here = format!("interceptors[{index}]");
        errors.also(interceptor::validate(one, rules)?.via(&here));
    }
    Ok(errors)
}

/// The bindings of a trigger.
pub(super) fn bindings(holder: &Value, rules: Rules) -> FieldErrors {
    let mut errors = FieldErrors::default();
    // The old version has names of Go's fields.
    let [name, reference, value, spec] = match rules {
        Rules::Alpha => ["Name", "Ref", "Value", "Spec"],
        Rules::Beta => ["name", "ref", "value", "spec"],
    };
    for (index, binding) in items(holder, "bindings").iter().enumerate() {
        let kind = text(binding, "kind");
        let is_kind = ["TriggerBinding", "ClusterTriggerBinding"].contains(&kind);
        let is_reference = !text(binding, "ref").is_empty();
        let is_named = !text(binding, "name").is_empty();
        let error = match (is_reference, is_named) {
            (true, true) => FieldErrors::both(&[reference, name]),
            (true, false) if !is_kind => FieldErrors::invalid("invalid kind", "kind"),
            (false, true) if !has(binding, "value") => FieldErrors::missing(value),
            (false, false) => FieldErrors::neither(&[reference, spec, name]),
            _ => continue,
        };
        errors.also(error.via(&format!("bindings[{index}]")));
    }
    errors
}

/// The template of a trigger: a reference or a spec. Mistakes in the spec are
/// told as if they were the trigger's.
pub(super) fn template(given: &Value, rules: Rules) -> FieldErrors {
    let mut errors = FieldErrors::default();
    match (text(given, "apiversion"), rules) {
        ("" | "v1alpha1", _) | ("v1beta1", Rules::Beta) => {}
        _ => errors.also(FieldErrors::invalid(
            "invalid apiVersion",
            "template.apiVersion",
        )),
    }
    let both = ["template.spec", "template.ref"];
    errors.also(match (has(given, "spec"), has(given, "ref")) {
        (true, true) => FieldErrors::both(&both),
        (false, false) => FieldErrors::neither(&both),
        (true, false) => template::spec(&given["spec"]),
        (false, true) if text(given, "ref").is_empty() => FieldErrors::missing("template.ref"),
        (false, true) => FieldErrors::default(),
    });
    errors
}
