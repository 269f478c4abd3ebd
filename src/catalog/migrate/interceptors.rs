//! What works differently in a trigger's interceptors.

use serde::Deserialize;
use serde_json::Value;

use crate::api::trigger::Interceptor;
use crate::verify::registry;

use super::rules::Finding;

const RESPONSES: &str = "`tripline.dev/responses: tekton` on the EventListener";
const RERUN: &str = "`tripline.dev/redelivery: rerun` on the EventListener or Trigger";
const COMPAT: &str = "`tripline.dev/compat: tekton` on the EventListener";

/// Everything that is to be said of a trigger's interceptors.
pub(super) fn of(trigger: &Value, at: &str, found: &mut Vec<Finding>) {
    let interceptors = trigger["interceptors"].as_array();
    let interceptors = interceptors.map(Vec::as_slice).unwrap_or_default();
    let mut is_verified = false;
    let mut sender = None;
    for (index, one) in interceptors.iter().enumerate() {
        let place = format!("{at}/interceptors/{index}");
        // What cannot be read is told by the compiler.
        let Ok(mut one) = Interceptor::deserialize(one) else {
            continue;
        };
        one.upgrade();
        let name = one.reference.name.as_str();
        let has_secret = ["secretRef", "secretRefs"]
            .iter()
            .any(|param| !of_name(&one, param).is_null());
        let is_sender = registry::sender(name).is_some();
        if is_sender {
            sender = Some((place.clone(), name.to_owned()));
        }
        if is_sender && has_secret {
            is_verified = true;
            found.push(
                Finding::better(
                    &place,
                    "who cannot prove that he is the sender is answered 401, not 202",
                )
                .unless(RESPONSES),
            );
            found.push(
                Finding::better(
                    &place,
                    "a delivery that is sent again under its id is performed once",
                )
                .unless(RERUN),
            );
        }
        match name {
            "slack" if !has_secret => found.push(
                Finding::attention(
                    &place,
                    "Tekton looks whether a signature is there, and not whether it is right; Tripline verifies it: name the \
                     signing secret under secretRef",
                )
                .unless(COMPAT),
            ),
            "cel" => is_verified |= expressions(&one, &place, found),
            _ => {}
        }
        if one.webhook.is_some() {
            // Who it lets pass, only it knows.
            is_verified = true;
        }
    }
    if let Some((place, name)) = sender.filter(|_| !is_verified) {
        found.push(Finding::note(
            &place,
            format!(
                "nobody is verified, as in Tekton: whoever knows the address can trigger it; give `{name}` a secretRef"
            ),
        ));
    }
}

/// A parameter's value.
fn of_name<'i>(interceptor: &'i Interceptor, name: &str) -> &'i Value {
    let mut params = interceptor.params.iter();
    let param = params.find(|param| param.name == name);
    param.map_or(&Value::Null, |param| &param.value)
}

/// What is to be said of expressions; whether one of them verifies the sender.
fn expressions(interceptor: &Interceptor, place: &str, found: &mut Vec<Finding>) -> bool {
    let filter = of_name(interceptor, "filter").as_str().unwrap_or_default();
    let overlays = of_name(interceptor, "overlays").as_array();
    let overlays = overlays.into_iter().flatten();
    let overlays = overlays.filter_map(|overlay| overlay["expression"].as_str());
    let uses_url = std::iter::once(filter)
        .chain(overlays)
        .any(|expression| expression.contains("requestURL"));
    if uses_url {
        found.push(Finding::note(
            place,
            "`requestURL` is the whole path at the listener's own Service; at the gateway's ordinary address it is what follows \
             /NAMESPACE/LISTENER",
        ));
    }
    let verifies = filter.contains("compareSecret");
    if verifies {
        found.push(
            Finding::better(
                place,
                "the comparison with a secret is made before everything else; who fails it is answered 401, not 202, and what is \
                 compared is written down nowhere",
            )
            .unless(RESPONSES),
        );
    }
    verifies
}
