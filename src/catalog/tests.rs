//! From the text of files to what is in force.

use super::*;
use crate::model::ids::TriggerId;

const HEAD: &str = "apiVersion: triggers.tekton.dev/v1beta1\n";

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile {
        name: name.into(),
        text: text.into(),
    }
}

/// An object of Tekton's group.
fn object(kind: &str, name: &str, rest: &str) -> String {
    format!("---\n{HEAD}kind: {kind}\nmetadata: {{name: {name}}}\n{rest}\n")
}

fn template(name: &str) -> String {
    let spec = "spec: {params: [{name: p}], resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x-}}]}";
    object("TriggerTemplate", name, spec)
}

fn load(loader: &mut Loader, text: &str) -> (Arc<Snapshot>, Vec<String>) {
    let loaded = loader.load(&vec![file("f.yaml", text)].into());
    let shown = loaded.diagnostics.iter().map(ToString::to_string).collect();
    (loaded.snapshot, shown)
}

fn ids(snapshot: &Snapshot, listener: &str) -> Vec<String> {
    let listener = snapshot.listener(listener).unwrap();
    let ids = listener.triggers.iter().map(|entry| match entry {
        Entry::Ready(trigger) => trigger.id().to_string(),
        Entry::Broken(broken) => format!("{} (broken)", broken.id),
    });
    ids.collect()
}

#[test]
fn listed_triggers_come_before_selected_ones_and_repeats_are_told_apart() {
    let text = template("tt")
        + &object(
            "EventListener",
            "el",
            "spec:\n  labelSelector: {matchLabels: {app: web}}\n  triggers:\n  - triggerRef: b\n  - name: in\n    template: {ref: tt}\n  - name: in\n    template: {ref: tt}\n  - triggerRef: b",
        )
        + "---\napiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: a, labels: {app: web}}\nspec: {template: {ref: tt}}\n"
        + "---\napiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: b, labels: {app: api}}\nspec: {template: {ref: tt}}\n"
        + "---\napiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: a, namespace: other, labels: {app: web}}\nspec: {template: {spec: {resourcetemplates: [{apiVersion: v1, kind: Pod}]}}}\n";
    let (snapshot, diagnostics) = load(&mut Loader::default(), &text);
    assert_eq!(diagnostics, Vec::<String>::new());
    assert_eq!(
        ids(&snapshot, "default/el"),
        [
            "default/b",
            "default/el#in",
            "default/el#in~2",
            "default/b~2",
            "default/a"
        ]
    );
}

#[test]
fn namespaces_are_selected_by_name_or_all_together() {
    let trigger = |namespace: &str| {
        format!(
            "---\n{HEAD}kind: Trigger\nmetadata: {{name: t, namespace: {namespace}}}\nspec: {{template: {{spec: {{resourcetemplates: []}}}}}}\n"
        )
    };
    let triggers = trigger("a") + &trigger("b") + &trigger("default");
    for (names, expected) in [
        ("[\"*\"]", vec!["a/t", "b/t", "default/t"]),
        ("[a, default]", vec!["a/t", "default/t"]),
        ("[\"*\", a]", vec!["a/t"]),
        ("[]", vec![]),
    ] {
        let listener = object(
            "EventListener",
            "el",
            &format!("spec: {{namespaceSelector: {{matchNames: {names}}}}}"),
        );
        let (snapshot, _) = load(&mut Loader::default(), &(listener + &triggers));
        assert_eq!(ids(&snapshot, "default/el"), expected, "{names}");
    }
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let text = object(
        "EventListener",
        "el",
        "spec:\n  triggers:\n  - name: one\n    interceptors:\n    - ref: {name: githib}\n    - ref: {name: filter}\n      params:\n      - name: branches\n        value: main\n    - ref: {name: gitlab}\n      params:\n      - name: secretRef\n        value:\n          secretName: s\n    bindings:\n    - ref: nowhere\n    - name: p\n      value: $(body.[)\n    template: {ref: tt}\n  - triggerRef: gone\n  - name: bare",
    );
    let (snapshot, diagnostics) = load(&mut Loader::default(), &text);
    let expected = [
        "f.yaml:9:19: there is no ClusterInterceptor githib",
        "f.yaml:13:16: expected a list of texts, got text",
        "f.yaml:17:9: secretKey is empty",
        "f.yaml:20:12: there is no TriggerBinding default/nowhere",
        "f.yaml:23:21: there is no TriggerTemplate default/tt",
        "f.yaml:24:17: there is no Trigger default/gone",
        "f.yaml:25:5: the trigger has no `template`",
    ];
    assert_eq!(diagnostics.len(), expected.len(), "{diagnostics:#?}");
    for (diagnostic, expected) in diagnostics.iter().zip(expected) {
        assert!(
            diagnostic.starts_with(expected),
            "{diagnostic}\nis not\n{expected}"
        );
    }
    assert!(
        ids(&snapshot, "default/el")
            .iter()
            .all(|id| id.ends_with("(broken)"))
    );
}

#[test]
fn an_expression_that_cannot_work_is_told_and_the_trigger_works() {
    let listener = |value: &str| {
        object(
            "EventListener",
            "el",
            &format!(
                "spec:\n  triggers:\n  - bindings: [{{name: p, value: \"{value}\"}}]\n    template: {{ref: tt}}"
            ),
        )
    };
    let (snapshot, diagnostics) = load(
        &mut Loader::default(),
        &(listener("$(body.[)") + &template("tt")),
    );
    assert_eq!(diagnostics.len(), 1);
    assert!(
        diagnostics[0].starts_with("f.yaml:7:33: warning: `body.[`"),
        "{diagnostics:?}"
    );
    assert_eq!(ids(&snapshot, "default/el"), ["default/el#"]);
}

#[test]
fn a_bad_edit_leaves_the_last_good_version_in_force() {
    let mut loader = Loader::default();
    let good = object(
        "EventListener",
        "el",
        "spec:\n  triggers:\n  - name: t\n    template: {ref: tt}",
    ) + &template("tt");
    let (before, _) = load(&mut loader, &good);
    let Entry::Ready(first) = &before.listener("default/el").unwrap().triggers[0] else {
        panic!("the trigger is ready");
    };
    for bad in [
        good.replace("template: {ref: tt}", "template: {ref: gone}"),
        good.replace("kind: ConfigMap", "kind: 1"),
        good.replace("triggers:", "trigers:"),
        good.replace("triggers:", "triggers: ["),
        good.replace("name: t\n", "name: 7\n"),
    ] {
        let (after, diagnostics) = load(&mut loader, &bad);
        assert!(!diagnostics.is_empty());
        let Entry::Ready(kept) = &after.listener("default/el").unwrap().triggers[0] else {
            panic!("{bad} left a broken trigger");
        };
        assert!(Arc::ptr_eq(first, kept), "{bad}");
    }
    // What is removed is gone, and what is mended is in force again.
    let (after, _) = load(&mut loader, &template("tt"));
    assert!(after.listener("default/el").is_none());
    let (after, diagnostics) = load(&mut loader, &good);
    assert_eq!(diagnostics, Vec::<String>::new());
    assert_eq!(ids(&after, "default/el"), ["default/el#t"]);
}

#[test]
fn an_unchanged_trigger_is_not_compiled_again() {
    let mut loader = Loader::default();
    let text = object(
        "EventListener",
        "el",
        "spec:\n  triggers:\n  - name: t\n    template: {ref: tt}",
    ) + &template("tt");
    let ready = |snapshot: &Snapshot| match &snapshot.listener("default/el").unwrap().triggers[0] {
        Entry::Ready(trigger) => Arc::clone(trigger),
        Entry::Broken(broken) => panic!("{broken:?}"),
    };
    let (first, _) = load(&mut loader, &text);
    let (second, _) = load(&mut loader, &format!("# a comment\n{text}"));
    assert!(Arc::ptr_eq(&ready(&first), &ready(&second)));
    let (third, _) = load(
        &mut loader,
        &text.replace("generateName: x-", "generateName: y-"),
    );
    assert_ne!(ready(&first).revision, ready(&third).revision);
}

#[test]
fn a_trigger_that_the_journal_kept_compiles_to_itself() {
    let text = object(
        "EventListener",
        "el",
        "spec:\n  triggers:\n  - name: t\n    bindings: [{name: p, value: $(body.x)}]\n    template: {ref: tt}",
    ) + &template("tt");
    let (snapshot, _) = load(&mut Loader::default(), &text);
    let Entry::Ready(trigger) = &snapshot.listener("default/el").unwrap().triggers[0] else {
        panic!("the trigger is ready");
    };
    let source = TriggerSource::from_json(&trigger.source_json).unwrap();
    let again = recompile(source).unwrap();
    assert_eq!(again.revision, trigger.revision);
    assert_eq!(again.source, trigger.source);
}

#[test]
fn a_broken_trigger_keeps_its_verifier_where_that_is_sound() {
    let listener = |secret: &str| {
        object(
            "EventListener",
            "el",
            &format!(
                "spec:\n  triggers:\n  - interceptors:\n    - ref: {{name: github}}\n      params: [{{name: secretRef, value: {secret}}}]\n    - ref: {{name: nothing}}\n    template: {{ref: tt}}"
            ),
        )
    };
    let verifiers = |secret: &str| {
        let (snapshot, _) = load(
            &mut Loader::default(),
            &(listener(secret) + &template("tt")),
        );
        match &snapshot.listener("default/el").unwrap().triggers[0] {
            Entry::Broken(broken) => broken.verifiers.as_ref().map(Vec::len),
            Entry::Ready(trigger) => panic!("{trigger:?}"),
        }
    };
    assert_eq!(verifiers("{secretName: a, secretKey: b}"), Some(1));
    assert_eq!(verifiers("{secretName: a}"), None);
    // The one that is not there may be the one that was meant to verify.
    assert_eq!(verifiers("null"), None);
}

#[test]
fn what_is_not_understood_is_told_once_and_leaves_nothing_looser_behind() {
    let trigger = |interceptor: &str, resource: &str| {
        let text = object(
            "EventListener",
            "el",
            &format!(
                "spec:\n  triggers:\n  - interceptors: [{interceptor}]\n    template: {{spec: {{resourcetemplates: [{{kind: Job, apiVersion: batch/v1, metadata: {{annotations: {{{resource}}}}}}}]}}}}"
            ),
        );
        let (snapshot, diagnostics) = load(&mut Loader::default(), &text);
        let broken = matches!(
            snapshot.listener("default/el").unwrap().triggers[0],
            Entry::Broken(_)
        );
        assert_eq!(broken, !diagnostics.is_empty(), "{diagnostics:?}");
        diagnostics
    };
    assert_eq!(trigger("", ""), Vec::<String>::new());
    for (interceptor, resource, expected) in [
        (
            "{ref: {name: mine, kind: NamespacedInterceptor}}",
            "",
            "no Interceptor default/mine",
        ),
        ("{ref: {name: mine}}", "", "no ClusterInterceptor mine"),
        ("{ref: {name: mine, kind: Other}}", "", "not `Other`"),
        ("{}", "", "no `ref.name`"),
        ("{webhook: {}}", "", "at an objectRef or at a url"),
        (
            "{webhook: {objectRef: {kind: Pod, apiVersion: v1, name: x}}}",
            "",
            "a Service of apiVersion v1",
        ),
        ("", "tripline.dev/if: 'no'", "annotation `tripline.dev/if`"),
    ] {
        let diagnostics = trigger(interceptor, resource);
        assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
        assert!(diagnostics[0].contains(expected), "{diagnostics:?}");
    }
}

#[test]
fn a_trigger_that_goes_away_is_remembered_until_it_comes_back() {
    let catalog = Catalog::new(Duration::ZERO);
    let slow = Catalog::new(Duration::from_secs(60));
    let text = object(
        "EventListener",
        "el",
        "spec:\n  triggers:\n  - name: t\n    template: {ref: tt}",
    ) + &template("tt");
    let (with, _) = load(&mut Loader::default(), &text);
    let (without, _) = load(&mut Loader::default(), &template("tt"));
    let listener = ListenerId {
        namespace: "default".into(),
        name: "el".into(),
    };
    let trigger = TriggerId("default/el#t".into());
    assert!(!catalog.was_deleted(&listener, &trigger));
    for catalog in [&catalog, &slow] {
        catalog.replace(Arc::clone(&with), vec![]);
        catalog.replace(Arc::clone(&without), vec![]);
    }
    assert!(catalog.was_deleted(&listener, &trigger));
    assert!(!slow.was_deleted(&listener, &trigger), "it may come back");
    catalog.replace(with, vec![]);
    assert!(!catalog.was_deleted(&listener, &trigger));
}

#[test]
fn accounts_come_from_the_trigger_the_pod_the_listener_or_the_default() {
    let account = |trigger: &str, pod: &str, listener: &str| {
        let text = object(
            "EventListener",
            "el",
            &format!(
                "spec:\n  serviceAccountName: '{listener}'\n  resources: {{kubernetesResource: {{spec: {{template: {{spec: {{serviceAccountName: '{pod}'}}}}}}}}}}\n  triggers:\n  - serviceAccountName: '{trigger}'\n    template: {{ref: tt}}"
            ),
        ) + &template("tt");
        let (snapshot, diagnostics) = load(&mut Loader::default(), &text);
        assert_eq!(diagnostics, Vec::<String>::new());
        match &snapshot.listener("default/el").unwrap().triggers[0] {
            Entry::Ready(trigger) => trigger.source.service_account.clone(),
            Entry::Broken(broken) => panic!("{broken:?}"),
        }
    };
    assert_eq!(account("t", "p", "l"), "t");
    assert_eq!(account("", "p", "l"), "p");
    assert_eq!(account("", "", "l"), "l");
    assert_eq!(account("", "", ""), "default");
}

#[test]
fn what_a_trigger_says_of_retries_is_read_from_the_nearest_annotation() {
    let listener = "---\napiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\n\
        metadata:\n  name: el\n  annotations:\n    tripline.dev/retry-attempts: \"9\"\n    \
        tripline.dev/retry-attempts.a: \"2\"\n    tripline.dev/retry-max-age: 2h\n\
        spec:\n  triggers:\n  - name: a\n    template: {ref: tt}\n  - name: b\n    \
        template: {ref: tt}\n  - triggerRef: own\n";
    let own = "---\napiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\n\
        metadata: {name: own, annotations: {tripline.dev/retry-max-age: 5m, tripline.dev/retry-backoff: 1s..2s}}\n\
        spec: {template: {ref: tt}}\n";
    let text = template("tt") + listener + own;
    let (snapshot, diagnostics) = load(&mut Loader::default(), &text);
    assert_eq!(diagnostics, Vec::<String>::new());
    let listener = snapshot.listener("default/el").unwrap();
    let retries = listener.triggers.iter().map(|entry| match entry {
        Entry::Ready(trigger) => trigger.source.retry,
        Entry::Broken(broken) => panic!("{:?}", broken.problems),
    });
    let retries: Vec<_> = retries.collect();
    let attempts = retries.iter().map(|retry| retry.attempts);
    assert_eq!(attempts.collect::<Vec<_>>(), [Some(2), Some(9), Some(9)]);
    let ages = retries.iter().map(|retry| retry.max_age.unwrap().as_secs());
    assert_eq!(ages.collect::<Vec<_>>(), [7200, 7200, 300]);
    assert!(retries[0].backoff.is_none() && retries[2].backoff.is_some());
}

#[test]
fn a_mistake_in_what_is_said_of_retries_is_told_where_it_stands() {
    for (key, value, expected) in [
        ("retry-attempts", "\"0\"", "`0` is no number of attempts"),
        (
            "retry-attempts.a",
            "many",
            "`many` is no number of attempts",
        ),
        ("retry-max-age", "\"5\"", "`5` is no time"),
        (
            "retry-backoff",
            "5m..1s",
            "the longest wait is shorter than the first one",
        ),
    ] {
        let listener = format!(
            "---\napiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\nmetadata:\n  \
             name: el\n  annotations:\n    tripline.dev/{key}: {value}\n\
             spec: {{triggers: [{{name: a, template: {{ref: tt}}}}]}}\n"
        );
        let text = listener + &template("tt");
        let (snapshot, diagnostics) = load(&mut Loader::default(), &text);
        // At the value.
        let at = format!("f.yaml:7:{}: `tripline.dev/{key}`: ", 20 + key.len());
        let told = diagnostics.iter().find(|told| told.starts_with(&at));
        let told = told.unwrap_or_else(|| panic!("{diagnostics:?}"));
        assert!(
            told.contains(expected) && told.contains("it takes "),
            "{told}"
        );
        assert_eq!(ids(&snapshot, "default/el"), ["default/el#a (broken)"]);
    }
}
