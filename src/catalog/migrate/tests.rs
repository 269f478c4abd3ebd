use crate::catalog::SourceFile;

use super::*;

fn report(text: &str) -> Report {
    let file = SourceFile {
        name: "t.yaml".into(),
        text: text.into(),
    };
    of_files(&vec![file].into())
}

fn listener(spec: &str) -> String {
    format!(
        "apiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\nmetadata: {{name: hook, namespace: ci}}\nspec:\n{spec}\n"
    )
}

/// Why the only object has its verdict.
fn why(text: &str, verdict: Verdict) -> Vec<String> {
    let report = report(text);
    let [row] = &report.objects[..] else {
        panic!("one object: {report:?}");
    };
    assert_eq!(row.verdict, verdict, "{row:?}");
    let why = row.why.iter().filter(|one| one.verdict == verdict);
    why.map(|one| one.text.clone()).collect()
}

const TEMPLATE: &str = "    template:\n      spec:\n        resourcetemplates:\n        - {apiVersion: v1, kind: ConfigMap, metadata: {generateName: a-}}\n";

#[test]
fn a_binding_works_as_it_is() {
    let text = "apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerBinding\nmetadata: {name: b}\nspec:\n  params:\n  - {name: rev, value: $(body.after)}\n";
    assert_eq!(why(text, Verdict::WorksAsIs), Vec::<String>::new());
    let row = &report(text).objects[0];
    assert_eq!(row.namespace, "default");
    assert_eq!(row.place.as_deref(), Some("t.yaml:1:1"));
}

#[test]
fn a_binding_that_reads_a_credential_needs_attention() {
    for value in [
        "$(header.Authorization)",
        "x-$(header.x-gitlab-token)",
        "$({.header.Cookie})",
    ] {
        let text = format!(
            "apiVersion: triggers.tekton.dev/v1beta1\nkind: ClusterTriggerBinding\nmetadata: {{name: b}}\nspec:\n  params:\n  - {{name: p, value: '{value}'}}\n"
        );
        let why = why(&text, Verdict::NeedsAttention);
        assert!(why[0].contains("carries a credential"), "{value}: {why:?}");
    }
}

#[test]
fn a_verified_listener_works_better_and_says_how_to_get_tekton_s_way() {
    let text = listener(&format!(
        "  triggers:\n  - name: t\n    interceptors:\n    - ref: {{name: github}}\n      params: [{{name: secretRef, value: {{secretName: s, secretKey: k}}}}]\n{TEMPLATE}"
    ));
    let report = report(&text);
    let row = &report.objects[0];
    assert_eq!(row.verdict, Verdict::WorksBetter, "{row:?}");
    let refused = row.why.iter().find(|one| one.text.contains("401")).unwrap();
    assert!(
        refused
            .as_in_tekton
            .unwrap()
            .contains("tripline.dev/responses: tekton")
    );
    assert_eq!(refused.place.as_deref(), Some("t.yaml:8:7"));
    assert_eq!(report.count(Verdict::WorksBetter), 1);
}

#[test]
fn what_does_not_compile_needs_attention_where_it_stands() {
    let text = listener(&format!(
        "  triggers:\n  - name: t\n    interceptors:\n    - ref: {{name: cel}}\n      params: [{{name: filter, value: 'body.('}}]\n{TEMPLATE}"
    ));
    let report = report(&text);
    let row = &report.objects[0];
    assert_eq!(row.verdict, Verdict::NeedsAttention);
    assert!(
        row.why[0]
            .place
            .as_deref()
            .unwrap()
            .starts_with("t.yaml:9:"),
        "{row:?}"
    );
}

#[test]
fn what_the_gateway_does_not_do_needs_attention() {
    for (spec, expected) in [
        (
            "  namespaceSelector: {matchNames: [other]}\n",
            "Triggers of other",
        ),
        (
            "  namespaceSelector: {matchNames: ['*']}\n",
            "all namespaces",
        ),
        (
            "  resources: {customResource: {kind: Service}}\n",
            "left alone",
        ),
        (
            "  resources: {kubernetesResource: {spec: {template: {spec: {containers: [{env: [{name: TLS_CERT}, {name: TLS_KEY}]}]}}}}}\n",
            "speak TLS",
        ),
    ] {
        let why = why(&listener(spec), Verdict::NeedsAttention);
        assert!(
            why.iter().any(|one| one.contains(expected)),
            "{spec}: {why:?}"
        );
    }
}

#[test]
fn a_mistake_is_that_of_the_object_in_which_it_stands() {
    let binding = |name: &str, value: &str| {
        format!(
            "apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerBinding\nmetadata: {{name: {name}}}\nspec:\n  params:\n  - {{name: p, value: {value}}}\n"
        )
    };
    let text = format!(
        "{}---\n{}---\n{}",
        binding("a", "x"),
        binding("b", "7"),
        binding("c", "x")
    );
    let report = report(&text);
    let verdicts: Vec<_> = report
        .objects
        .iter()
        .map(|row| (row.name.as_str(), row.verdict))
        .collect();
    let fine = Verdict::WorksAsIs;
    assert_eq!(
        verdicts,
        [("a", fine), ("b", Verdict::NeedsAttention), ("c", fine)]
    );
}

#[test]
fn what_is_no_yaml_is_told_by_itself() {
    let report = report("a: [\n");
    assert!(report.objects.is_empty());
    assert!(report.unreadable[0].starts_with("t.yaml:"), "{report:?}");
}

#[test]
fn objects_of_a_cluster_have_no_place() {
    let object = |namespace: &str| {
        serde_json::json!({
            "apiVersion": "triggers.tekton.dev/v1beta1", "kind": "Trigger",
            "metadata": {"name": "t", "namespace": namespace},
            "spec": {"bindings": [{"ref": "missing"}], "template": {"ref": "missing"}},
        })
    };
    let report = of_cluster(vec![object("one"), object("two")]);
    assert_eq!(report.unreadable, Vec::<String>::new());
    assert_eq!(report.count(Verdict::NeedsAttention), 2, "{report:?}");
    let why = &report.objects[1].why[0];
    assert!(
        why.place.is_none() && why.text.contains("two/missing"),
        "{why:?}"
    );
}

#[test]
fn interceptors_of_older_versions_are_understood() {
    let text = listener(&format!(
        "  triggers:\n  - name: t\n    interceptors:\n    - github: {{secretRef: {{secretName: s, secretKey: k}}}}\n{TEMPLATE}"
    ));
    let text = text.replace("v1beta1", "v1alpha1");
    let report = report(&text);
    let why = &report.objects[0].why;
    assert!(why.iter().any(|one| one.text.contains("401")), "{why:?}");
}

#[test]
fn what_annotations_ask_for_already_is_not_said_again() {
    let spec = format!(
        "  triggers:\n  - name: t\n    interceptors:\n    - ref: {{name: github}}\n      params: [{{name: secretRef, value: {{secretName: s, secretKey: k}}}}]\n{TEMPLATE}"
    );
    let annotations =
        "annotations: {tripline.dev/responses: tekton, tripline.dev/redelivery: rerun}, name: hook";
    let text = listener(&spec).replace("name: hook", annotations);
    let report = report(&text);
    let why = &report.objects[0].why;
    assert!(why.iter().all(|one| one.as_in_tekton.is_none()), "{why:?}");
}

#[test]
fn interceptors_of_groups_and_elsewhere_are_looked_at() {
    let text = listener(
        "  triggerGroups:\n  - name: g\n    interceptors:\n    - webhook: {url: http://x.ci.svc/}\n    triggerSelector: {labelSelector: {matchLabels: {a: b}}}\n",
    );
    let report = report(&text);
    let why = report.objects[0]
        .why
        .iter()
        .find(|one| one.text.contains("asked again"));
    assert_eq!(why.unwrap().place.as_deref(), Some("t.yaml:8:7"));
    let both = "[{name: addChangedFiles, value: {enabled: true}}, {name: githubOwners, value: {enabled: true, checkType: none}}]";
    let text = listener(&format!(
        "  triggers:\n  - name: t\n    interceptors:\n    - ref: {{name: github}}\n      params: {both}\n{TEMPLATE}"
    ));
    let why = why_of(&text);
    assert!(
        why.iter().any(|one| one.contains("beside addChangedFiles")),
        "{why:?}"
    );
}

fn why_of(text: &str) -> Vec<String> {
    let report = report(text);
    report
        .objects
        .iter()
        .flat_map(|row| row.why.iter().map(|one| one.text.clone()))
        .collect()
}
