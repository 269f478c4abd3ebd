use super::*;

fn read(text: &str) -> (Objects, Vec<String>) {
    let mut objects = Objects::default();
    let read = objects.read_file("f.yaml", text);
    let shown = read.diagnostics.iter().map(ToString::to_string).collect();
    (objects, shown)
}

#[test]
fn objects_are_found_under_their_namespace_and_default() {
    let (objects, diagnostics) = read(
        "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: a}\n---\n\
         apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: a, namespace: b}\n",
    );
    assert_eq!(diagnostics, Vec::<String>::new());
    let keys: Vec<String> = objects.triggers.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["Trigger b/a", "Trigger default/a"]);
}

#[test]
fn what_cannot_be_read_says_why_and_whether_triggers_may_be_missing() {
    let head = "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\n";
    let old = "apiVersion: triggers.tekton.dev/v1alpha1\nkind: ";
    for (text, expected, torn) in [
        (format!("{head}metadata: {{name: 7}}"), "is a number", true),
        (format!("{head}metadata: {{}}"), "has no name", true),
        (
            "apiVersion: triggers.tekton.dev/v1beta1\nkind: Interceptor\nmetadata: {name: a}"
                .into(),
            "write triggers.tekton.dev/v1alpha1",
            true,
        ),
        (
            format!("{old}Pipeline\nmetadata: {{name: a}}"),
            "kind `Pipeline`",
            false,
        ),
    ] {
        let read = Objects::default().read_file("f.yaml", &text);
        let message = &read.diagnostics[0].message;
        assert!(message.contains(expected), "{message}");
        assert_eq!(read.is_torn, torn, "{message}");
    }
    let (objects, diagnostics) = read(&format!(
        "{head}metadata: {{name: a, annotations: {{tripline.dev/redeliver: rerun}}}}"
    ));
    assert_eq!(objects.triggers.len(), 1);
    assert!(diagnostics[0].contains(":3:"), "{diagnostics:?}");
    assert!(diagnostics[0].contains("warning"), "{diagnostics:?}");
}

#[test]
fn other_kinds_are_passed_over_and_lists_are_opened() {
    let (objects, diagnostics) = read(
        "apiVersion: v1\nkind: List\nitems:\n\
         - {apiVersion: v1, kind: ServiceAccount, metadata: {name: x}}\n\
         - {apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: s}}\n",
    );
    assert_eq!(diagnostics, Vec::<String>::new());
    assert_eq!(objects.secrets.len(), 1);
}

#[test]
fn a_misspelt_field_is_an_error_and_leaves_no_looser_trigger() {
    let (objects, diagnostics) = read(
        "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: a}\n\
         spec:\n  interceptor:\n  - ref: {name: github}\n",
    );
    assert_eq!(
        diagnostics,
        ["f.yaml:5:3: Trigger default/a: unknown field `interceptor`"]
    );
    assert!(objects.triggers.is_empty());
}

#[test]
fn a_value_of_the_wrong_type_is_reported_where_it_stands() {
    let (_, diagnostics) = read(
        "apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerBinding\nmetadata: {name: a}\n\
         spec:\n  params:\n  - name: p\n    value: 1\n",
    );
    assert_eq!(
        diagnostics,
        ["f.yaml:7:12: TriggerBinding default/a: invalid type: integer `1`, expected a string"]
    );
}

#[test]
fn what_cannot_be_an_object_is_an_error() {
    for (text, expected) in [
        ("a: 1\n", "f.yaml:1:1: the object has no `kind`"),
        (
            "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {}\n",
            "f.yaml:3:1: the Trigger has no name; give it a metadata.name",
        ),
        (
            "apiVersion: triggers.tekton.dev/v1\nkind: Trigger\nmetadata: {name: a}\n",
            "f.yaml:1:13: `triggers.tekton.dev/v1` is not read by this version; write triggers.tekton.dev/v1beta1",
        ),
    ] {
        assert_eq!(read(text).1, [expected]);
    }
}

#[test]
fn the_second_object_of_a_name_is_an_error_unless_it_is_the_same() {
    let one = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    let (objects, diagnostics) = read(&format!("{one}---\n{one}---\n{one}data: {{}}\n"));
    assert_eq!(
        diagnostics,
        [
            "f.yaml:7:18: warning: Secret default/s is defined in f.yaml already, and is the same there",
            "f.yaml:11:18: Secret default/s is defined in f.yaml already"
        ]
    );
    assert_eq!(objects.secrets.len(), 1);
}

#[test]
fn the_body_of_an_event_beside_triggers_is_passed_over() {
    let mut objects = Objects::default();
    let told = |read: Read| {
        assert!(!read.is_torn);
        read.diagnostics[0].to_string()
    };
    assert_eq!(
        told(objects.read_file("push.json", "{\"ref\": \"main\"}")),
        "push.json:1:1: warning: this is no object, and is passed over"
    );
}

#[test]
fn interceptors_in_place_are_read_in_v1alpha1_alone() {
    let text = |version: &str| {
        format!(
            "apiVersion: triggers.tekton.dev/{version}\nkind: Trigger\nmetadata: {{name: a}}\n\
             spec:\n  interceptors:\n  - GitHub:\n      eventTypes: [push]\n"
        )
    };
    let (objects, diagnostics) = read(&text("v1alpha1"));
    assert_eq!(diagnostics, Vec::<String>::new());
    let trigger = &objects.triggers.values().next().unwrap().value;
    assert_eq!(trigger.spec.interceptors[0].reference.name, "github");
    assert_eq!(trigger.spec.interceptors[0].params[1].name, "eventTypes");
    assert_eq!(
        read(&text("v1beta1")).1,
        ["f.yaml:6:5: Trigger default/a: unknown field `github`"]
    );
}

#[test]
fn what_is_beside_the_interceptor_that_counts_is_told() {
    let (objects, diagnostics) = read(
        "apiVersion: triggers.tekton.dev/v1alpha1\nkind: EventListener\nmetadata: {name: a}\n\
         spec:\n  triggers:\n  - interceptors:\n    - cel: {filter: 'true'}\n      github: {}\n",
    );
    assert_eq!(
        diagnostics,
        [
            "f.yaml:8:7: warning: EventListener default/a: this interceptor is `cel`, so that `github` \
             is passed over; make it an interceptor of its own"
        ]
    );
    assert_eq!(objects.listeners.len(), 1);
}

#[test]
fn what_a_cluster_serves_may_have_the_old_shape() {
    let mut objects = Objects::default();
    let read = objects.apply(serde_json::json!({
        "apiVersion": "triggers.tekton.dev/v1beta1",
        "kind": "Trigger",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"interceptors": [{"gitlab": {}}, {"ref": {"name": "cel"}, "github": {}}]},
    }));
    assert_eq!(read.diagnostics, []);
    let trigger = &objects.triggers.values().next().unwrap().value;
    let names: Vec<&str> = trigger
        .spec
        .interceptors
        .iter()
        .map(|one| one.reference.name.as_str())
        .collect();
    assert_eq!(names, ["gitlab", "cel"]);
}

#[test]
fn registered_interceptors_are_read_with_their_addresses() {
    let (objects, diagnostics) = read(
        "apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: a}\n\
         spec: {clientConfig: {service: {name: s, namespace: ci, path: p}}}\n---\n\
         apiVersion: triggers.tekton.dev/v1alpha1\nkind: Interceptor\nmetadata: {name: a}\n\
         spec: {clientConfig: {caBundle: '*'}}\n",
    );
    assert_eq!(
        diagnostics,
        ["f.yaml:9:33: Interceptor default/a: it must be base64, and is not at byte 0"]
    );
    let (key, object) = objects.interceptors.iter().next().unwrap();
    assert_eq!(key.to_string(), "ClusterInterceptor a");
    assert_eq!(object.value.address(), Ok("http://s.ci.svc:80/p".into()));
}
