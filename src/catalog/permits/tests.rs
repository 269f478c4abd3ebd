//! What a listener of a cluster takes, and what counts as gone.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::catalog::objects::Objects;
use crate::catalog::{Catalog, Loader, Snapshot, cluster};
use crate::model::ids::TriggerId;

/// A listener `el/hook` that selects a Trigger of namespace `other`.
fn crossing_objects(trigger_spec: Value) -> (Objects, Crossing) {
    let object = |kind: &str, name: &str, namespace: &str, spec: Value| {
        json!({
            "apiVersion": "triggers.tekton.dev/v1beta1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        })
    };
    let mut objects = Objects::default();
    let selector = json!({
        "serviceAccountName": "asking",
        "namespaceSelector": {"matchNames": ["other"]},
    });
    objects.apply(object("EventListener", "hook", "el", selector));
    objects.apply(object("Trigger", "t", "other", trigger_spec));
    let crossing = Crossing {
        listener: ("el".into(), "asking".into()),
        namespace: "other".into(),
        account: None,
    };
    (objects, crossing)
}

fn with_permits(objects: Objects, permitted: &[&Crossing], unknown: &[&Crossing]) -> Arc<Snapshot> {
    let set = |crossings: &[&Crossing]| crossings.iter().copied().cloned().collect();
    let permits = Permits::Only {
        permitted: set(permitted),
        unknown: set(unknown),
    };
    let loaded = Loader::default().load_cluster(objects, false, vec![], &permits);
    loaded.snapshot
}

#[test]
fn a_trigger_of_another_namespace_is_taken_with_a_permit_alone() {
    let spec = json!({"template": {"spec": {"resourcetemplates": []}}});
    let (objects, crossing) = crossing_objects(spec);
    // One with an account of its own acts as that, and needs more of a permit.
    let own = json!({
        "serviceAccountName": "own",
        "template": {"spec": {"resourcetemplates": []}},
    });
    let (owning, _) = crossing_objects(own);
    let accounts = cluster::crossings(&owning)
        .into_iter()
        .map(|one| one.account);
    assert_eq!(accounts.collect::<Vec<_>>(), [Some("own".to_owned())]);
    let asked = cluster::crossings(&objects);
    assert!(asked.len() == 1 && asked.contains(&crossing));
    let of = |permitted: &[&Crossing], unknown: &[&Crossing]| {
        let snapshot = with_permits(objects.clone(), permitted, unknown);
        let listener = Arc::clone(snapshot.listener("el/hook").unwrap());
        (
            listener.triggers.len(),
            listener.is_incomplete,
            listener.problems.join(";"),
        )
    };
    assert_eq!(of(&[&crossing], &[]), (1, false, String::new()));
    let (triggers, is_incomplete, problem) = of(&[], &[]);
    assert_eq!((triggers, is_incomplete), (0, false));
    assert!(problem.contains("el/asking must be allowed"), "{problem}");
    let (triggers, is_incomplete, problem) = of(&[], &[&crossing]);
    assert_eq!(
        (triggers, is_incomplete),
        (0, true),
        "nobody is turned away"
    );
    assert!(problem.contains("could not be asked"), "{problem}");
}

#[test]
fn an_unreadable_trigger_of_another_namespace_needs_a_permit_too() {
    let (objects, crossing) = crossing_objects(json!({"bindings": 7}));
    let triggers = |permitted: &[&Crossing]| {
        let snapshot = with_permits(objects.clone(), permitted, &[]);
        snapshot.listener("el/hook").unwrap().triggers.len()
    };
    assert_eq!(triggers(&[]), 0);
    assert_eq!(triggers(&[&crossing]), 1, "its events wait");
}

#[test]
fn triggers_of_a_listener_that_cannot_be_read_are_not_deleted() {
    let spec =
        json!({"triggers": [{"name": "t", "template": {"spec": {"resourcetemplates": []}}}]});
    let object = |spec: Value| {
        json!({
            "apiVersion": "triggers.tekton.dev/v1beta1",
            "kind": "EventListener",
            "metadata": {"name": "el", "namespace": "ci"},
            "spec": spec,
        })
    };
    let snapshot = |spec| {
        let mut objects = Objects::default();
        objects.apply(object(spec));
        with_permits(objects, &[], &[])
    };
    let catalog = Catalog::new(Duration::ZERO);
    let listener = ListenerId {
        namespace: "ci".into(),
        name: "el".into(),
    };
    let trigger = TriggerId("ci/el#t".into());
    catalog.replace(snapshot(spec), vec![]);
    catalog.replace(snapshot(json!({"triggers": 7})), vec![]);
    assert!(!catalog.was_deleted(&listener, &trigger));
}

#[test]
fn a_trigger_of_a_group_keeps_its_identity_where_it_cannot_be_read() {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "triggers.tekton.dev/v1beta1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "el", "labels": {"g": "1"}},
            "spec": spec,
        })
    };
    let ids = |trigger: Value| {
        let mut objects = Objects::default();
        let group = json!({"triggerGroups": [{
            "name": "g",
            "interceptors": [],
            "triggerSelector": {"labelSelector": {"matchLabels": {"g": "1"}}},
        }]});
        objects.apply(object("EventListener", "hook", group));
        objects.apply(object("Trigger", "t", trigger));
        let snapshot = with_permits(objects, &[], &[]);
        let listener = snapshot.listener("el/hook").unwrap();
        let triggers = listener.triggers.iter();
        triggers.map(|entry| entry.id().clone()).collect::<Vec<_>>()
    };
    let expected = [TriggerId("g/el/t".into())];
    assert_eq!(
        ids(json!({"template": {"spec": {"resourcetemplates": []}}})),
        expected
    );
    assert_eq!(ids(json!({"bindings": 7})), expected);
}
