use serde_json::json;

use crate::catalog::services::Shape;
use crate::model::ids::ListenerId;

use super::*;

fn tektons() -> Service {
    serde_json::from_value(json!({
        "metadata": {
            "name": "el-hook", "namespace": "ci", "resourceVersion": "7",
            "labels": tektons_labels("hook"),
        },
        "spec": {
            "clusterIP": "10.0.0.7",
            "selector": {"eventlistener": "hook"},
            "ports": [
                {"name": "http-listener", "port": 8080, "targetPort": 8080, "nodePort": 31_000},
                {"name": "http-metrics", "port": 9000, "targetPort": 9000},
            ],
        },
    }))
    .unwrap()
}

/// What an API server makes of a merge patch.
fn patched(service: &Service, patch: &Value) -> Service {
    fn merge(into: &mut Value, patch: &Value) {
        match (into, patch) {
            (Value::Object(into), Value::Object(patch)) => {
                for (key, value) in patch {
                    match value {
                        Value::Null => drop(into.remove(key)),
                        _ => merge(into.entry(key.clone()).or_insert(json!({})), value),
                    }
                }
            }
            (into, patch) => *into = patch.clone(),
        }
    }
    let mut object = serde_json::to_value(service).unwrap();
    merge(&mut object, patch);
    serde_json::from_value(object).unwrap()
}

#[test]
fn what_is_taken_becomes_what_it_was() {
    let before = tektons();
    assert_eq!(whose(&before, "hook"), Whose::Tektons);
    let marked = patched(&before, &marked(&before, 20_001));
    assert_eq!(whose(&marked, "hook"), Whose::Taken);
    assert_eq!(marked.spec, before.spec, "marks change nothing else");
    let ours = patched(&marked, &taken(&marked, 20_001).unwrap());
    assert!(!has_selector(&ours));
    assert_eq!(recorded_port(&ours), Some(20_001));
    let spec = ours.spec.clone().unwrap();
    assert_eq!(spec.cluster_ip.as_deref(), Some("10.0.0.7"));
    let ports = spec.ports.unwrap();
    assert_eq!(ports[0].target_port, Some(IntOrString::Int(20_001)));
    assert_eq!(ports[0].node_port, Some(31_000));
    assert_eq!(ports[1].target_port, Some(IntOrString::Int(9000)));
    assert_eq!(taken(&ours, 20_001), None, "nothing is left to do");
    let after = patched(&ours, &restored(&ours));
    assert_eq!(after.spec, before.spec);
    assert_eq!(whose(&after, "hook"), Whose::Tektons);
}

#[test]
fn a_selector_that_came_back_with_more_becomes_what_it_was() {
    let before = tektons();
    let mut ours = patched(&before, &marked(&before, 20_001));
    let more = BTreeMap::from([("eventlistener", "hook"), ("more", "x")]);
    let spec = ours.spec.as_mut().unwrap();
    spec.selector = Some(
        more.into_iter()
            .map(|(k, v)| (k.into(), v.into()))
            .collect(),
    );
    let after = patched(&ours, &restored(&ours));
    assert_eq!(after.spec, before.spec);
}

#[test]
fn somebody_else_s_service_is_nobody_s_business() {
    let mut service = tektons();
    service.metadata.labels = None;
    assert_eq!(whose(&service, "hook"), Whose::Foreign);
    service.metadata.labels = Some(tektons_labels("other"));
    assert_eq!(whose(&service, "hook"), Whose::Foreign);
    // A mark alone proves nothing.
    for mark in ["made", "taken"] {
        let marks = BTreeMap::from([(SERVICE.key.to_owned(), mark.to_owned())]);
        service.metadata.annotations = Some(marks);
        assert_eq!(whose(&service, "hook"), Whose::Foreign, "{mark}");
    }
}

#[test]
fn one_that_tripline_makes_is_told_apart_from_tekton_s() {
    let wanted = Wanted {
        id: ListenerId {
            namespace: "ci".into(),
            name: "hook".into(),
        },
        uid: "u".into(),
        shape: Shape::default(),
    };
    let service = made(&wanted, 20_001);
    assert_eq!(whose(&service, "hook"), Whose::Made);
    assert_eq!(taken(&service, 20_001), None);
    assert_eq!(service_port(&service), Some(8080));
    assert!(taken(&service, 20_002).is_some(), "another port is put in");
}
