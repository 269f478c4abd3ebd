//! What a chain makes of an event.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::model::event::{BodyRule, Proof, RawEvent, SharedEvent};
use crate::model::headers::Headers;
use crate::model::json;
use crate::model::secret::{NoSecrets, SecretKeyRef, SecretLookup, SecretValue};

struct Known;

impl Secrets for Known {
    fn find(&self, at: &SecretKeyRef) -> SecretLookup {
        assert_eq!(at.namespace, "ci", "secrets are the trigger's own");
        match at.name.as_str() {
            "hook" => SecretLookup::Found(SecretValue::new(b"hunter2".to_vec())),
            "empty" => SecretLookup::Found(SecretValue::new(Vec::new())),
            _ => SecretLookup::NoSecret,
        }
    }
}

/// An event of a sender that names its events in `X-Event`.
fn event(headers: &[(&str, &str)], body: &str) -> VerifiedEvent {
    let mut map = Headers::new();
    for (name, value) in headers {
        map.append(name, *value);
    }
    let raw = RawEvent {
        method: "POST".into(),
        url: "/path?x=1".into(),
        headers: map,
        body: body.to_owned().into(),
        rule: BodyRule::default(),
    };
    let is_ping = raw.headers.get("X-Event") == Some("ping");
    let parse = |raw: &RawEvent| json::read(&raw.body, usize::MAX).map_err(|_| Reason::BodyNotJson);
    let shared = SharedEvent::new(raw, parse, |_, _| None, is_ping);
    VerifiedEvent::attest(Arc::new(shared), Proof::NoVerifier)
}

static SENDER: Sender = Sender {
    name: "sender",
    recognises: |_, _| false,
    event_header: Some("X-Event"),
    event_type: |headers, _| headers.get("X-Event"),
    pings: &["ping"],
    delivery: |_, _| None,
    credential_headers: &[],
    vocabulary: crate::model::sender::Vocabulary {
        repository: &[],
        repository_url: &[],
        action: &[],
        actor: &[],
        draft: &[],
        git_ref: |_| None,
        labels: |_| Vec::new(),
        changed: |_| Default::default(),
    },
};

fn described<'a>(
    kind: &'a str,
    params: &'a Map<String, Value>,
    sender: Option<&'static Sender>,
) -> Described<'a> {
    Described {
        kind,
        name: "",
        params,
        sender,
        away: None,
        namespace: "ci",
        as_tekton: false,
        is_first: true,
    }
}

fn chain(steps: &[(&str, Value)]) -> Chain {
    let mut chain = Chain::default();
    for (kind, params) in steps {
        let sender = (*kind == "sender").then_some(&SENDER);
        let params = params.as_object().cloned().unwrap_or_default();
        chain.add(&described(kind, &params, sender)).unwrap();
    }
    chain
}

fn run(steps: &[(&str, Value)], event: &VerifiedEvent) -> Outcome {
    let around = Surroundings {
        secrets: &Known,
        namespace: "ci",
        explain: true,
        is_verified: false,
        withheld: &[],
    };
    chain(steps).run(event, &around, Map::new())
}

fn decided(steps: &[(&str, Value)], event: &VerifiedEvent) -> (Verdict, Option<Reason>) {
    let outcome = run(steps, event);
    (outcome.verdict, outcome.reason)
}

fn cel(filter: &str) -> (&'static str, Value) {
    ("cel", json!({ "filter": filter }))
}

#[test]
fn an_empty_chain_takes_every_object() {
    assert_eq!(decided(&[], &event(&[], "{}")), (Verdict::Matched, None));
    let text = event(&[], "text");
    let failed = (Verdict::Failed, Some(Reason::BodyNotJson));
    assert_eq!(decided(&[], &text), failed);
}

#[test]
fn a_ping_is_filtered_whatever_the_trigger_lists() {
    let ping = event(&[("X-Event", "ping")], "{}");
    let filtered = (Verdict::Filtered, Some(Reason::Ping));
    assert_eq!(decided(&[], &ping), filtered);
    let listed = ("sender", json!({"eventTypes": ["ping"]}));
    assert_eq!(decided(&[listed], &ping), filtered);
}

#[test]
fn a_type_that_is_not_listed_is_filtered_before_the_body_is_looked_at() {
    let listed = |types: Value| ("sender", json!({ "eventTypes": types }));
    let push = event(&[("X-Event", "push")], "no json");
    let filtered = (Verdict::Filtered, Some(Reason::EventNotListed));
    assert_eq!(decided(&[listed(json!(["tag"]))], &push), filtered);
    assert_eq!(decided(&[listed(json!([]))], &push), filtered);
    let failed = (Verdict::Failed, Some(Reason::BodyNotJson));
    assert_eq!(decided(&[listed(json!(["push"]))], &push), failed);
    assert_eq!(decided(&[listed(Value::Null)], &push), failed);
}

#[test]
fn a_filter_that_is_not_true_filters_and_says_what_it_saw() {
    let push = event(&[], r#"{"ref":"refs/heads/dev"}"#);
    let outcome = run(&[cel("body.ref == 'refs/heads/main'")], &push);
    assert_eq!(
        (outcome.verdict, outcome.reason),
        (Verdict::Filtered, Some(Reason::FilterFalse))
    );
    let detail = outcome.findings.last().unwrap().detail.clone().unwrap();
    assert!(detail.contains("body.ref = \"refs/heads/dev\""), "{detail}");
}

#[test]
fn a_filter_that_fails_or_takes_too_much_is_told_apart() {
    let push = event(&[], r#"{"list":[1,2,3]}"#);
    let failed = (Verdict::Failed, Some(Reason::CelFailed));
    assert_eq!(decided(&[cel("body.missing == 1")], &push), failed);
    let long: Vec<u32> = (0..400).collect();
    let push = event(&[], &json!({ "list": long }).to_string());
    let endless = "body.list.all(a, body.list.all(b, body.list.all(c, a + b + c >= 0.0)))";
    let exhausted = (Verdict::Failed, Some(Reason::CelExhausted));
    assert_eq!(decided(&[cel(endless)], &push), exhausted);
}

#[test]
fn a_comparison_with_a_secret_refuses_or_defers() {
    let filter = "body.wanted && header.canonical('X-Token').compareSecret('token', 'hook')";
    let with =
        |token: &str, body: &str| decided(&[cel(filter)], &event(&[("X-Token", token)], body));
    assert_eq!(
        with("hunter2", r#"{"wanted":true}"#),
        (Verdict::Matched, None)
    );
    let filtered = (Verdict::Filtered, Some(Reason::FilterFalse));
    assert_eq!(with("hunter2", r#"{"wanted":false}"#), filtered);
    let refused = (Verdict::Refused, Some(Reason::SecretComparisonFalse));
    assert_eq!(with("wrong", r#"{"wanted":false}"#), refused);
    assert_eq!(with("", "{}"), refused);
    for (name, reason) in [
        ("gone", Reason::SecretMissing),
        ("empty", Reason::SecretEmpty),
    ] {
        let filter = format!("header.canonical('X-Token').compareSecret('token', '{name}')");
        let outcome = run(&[cel(&filter)], &event(&[("X-Token", "")], "{}"));
        assert_eq!(
            (outcome.verdict, outcome.reason),
            (Verdict::Deferred, Some(reason))
        );
        let detail = outcome.findings.last().and_then(|f| f.detail.clone());
        assert!(detail.is_some_and(|detail| detail.contains(name)));
    }
}

#[test]
fn no_finding_shows_what_a_secret_was_compared_with() {
    let filter = "header.canonical('X-Token').compareSecret('token', 'hook') && body.x == 1.0";
    for token in ["hunter2", "wrong-canary"] {
        let outcome = run(&[cel(filter)], &event(&[("X-Token", token)], r#"{"x":2}"#));
        let shown = format!("{:?}", outcome.findings);
        assert!(
            !shown.contains(token) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn no_finding_shows_a_header_that_another_trigger_compares() {
    let event = event(&[("X-Token", "hunter2")], "{}");
    let withheld = ["X-Token".to_owned()];
    let around = Surroundings {
        secrets: &Known,
        namespace: "ci",
        explain: true,
        is_verified: false,
        withheld: &withheld,
    };
    let chain = chain(&[cel("header.canonical('X-Token') == 'x' && body.a == 1.0")]);
    let shown = format!("{:?}", chain.run(&event, &around, Map::new()).findings);
    assert!(
        shown.contains("X-Token") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn overlays_see_what_was_there_before_their_interceptor() {
    let overlays = |pairs: &[(&str, &str)]| {
        let overlays: Vec<Value> = pairs
            .iter()
            .map(|(key, expression)| json!({"key": key, "expression": expression}))
            .collect();
        ("cel", json!({ "overlays": overlays }))
    };
    let steps = [
        overlays(&[("a", "body.x"), ("nested.b", "'b'")]),
        overlays(&[("a", "string(extensions.a) + '!'"), ("old", "extensions.a")]),
        cel("extensions.nested.b == 'b'"),
    ];
    let outcome = run(&steps, &event(&[], r#"{"x":7}"#));
    assert_eq!(outcome.verdict, Verdict::Matched);
    let expected = json!({"a": "7!", "nested": {"b": "b"}, "old": 7.0});
    assert_eq!(Value::Object(outcome.extensions), expected);
}

#[test]
fn an_overlay_without_a_json_value_fails_and_adds_nothing() {
    let step = (
        "cel",
        json!({"overlays": [
            {"key": "a", "expression": "1"}, {"key": "b", "expression": "null"},
        ]}),
    );
    let outcome = run(&[step], &event(&[], "{}"));
    assert_eq!(
        (outcome.verdict, outcome.reason),
        (Verdict::Failed, Some(Reason::OverlayFailed))
    );
    assert!(outcome.extensions.is_empty());
}

#[test]
fn each_step_that_ran_is_found_in_the_order_it_ran() {
    let steps = [cel("true"), cel("false"), cel("true")];
    let outcome = run(&steps, &event(&[], "{}"));
    let verdicts: Vec<Verdict> = outcome.findings.iter().map(|f| f.verdict).collect();
    assert_eq!(verdicts, [Verdict::Matched, Verdict::Filtered]);
}

#[test]
fn harbor_s_lists_are_asked_one_after_the_other() {
    let around = Surroundings {
        secrets: &NoSecrets,
        namespace: "ci",
        explain: true,
        is_verified: false,
        withheld: &[],
    };
    let decide = |params: Value, body: Value| {
        let chain = chain(&[("harbor", params)]);
        let harbor = crate::intercept::tests::harbor_event(&body);
        chain.run(&harbor, &around, Map::new()).reason
    };
    let push = json!({"type": "PUSH_ARTIFACT", "repository": "acme/team/rocket"});
    assert_eq!(
        decide(json!({"eventTypes": ["push_artifact"]}), push.clone()),
        None
    );
    assert_eq!(
        decide(json!({"eventTypes": ["SCANNING_*"]}), push.clone()),
        Some(Reason::EventNotListed)
    );
    assert_eq!(decide(json!({"projects": ["acme"]}), push.clone()), None);
    assert_eq!(
        decide(json!({"projects": ["other"]}), push.clone()),
        Some(Reason::ProjectNotListed)
    );
    for pattern in ["acme/team/rocket", "team/*", "acme/**"] {
        assert_eq!(
            decide(json!({"repositories": [pattern]}), push.clone()),
            None,
            "{pattern}"
        );
    }
    assert_eq!(
        decide(json!({"repositories": ["rocket"]}), push),
        Some(Reason::RepositoryNotListed)
    );
    let replication = json!({"type": "REPLICATION"});
    let listed = json!({"eventTypes": ["REPLICATION"], "projects": ["acme"]});
    assert_eq!(decide(listed, replication), Some(Reason::ProjectNotListed));
}

/// An event whose body gives its type and repository in plain words.
fn harbor_event(body: &Value) -> VerifiedEvent {
    static PLAIN: Sender = Sender {
        name: "harbor",
        recognises: |_, _| true,
        event_header: None,
        event_type: |_, body| body.get("type")?.as_str(),
        pings: &[],
        delivery: |_, _| None,
        credential_headers: &[],
        vocabulary: crate::model::sender::Vocabulary {
            repository: &[&["repository"]],
            repository_url: &[],
            action: &[],
            actor: &[],
            draft: &[],
            git_ref: |_| None,
            labels: |_| Vec::new(),
            changed: |_| Default::default(),
        },
    };
    let raw = RawEvent {
        method: "POST".into(),
        url: "/".into(),
        headers: Headers::new(),
        body: body.to_string().into(),
        rule: BodyRule::default(),
    };
    let parse = |raw: &RawEvent| json::read(&raw.body, usize::MAX).map_err(|_| Reason::BodyNotJson);
    let shared = SharedEvent::new(raw, parse, |_, _| Some(&PLAIN), false);
    VerifiedEvent::attest(Arc::new(shared), Proof::NoVerifier)
}

#[test]
fn an_interceptor_that_is_not_there_is_a_mistake() {
    let mut chain = Chain::default();
    let params = Map::new();
    let problems = chain.add(&described("githib", &params, None)).unwrap_err();
    assert!(
        problems[0]
            .message
            .contains("there is no ClusterInterceptor `githib`")
    );
}
