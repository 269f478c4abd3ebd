//! What upstream's webhook finds wrong with an object that it could decode.

use serde_json::Value;

use super::field_error::FieldErrors;
use super::read::{has, text};
use super::{Object, Panic};

mod binding;
mod interceptor;
mod listener;
mod metadata;
mod pod;
mod template;
mod trigger;

/// Which rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rules {
    Alpha,
    Beta,
}

/// Everything that is wrong; fails where upstream's webhook crashes.
pub(super) fn validate(object: &Object) -> Result<FieldErrors, Panic> {
    let rules = match object.version.as_str() {
        crate::api::V1ALPHA1 => Rules::Alpha,
        _ => Rules::Beta,
    };
    let (value, spec) = (&object.value, &object.value["spec"]);
    let named = || metadata::validate(&value["metadata"]).via("metadata");
    let mut errors = FieldErrors::default();
    match object.kind.as_str() {
        "EventListener" => errors.also(listener::validate(value, rules)?),
        "Trigger" => {
            errors.also(named());
            errors.also(trigger::spec(spec, rules)?.via("spec"));
        }
        "TriggerTemplate" => {
            errors.also(named());
            errors.also(template::spec(spec).via("spec"));
        }
        "TriggerBinding" => {
            errors.also(named());
            errors.also(binding::spec(spec).via("spec"));
        }
        // Its mistakes are told without the `spec`, and one kind at a time.
        "ClusterTriggerBinding" => {
            errors.also(named());
            if errors.is_empty() {
                errors.also(binding::spec(spec));
            }
        }
        _ => errors.also(client_config(&spec["clientConfig"])),
    }
    Ok(errors)
}

fn client_config(config: &Value) -> FieldErrors {
    const SERVICE: &str = "spec.clientConfig.service";
    let mut errors = FieldErrors::default();
    if has(config, "url") && has(config, "service") {
        errors.also(FieldErrors::both(&["spec.clientConfig.url", SERVICE]));
    }
    if has(config, "service") {
        for field in ["namespace", "name"] {
            if text(&config["service"], field).is_empty() {
                errors.also(FieldErrors::missing(field).via(SERVICE));
            }
        }
    }
    errors
}
