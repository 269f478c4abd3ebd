//! What the API server asks an admission webhook, and the answers.
//!
//! Source of the format: `admission.k8s.io/v1`. Nothing is remembered and
//! nothing is done, so that a dry run is like any other.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::decode::Unknown;
use super::{Object, Refusal, Stage, decode, defaults, patch};

const API_VERSION: &str = "admission.k8s.io/v1";

/// What the API server asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Defaults.
    Defaulting,
    /// Whether an object may be stored.
    Validation,
}

/// A question that nobody can answer.
#[derive(Debug, thiserror::Error)]
pub enum BadReview {
    /// It is something else.
    #[error("an AdmissionReview of {API_VERSION} is needed")]
    Kind,
    /// It asks nothing.
    #[error("the AdmissionReview has no request with a uid")]
    Request,
}

/// Answers an AdmissionReview with one.
pub fn answer(endpoint: Endpoint, review: &Value) -> Result<Value, BadReview> {
    if review["apiVersion"] != API_VERSION || review["kind"] != "AdmissionReview" {
        return Err(BadReview::Kind);
    }
    let request = &review["request"];
    let uid = request["uid"].as_str().filter(|uid| !uid.is_empty());
    let uid = uid.ok_or(BadReview::Request)?;
    let mut response = match request["operation"].as_str() {
        Some("CREATE" | "UPDATE") => match endpoint {
            Endpoint::Defaulting => defaulting(&request["object"]),
            Endpoint::Validation => validation(&request["object"]),
        },
        _ => json!({"allowed": true}),
    };
    response["uid"] = uid.into();
    Ok(json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}))
}

fn defaulting(object: &Value) -> Value {
    let denied = |what: String| denied(&format!("mutation failed: {what}"));
    match given(object).and_then(|object| defaulted(object).map_err(|refusal| words(&refusal))) {
        Err(what) => denied(what),
        Ok(defaulted) => {
            let changes = patch::between(object, &patch::stored(object, defaulted));
            match changes.is_empty() {
                true => json!({"allowed": true}),
                false => json!({
                    "allowed": true,
                    "patchType": "JSONPatch",
                    "patch": BASE64.encode(Value::Array(changes).to_string().as_bytes()),
                }),
            }
        }
    }
}

fn defaulted(object: &Value) -> Result<Value, Refusal> {
    let mut object = decode(object, Unknown::RefusedInSpec)?;
    let set = defaults::set(&mut object);
    set.map_err(|panic| Refusal::crash(Stage::Defaulting, &panic))?;
    Ok(object.value)
}

fn validation(object: &Value) -> Value {
    let object = match given(object) {
        Err(what) => return denied(&format!("validation failed: {what}")),
        Ok(object) => decode(object, Unknown::RefusedInSpec),
    };
    match object.as_ref().map(Object::check) {
        Err(refusal) => denied(&format!("decoding request failed: {}", words(refusal))),
        Ok(Some(refusal)) => denied(&format!("validation failed: {}", refusal.message())),
        Ok(None) => json!({"allowed": true}),
    }
}

fn given(object: &Value) -> Result<&Value, String> {
    match object {
        Value::Object(_) => Ok(object),
        _ => Err("the new object may not be nil".into()),
    }
}

fn words(refusal: &Refusal) -> String {
    let message = refusal.message();
    match refusal.stage {
        Stage::Decode => format!("cannot decode incoming new object: {message}"),
        _ => message,
    }
}

fn denied(message: &str) -> Value {
    json!({
        "allowed": false,
        "status": {
            "status": "Failure",
            "reason": "BadRequest",
            "code": 400,
            "message": message,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(endpoint: Endpoint, operation: &str, object: &Value) -> Value {
        let review = json!({
            "apiVersion": API_VERSION,
            "kind": "AdmissionReview",
            "request": {"uid": "u-1", "operation": operation, "object": object, "dryRun": true},
        });
        answer(endpoint, &review).unwrap()["response"].clone()
    }

    fn trigger(version: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": format!("triggers.tekton.dev/{version}"),
            "kind": "Trigger",
            "metadata": {"name": "n", "namespace": "ci", "unheardOf": 1},
            "spec": spec,
        })
    }

    fn changes(response: &Value) -> Value {
        let patch = response["patch"].as_str().unwrap();
        serde_json::from_slice(&BASE64.decode(patch.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn defaults_come_as_a_patch_and_leave_the_rest_alone() {
        let spec = json!({
            "template": {"ref": "t"},
            "Bindings": [{"ref": "b"}],
            "interceptors": [{"ref": {"name": "cel"}}],
        });
        let response = ask(Endpoint::Defaulting, "CREATE", &trigger("v1beta1", &spec));
        assert_eq!(response["uid"], "u-1");
        assert_eq!(response["patchType"], "JSONPatch");
        assert_eq!(
            changes(&response),
            json!([
                {"op": "remove", "path": "/spec/Bindings"},
                {"op": "add", "path": "/spec/bindings", "value": [{"kind": "TriggerBinding", "ref": "b"}]},
                {"op": "add", "path": "/spec/interceptors/0/ref/kind", "value": "ClusterInterceptor"},
            ])
        );
        let spec = json!({"template": {"ref": "t"}});
        let response = ask(Endpoint::Defaulting, "UPDATE", &trigger("v1beta1", &spec));
        assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
    }

    #[test]
    fn an_interceptor_in_place_becomes_a_reference() {
        let spec = json!({"template": {"ref": "t"}, "interceptors": [{"github": {"eventTypes": ["push"]}}]});
        let response = ask(Endpoint::Defaulting, "CREATE", &trigger("v1alpha1", &spec));
        assert_eq!(
            changes(&response),
            json!([
                {"op": "remove", "path": "/spec/interceptors/0/github"},
                {"op": "add", "path": "/spec/interceptors/0/params", "value": [
                    {"name": "secretRef", "value": null},
                    {"name": "eventTypes", "value": ["push"]},
                ]},
                {"op": "add", "path": "/spec/interceptors/0/ref", "value": {"kind": "ClusterInterceptor", "name": "github"}},
            ])
        );
    }

    #[test]
    fn denials_have_the_words_that_users_know() {
        let bad = trigger("v1beta1", &json!({"templat": {}}));
        let said = |endpoint, object: &Value| {
            let response = ask(endpoint, "CREATE", object);
            assert_eq!(response["allowed"], false);
            assert_eq!(response["status"]["code"], 400);
            response["status"]["message"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            said(Endpoint::Defaulting, &bad),
            "mutation failed: cannot decode incoming new object: json: unknown field \"templat\""
        );
        assert_eq!(
            said(Endpoint::Validation, &bad),
            "decoding request failed: cannot decode incoming new object: json: unknown field \"templat\""
        );
        assert_eq!(
            said(Endpoint::Validation, &trigger("v1beta1", &json!({}))),
            "validation failed: expected exactly one, got neither: spec.template.ref, spec.template.spec"
        );
        assert_eq!(
            said(Endpoint::Validation, &json!(null)),
            "validation failed: the new object may not be nil"
        );
    }

    #[test]
    fn what_is_neither_created_nor_updated_is_let_through() {
        for operation in ["DELETE", "CONNECT", ""] {
            let response = ask(Endpoint::Validation, operation, &json!(null));
            assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
        }
    }

    #[test]
    fn what_asks_nothing_gets_no_answer() {
        let of = |version: &str, request: Value| {
            let review =
                json!({"apiVersion": version, "kind": "AdmissionReview", "request": request});
            answer(Endpoint::Validation, &review).unwrap_err()
        };
        let old = of("admission.k8s.io/v1beta1", json!({"uid": "u"}));
        assert!(matches!(old, BadReview::Kind));
        for request in [
            json!(null),
            json!([]),
            json!({"uid": ""}),
            json!({"uid": 7}),
        ] {
            assert!(matches!(of(API_VERSION, request), BadReview::Request));
        }
    }
}
