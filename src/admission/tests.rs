use serde_json::json;

use super::*;

fn object(version: &str, kind: &str, spec: Value) -> Value {
    let api_version = format!("{TRIGGERS_GROUP}/{version}");
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "n"}, "spec": spec})
}

fn refused(given: &Value) -> Refusal {
    match review(given) {
        Verdict::Refused(refusal) => refusal,
        Verdict::Admitted(value) => panic!("admitted: {value}"),
    }
}

#[test]
fn what_is_wrong_has_its_place() {
    let spec = json!({"triggers": [{"template": {"ref": "t"}}, {"bindings": [{"ref": "a", "name": "b"}]}]});
    let refusal = refused(&object("v1beta1", "EventListener", spec));
    assert_eq!(refusal.stage, Stage::Validate);
    assert_eq!(
        refusal.message(),
        "expected exactly one, got both: spec.triggers[1].bindings[0].name, spec.triggers[1].bindings[0].ref\n\
         expected exactly one, got neither: spec.triggers[1].template, spec.triggers[1].triggerRef"
    );
    assert_eq!(
        refusal.mistakes[0].pointers,
        [
            "/spec/triggers/1/bindings/0/name",
            "/spec/triggers/1/bindings/0/ref"
        ]
    );
    let refusal = refused(&object(
        "v1beta1",
        "Trigger",
        json!({"Bindings": [{"naem": 1}]}),
    ));
    assert_eq!(refusal.stage, Stage::Decode);
    assert_eq!(refusal.mistakes[0].pointers, ["/spec/Bindings/0/naem"]);
}

#[test]
fn what_crashes_upstream_is_refused() {
    let spec = json!({"template": {"ref": "t"}, "bindings": [null]});
    let refusal = refused(&object("v1beta1", "Trigger", spec));
    assert_eq!(refusal.message(), "invalid value: null: spec.bindings[0]");
    let spec = json!({"template": {"ref": "t"}, "interceptors": [{"webhook": {}}]});
    assert_eq!(
        refused(&object("v1alpha1", "Trigger", spec)).stage,
        Stage::Validate
    );
}

#[test]
fn parts_of_kinds_are_no_kinds() {
    let refusal = refused(&object("v1beta1", "TriggerSpec", json!({})));
    assert_eq!(refusal.stage, Stage::Kind);
    assert!(!is_known("v1beta1", "Interceptor"));
    assert!(is_known("v1alpha1", "Interceptor"));
}
