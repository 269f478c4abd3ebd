//! What works differently in a trigger's interceptors.

use serde::Deserialize;
use serde_json::Value;

use crate::api::trigger::Interceptor;
use crate::intercept::BUILT_IN;
use crate::model::annotations::{Annotation, INTERCEPTOR_FAILURE, REDELIVERY, RESPONSES};
use crate::verify::registry;

use super::rules::Finding;

const RESPONSES_WAY: &str = "`tripline.dev/responses: tekton` on the EventListener";
const RERUN_WAY: &str = "`tripline.dev/redelivery: rerun` on the EventListener or Trigger";
const STOP_WAY: &str = "`tripline.dev/interceptor-failure: stop` on the EventListener or Trigger";

/// What annotations of the object already ask for.
#[derive(Clone, Copy, Default)]
pub(super) struct Wishes {
    answers_as_tekton: bool,
    reruns: bool,
    has_policy: bool,
}

impl Wishes {
    pub(super) fn of(object: &Value) -> Self {
        let says = |annotation: &Annotation, value: &str| {
            object["metadata"]["annotations"][annotation.key] == value
        };
        Self {
            answers_as_tekton: says(&RESPONSES, "tekton"),
            reruns: says(&REDELIVERY, "rerun"),
            has_policy: object["metadata"]["annotations"][INTERCEPTOR_FAILURE.key].is_string(),
        }
    }
}

/// Everything that is to be said of the interceptors of a trigger or a group.
pub(super) fn of(trigger: &Value, at: &str, wishes: Wishes, found: &mut Vec<Finding>) {
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
        if registry::sender(name).is_some() {
            sender = Some((place.clone(), name.to_owned()));
            if has_secret {
                is_verified = true;
                verified(&place, wishes, found);
            }
            asked(&one, &place, found);
        } else if name == "cel" {
            is_verified |= expressions(&one, &place, wishes, found);
        } else if !BUILT_IN.contains(&name) {
            // Whom it lets pass, only it knows.
            is_verified = true;
            if !wishes.has_policy {
                found.push(Finding::better(&place, FAILURE).unless(STOP_WAY));
            }
        }
    }
    if let Some((place, name)) = sender.filter(|_| !is_verified) {
        found.push(Finding::note(
            &place,
            format!("nobody is verified, as in Tekton: whoever knows the address can trigger it; give `{name}` a secretRef"),
        ));
    }
}

const FAILURE: &str = "where it gives no answer it is asked again; in Tekton the event is lost";

/// A sender who has to prove who he is.
fn verified(place: &str, wishes: Wishes, found: &mut Vec<Finding>) {
    if !wishes.answers_as_tekton {
        let text = "who cannot prove that he is the sender is answered 401, not 202";
        found.push(Finding::better(place, text).unless(RESPONSES_WAY));
    }
    if !wishes.reruns {
        let text = "a delivery that is sent again under its id is performed once";
        found.push(Finding::better(place, text).unless(RERUN_WAY));
    }
}

/// What asks the sender's API.
fn asked(interceptor: &Interceptor, place: &str, found: &mut Vec<Finding>) {
    let is_on = |name| of_name(interceptor, name)["enabled"] == true;
    let (files, owners) = (is_on("addChangedFiles"), is_on("githubOwners"));
    if files || owners {
        found.push(Finding::better(
            place,
            "an enterprise server that a header names is asked only where the signed body names it too, or the setting \
             outbound.githubHosts lists it: nobody can send the token elsewhere",
        ));
    }
    if files && owners {
        found.push(Finding::attention(
            place,
            "githubOwners is asked beside addChangedFiles; Tekton never looks at it where both are enabled, so that events that it \
             let pass may be filtered",
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
fn expressions(
    interceptor: &Interceptor,
    place: &str,
    wishes: Wishes,
    found: &mut Vec<Finding>,
) -> bool {
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
    if verifies && !wishes.answers_as_tekton {
        found.push(
            Finding::better(
                place,
                "the comparison with a secret is made before everything else; who fails it is answered 401, not 202, and what is \
                 compared is written down nowhere",
            )
            .unless(RESPONSES_WAY),
        );
    }
    verifies
}
