//! One call of a github, gitlab, bitbucket or slack interceptor.

use serde_json::{Map, Value, json};
use tripline::catalog::{Entry, Listener, Loaded, Trigger};
use tripline::intercept::Surroundings;
use tripline::model::event::{BodyRule, RawEvent};
use tripline::model::headers::Headers;
use tripline::model::ids::{DeliveryId, EventId};
use tripline::model::verdict::{Reason, Verdict};
use tripline::pipeline::{Accepted, Circumstances, Work, arrive, consult, judge};
use tripline::secrets::SecretStore;
use tripline::verify;
use uuid::Uuid;

use super::world::{self, Stubs};
use crate::{Case, Comparison};

const INVALID_ARGUMENT: i64 = 3;
const NOT_FOUND: i64 = 5;
const FAILED_PRECONDITION: i64 = 9;

/// Compares the response: continue, extensions, code and class of error, and
/// whom the interceptor asked.
pub(super) fn compare(case: &Case) -> Comparison {
    let stubs = Stubs::of(&case.input);
    let answer = call(case, &stubs);
    if case.expected.get("panic").is_some() {
        return match answer.refusal {
            Some(_) => Comparison::Same,
            None => Comparison::Different("went on".into()),
        };
    }
    let class = answer.refusal.as_ref().map_or("", |(_, class, _)| *class);
    let actual = json!({
        "continue": answer.refusal.is_none(),
        "extensions": answer.extensions,
        "code": answer.refusal.as_ref().map_or(0, |(code, _, _)| *code),
    });
    let came = asked(stubs.asked().iter().map(|asked| {
        let token = asked["headers"]["authorization"][0].clone();
        (asked["method"].clone(), asked["url"].clone(), token)
    }));
    let recorded = case.expected["http_requests"].as_array();
    let recorded = asked(recorded.into_iter().flatten().map(|asked| {
        let token = asked["authorization"].clone();
        (asked["method"].clone(), asked["url"].clone(), token)
    }));
    let expected = json!({
        "continue": case.expected["continue"],
        "extensions": case.expected.get("extensions").cloned().unwrap_or_else(|| json!({})),
        "code": case.expected["status"]["code"].as_i64().unwrap_or_default(),
    });
    let expected_class = case.expected["error_class"].as_str().unwrap_or_default();
    // Whoever is refused need not be asked about.
    let asked_alike = came == recorded
        || (answer.refusal.is_some() && came.iter().all(|one| recorded.contains(one)));
    match super::same(&actual, &expected) && asked_alike {
        true if class == expected_class => Comparison::Same,
        true => Comparison::OtherClass(class.to_owned()),
        false => {
            let message = answer.refusal.map(|(_, _, message)| message);
            Comparison::Different(format!("{actual} {message:?} {came:?}"))
        }
    }
}

/// Who was asked, each once: upstream looks some things up twice.
fn asked(requests: impl Iterator<Item = (Value, Value, Value)>) -> Vec<String> {
    let mut all: Vec<String> = requests
        .map(|(method, url, token)| format!("{method} {url} {token}"))
        .collect();
    all.sort();
    all.dedup();
    all
}

struct Answer {
    extensions: Map<String, Value>,
    refusal: Option<(i64, &'static str, String)>,
}

fn call(case: &Case, stubs: &std::sync::Arc<Stubs>) -> Answer {
    let (input, kind) = (
        &case.input,
        case.input["interceptor"].as_str().unwrap_or(""),
    );
    let refuse = |code, class, message: String| Answer {
        extensions: Map::new(),
        refusal: Some((code, class, message)),
    };
    let (loaded, secrets) = load(case, kind);
    let listener = loaded.snapshot.only().expect("a listener");
    let raw = RawEvent {
        method: "POST".into(),
        url: input["request"]["url"].as_str().unwrap_or("/").into(),
        headers: headers(case, kind),
        body: super::body(case).into(),
        rule: BodyRule {
            // Only what is an object comes to an interceptor in the end.
            validated: kind == "slack",
            as_tekton: true,
        },
    };
    let circumstances = Circumstances {
        secrets: &*secrets,
        fresh: Uuid::nil(),
        received_ms: 0,
        explain: false,
        proven: &[],
    };
    // Upstream looks at the type of the event first.
    if let Entry::Ready(trigger) = &listener.triggers[0]
        && is_of_another_type(trigger, &raw, &secrets)
    {
        return refuse(FAILED_PRECONDITION, "event_type", String::new());
    }
    if let Entry::Broken(broken) = &listener.triggers[0] {
        let problem = broken.problems.iter().map(ToString::to_string);
        let problem: String = problem.collect();
        return match problem.contains("is empty") {
            true => refuse(FAILED_PRECONDITION, "secret", problem),
            false => refuse(INVALID_ARGUMENT, "params", problem),
        };
    }
    let mut accepted = judge(listener, raw, &circumstances);
    let caller = stubs.caller();
    if accepted.awaits_interceptor() {
        world::block_on(consult(listener, &mut accepted, &circumstances, &caller));
    }
    let needs_context = input["no_context"] == true && reads_a_secret(&input["params"]);
    let judgement = &accepted.judgements[0];
    if judgement.verdict != Verdict::Matched {
        let (mut code, mut class) = class(kind, judgement.reason);
        // Nothing behind the name of the hash is a missing signature to us.
        if judgement.reason == Some(Reason::SignatureMissing) && is_signed(case, kind) {
            (code, class) = (FAILED_PRECONDITION, "signature");
        }
        return match needs_context && class != "missing_header" {
            true => refuse(INVALID_ARGUMENT, "context", String::new()),
            false => refuse(code, class, format!("{:?}", judgement.findings)),
        };
    }
    if needs_context {
        return refuse(INVALID_ARGUMENT, "context", String::new());
    }
    match rest(&accepted, listener, &secrets, &caller) {
        Ok(extensions) => Answer {
            extensions,
            refusal: None,
        },
        Err((reason, message)) => {
            let (code, class) = class(kind, Some(reason));
            refuse(code, class, message)
        }
    }
}

fn is_of_another_type(trigger: &Trigger, raw: &RawEvent, secrets: &SecretStore) -> bool {
    let around = Surroundings {
        secrets,
        namespace: &trigger.source.namespace,
        explain: false,
        is_verified: true,
        withheld: &[],
    };
    let event = verify::recall(raw.clone());
    let outcome = trigger.way.first.chain.run(&event, &around, Map::new());
    outcome.reason == Some(Reason::EventNotListed)
}

/// What the interceptors add that have to ask.
fn rest(
    accepted: &Accepted,
    listener: &Listener,
    secrets: &SecretStore,
    caller: &tripline::worker::Caller,
) -> Result<Map<String, Value>, (Reason, String)> {
    let judgement = &accepted.judgements[0];
    let (event, headers) = accepted.event_of(judgement, listener).expect("it matched");
    let work = Work {
        id: DeliveryId(0),
        event_id: EventId(Uuid::nil()),
        event,
        headers: &headers,
        trigger: judgement.compiled.as_ref().expect("it works"),
        extensions: &judgement.extensions,
        resume: judgement.resume,
        withheld: &[],
        accepted_ms: 0,
        rendered: None,
    };
    let arrived = world::block_on(arrive(&work, secrets, caller));
    let arrived = arrived.map_err(|failure| (failure.reason(), failure.to_string()))?;
    Ok(arrived.extensions)
}

fn load(case: &Case, kind: &str) -> (Loaded, std::sync::Arc<SecretStore>) {
    let id = case.input["trigger_id"].as_str().unwrap_or_default();
    let parts: Vec<&str> = id.split('/').collect();
    let namespace = match parts[..] {
        [_, namespace, _, _] => namespace,
        _ => "nowhere",
    };
    let params = case.input["params"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let params: Vec<Value> = params
        .into_iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let mut manifests = vec![json!({
        "apiVersion": "triggers.tekton.dev/v1beta1",
        "kind": "EventListener",
        "metadata": {
            "name": "el",
            "namespace": namespace,
            "annotations": {"tripline.dev/compat": "tekton"},
        },
        "spec": {"triggers": [{
            "name": "t",
            "interceptors": [{"ref": {"name": kind}, "params": params}],
            "template": {"spec": {"resourcetemplates": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}},
            ]}},
        }]},
    })];
    for secret in case.input["secrets"].as_array().into_iter().flatten() {
        manifests.push(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": secret["name"],
                "namespace": secret["namespace"].as_str().unwrap_or("default"),
            },
            "stringData": secret["data"],
        }));
    }
    world::load(world::files(&manifests))
}

/// The headers as the gateway would have received them. Upstream's bitbucket
/// looks up its event without regard to how names are spelt, so that one that
/// no server would hand it is not found.
fn headers(case: &Case, kind: &str) -> Headers {
    let mut headers = Headers::new();
    for (name, values) in super::headers(case).iter() {
        for value in values {
            match kind == "bitbucket" && name.eq_ignore_ascii_case("x-event-key") {
                true => headers.append_exact(name, value.as_str()),
                false => headers.append(name, value.as_str()),
            }
        }
    }
    headers
}

fn is_signed(case: &Case, kind: &str) -> bool {
    let header = match kind {
        "github" => "X-Hub-Signature-256",
        _ => "X-Hub-Signature",
    };
    headers(case, kind)
        .get(header)
        .is_some_and(|text| !text.is_empty())
}

fn reads_a_secret(params: &Value) -> bool {
    !params["secretRef"].is_null()
        || params["addChangedFiles"]["enabled"] == true
        || !params["githubOwners"]["personalAccessToken"].is_null()
}

/// Code and class that upstream has for a reason.
fn class(kind: &str, reason: Option<Reason>) -> (i64, &'static str) {
    let github = kind == "github";
    match reason {
        Some(Reason::SignatureMissing | Reason::TokenMissing | Reason::NotThisSender) => {
            let code = match github {
                true => FAILED_PRECONDITION,
                false => INVALID_ARGUMENT,
            };
            (code, "missing_header")
        }
        Some(Reason::SignatureMalformed | Reason::SignatureMismatch) => {
            (FAILED_PRECONDITION, "signature")
        }
        Some(Reason::TokenMismatch) => (INVALID_ARGUMENT, "signature"),
        Some(Reason::SecretMissing | Reason::SecretKeyMissing | Reason::SecretEmpty) => {
            (FAILED_PRECONDITION, "secret")
        }
        Some(Reason::FormRefused) => (INVALID_ARGUMENT, "content_type"),
        Some(Reason::PayloadIncomplete) if github => (FAILED_PRECONDITION, "body"),
        Some(Reason::PayloadIncomplete) => (NOT_FOUND, "field"),
        Some(Reason::NotAnOwner) => (FAILED_PRECONDITION, "owners"),
        Some(
            Reason::BodyEmpty | Reason::BodyNotJson | Reason::BodyNotObject | Reason::BodyNotForm,
        ) => {
            let code = match github {
                true => FAILED_PRECONDITION,
                false => INVALID_ARGUMENT,
            };
            (code, "body")
        }
        Some(Reason::InterceptorFailed | Reason::InterceptorUnavailable) => {
            (FAILED_PRECONDITION, "api")
        }
        _ => (-1, "unknown"),
    }
}
