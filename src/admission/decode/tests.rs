use proptest::prelude::*;
use serde_json::json;

use super::*;

fn mistake(of: &'static str, given: &Value) -> Option<String> {
    decode(of, given, Unknown::Refused)
        .mistake
        .map(|m| m.message)
}

#[test]
fn a_mistake_is_told_as_go_tells_it() {
    for (of, given, expected) in [
        (
            "v1beta1.Trigger",
            json!({"spec": {"bindings": [{"value": 1}]}}),
            "json: cannot unmarshal number into Go struct field TriggerSpecBinding.spec.bindings.value of type string",
        ),
        (
            "v1beta1.Trigger",
            json!({"spec": {"a\"": 1, "bindings": 1}}),
            "json: unknown field \"a\\\"\"",
        ),
        (
            "v1alpha1.Interceptor",
            json!({"spec": {"clientConfig": {"url": 7}}}),
            "json: cannot unmarshal number into Go struct field ClientConfig.spec.clientConfig.url of type string",
        ),
        (
            "v1alpha1.Interceptor",
            json!({"metadata": []}),
            "json: cannot unmarshal array into Go struct field Interceptor.metadata of type v1.ObjectMeta",
        ),
        (
            "v1beta1.EventListener",
            json!({"spec": {"resources": {"kubernetesResource": {"replicas": 1.5}}}}),
            "json: cannot unmarshal number 1.5 into Go struct field KubernetesResource.spec.resources.kubernetesResource.replicas of type int32",
        ),
    ] {
        assert_eq!(mistake(of, &given).as_deref(), Some(expected));
    }
}

#[test]
fn unknown_fields_may_stand_where_somebody_else_reads_them() {
    let given = json!({"metadata": {"name": "n", "new": 1}});
    let first = |unknown| decode("v1beta1.Trigger", &given, unknown).mistake;
    assert!(first(Unknown::RefusedInSpec).is_none());
    assert_eq!(
        first(Unknown::Refused).map(|mistake| mistake.pointer),
        Some("/metadata/new".into())
    );
    let given = json!({"status": {}});
    let first = |unknown| decode("v1beta1.Trigger", &given, unknown).mistake;
    assert!(first(Unknown::RefusedInSpec).is_some());
    assert!(first(Unknown::PassedOver).is_none());
}

#[test]
fn numbers_that_go_always_writes_are_written() {
    let decoded = decode("v1.TopologySpreadConstraint", &json!({}), Unknown::Refused);
    assert_eq!(decoded.value, json!({"maxSkew": 0}));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z$(){}./=%:]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 4, |inner| {
        let keys = prop::sample::select(vec![
            "metadata",
            "spec",
            "triggers",
            "template",
            "bindings",
            "interceptors",
            "ref",
            "cel",
            "resources",
            "kubernetesResource",
            "customResource",
            "containers",
            "env",
            "webhook",
            "objectRef",
            "header",
            "params",
            "value",
            "resourcetemplates",
            "name",
            "clientConfig",
            "url",
            "caBundle",
            "limits",
            "other",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|entries| {
                let entries = entries.into_iter().map(|(k, v)| (k.to_owned(), v));
                Value::Object(entries.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_that_is_given_breaks_the_review(spec in anything(), alpha in any::<bool>(), kind in 0..7usize) {
        let version = if alpha { "v1alpha1" } else { "v1beta1" };
        let object = json!({
            "apiVersion": format!("triggers.tekton.dev/{version}"),
            "kind": crate::admission::KINDS[kind],
            "metadata": {"name": "n"},
            "spec": spec,
        });
        crate::admission::review(&object);
    }
}
