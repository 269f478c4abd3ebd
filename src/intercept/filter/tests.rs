//! What each parameter lets pass, on events of every sender.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::model::event::{BodyRule, Proof, RawEvent, Recognise, SharedEvent};
use crate::model::headers::Headers;
use crate::model::json;
use crate::model::sender::Sender;

/// A sender whose bodies say everything in plain words.
static PLAIN: Sender = Sender {
    name: "plain",
    recognises: |_, _| true,
    event_header: None,
    event_type: |_, body| body.get("event")?.as_str(),
    pings: &[],
    delivery: |_, _| None,
    credential_headers: &[],
    vocabulary: crate::model::sender::Vocabulary {
        repository: &[&["repository"]],
        repository_url: &[&["url"]],
        action: &[&["action"]],
        actor: &[&["actor"]],
        draft: &[&["draft"]],
        git_ref: |body| {
            let branch = body.get("branch").and_then(Value::as_str);
            let tag = body.get("tag").and_then(Value::as_str);
            branch.map(GitRef::Branch).or(tag.map(GitRef::Tag))
        },
        labels: |body| {
            let labels = body.get("labels").and_then(Value::as_array);
            labels
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect()
        },
        changed: |body| {
            let files = body.get("files").and_then(Value::as_array);
            ChangedFiles {
                complete: files.is_some() && body.get("cut").is_none(),
                listed: files
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect(),
            }
        },
    },
};

fn event(body: &Value, known: bool) -> VerifiedEvent {
    let raw = RawEvent {
        method: "POST".into(),
        url: "/".into(),
        headers: Headers::new(),
        body: body.to_string().into(),
        rule: BodyRule::default(),
    };
    let parse = |raw: &RawEvent| json::read(&raw.body, usize::MAX).map_err(|_| Reason::BodyNotJson);
    let recognise: Recognise = if known {
        |_, _| Some(&PLAIN)
    } else {
        |_, _| None
    };
    let shared = SharedEvent::new(raw, parse, recognise, false);
    VerifiedEvent::attest(Arc::new(shared), Proof::NoVerifier)
}

/// `pass`, or the reason why not.
fn decide(params: Value, body: Value) -> String {
    let params = params.as_object().cloned().unwrap_or_default();
    let filter = Filter::compile(&params).unwrap();
    match filter.decide(&event(&body, true)) {
        Ok(()) => "pass".into(),
        Err(stop) => stop.reason.code().into(),
    }
}

#[test]
fn repositories_are_taken_by_name_and_by_host() {
    let body = json!({"repository": "acme/rocket", "url": "https://git.example.com/acme/rocket"});
    for (pattern, expected) in [
        ("acme/rocket", "pass"),
        ("Acme/*", "pass"),
        ("git.example.com/acme/*", "pass"),
        ("other.example.com/acme/*", "repository_not_listed"),
        ("acme", "repository_not_listed"),
        ("**/rocket", "pass"),
    ] {
        let result = decide(json!({"repositories": [pattern]}), body.clone());
        assert_eq!(result, expected, "{pattern}");
    }
    assert_eq!(
        decide(json!({"repositories": ["**"]}), json!({})),
        "repository_not_listed"
    );
}

#[test]
fn owners_are_everything_before_the_name() {
    let body = json!({"repository": "group/sub/rocket"});
    assert_eq!(
        decide(json!({"owners": ["group/**"]}), body.clone()),
        "pass"
    );
    assert_eq!(
        decide(json!({"owners": ["group"]}), body),
        "owner_not_listed"
    );
}

#[test]
fn events_go_by_their_sender_s_name_and_by_a_plain_one() {
    let body = json!({"event": "Merge Request Hook", "action": "open"});
    for listed in ["Merge Request Hook", "merge_request", "merge*"] {
        assert_eq!(
            decide(json!({"events": [listed]}), body.clone()),
            "pass",
            "{listed}"
        );
    }
    assert_eq!(
        decide(json!({"events": ["push"]}), body.clone()),
        "event_not_listed"
    );
    assert_eq!(
        decide(json!({"actions": ["open", "reopen"]}), body.clone()),
        "pass"
    );
    assert_eq!(
        decide(json!({"actions": ["close"]}), body),
        "action_not_listed"
    );
}

#[test]
fn branches_and_tags_ask_for_either() {
    let (main, tag, none) = (json!({"branch": "main"}), json!({"tag": "v1"}), json!({}));
    let branches = json!({"branches": ["main", "release/*"]});
    assert_eq!(decide(branches.clone(), main.clone()), "pass");
    assert_eq!(
        decide(branches.clone(), json!({"branch": "topic"})),
        "branch_not_listed"
    );
    assert_eq!(decide(branches.clone(), tag.clone()), "branch_not_listed");
    assert_eq!(decide(branches, none), "branch_not_listed");
    assert_eq!(decide(json!({"tags": ["v*"]}), tag.clone()), "pass");
    assert_eq!(
        decide(json!({"tags": ["v*"]}), main.clone()),
        "tag_not_listed"
    );
    let both = json!({"branches": ["main"], "tags": ["v*"]});
    assert_eq!(decide(both.clone(), main), "pass");
    assert_eq!(decide(both, tag), "pass");
}

#[test]
fn a_changed_file_is_enough_and_only_ignored_ones_are_not() {
    let src = json!({"files": ["src/a.rs", "docs/b.md"]});
    let docs = json!({"files": ["docs/b.md"]});
    assert_eq!(decide(json!({"paths": ["src/**"]}), src.clone()), "pass");
    assert_eq!(
        decide(json!({"paths": ["src/**"]}), docs.clone()),
        "paths_not_listed"
    );
    assert_eq!(decide(json!({"pathsIgnore": ["docs/**"]}), src), "pass");
    for params in [json!({"paths": ["src/**"]}), json!({"pathsIgnore": ["**"]})] {
        assert_eq!(decide(params, json!({"files": []})), "pass", "a tag");
    }
    assert_eq!(
        decide(json!({"pathsIgnore": ["docs/**"]}), docs),
        "paths_ignored"
    );
}

#[test]
fn a_list_of_files_that_is_cut_or_missing_excludes_nothing() {
    let cut = json!({"files": ["docs/b.md"], "cut": true});
    for params in [
        json!({"paths": ["src/**"]}),
        json!({"pathsIgnore": ["docs/**"]}),
    ] {
        assert_eq!(decide(params.clone(), cut.clone()), "pass");
        assert_eq!(decide(params, json!({})), "pass");
    }
}

#[test]
fn people_labels_and_drafts_are_filtered() {
    let body = json!({"actor": "wile-e", "labels": ["bug", "area/engine"], "draft": true});
    assert_eq!(
        decide(json!({"actors": ["!dependabot*"]}), body.clone()),
        "pass"
    );
    assert_eq!(
        decide(json!({"actors": ["road-runner"]}), body.clone()),
        "actor_not_listed"
    );
    assert_eq!(decide(json!({"labels": ["area/*"]}), body.clone()), "pass");
    assert_eq!(
        decide(json!({"labels": ["feature"]}), body.clone()),
        "label_not_listed"
    );
    assert_eq!(decide(json!({"draft": true}), body.clone()), "pass");
    assert_eq!(decide(json!({"draft": false}), body), "draft_mismatch");
    assert_eq!(decide(json!({"draft": false}), json!({})), "draft_mismatch");
}

#[test]
fn an_event_of_an_unknown_sender_has_no_facts_to_filter_by() {
    let params = json!({"events": ["**"]});
    let filter = Filter::compile(params.as_object().unwrap()).unwrap();
    let stop = filter.decide(&event(&json!({}), false)).unwrap_err();
    assert_eq!(stop.reason, Reason::SenderUnknown);
}

#[test]
fn every_mistake_in_the_parameters_is_told() {
    let params = json!({"repos": [], "branches": "main", "draft": "no", "tags": [1]});
    let problems = Filter::compile(params.as_object().unwrap()).unwrap_err();
    let pointers: Vec<&str> = problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(pointers, ["/repos", "/branches", "/tags/0", "/draft"]);
}
