//! What the gateway promises in a cluster.

use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::api_server::{ApiServer, server};
use super::gateway::{Gateway, SECRET, wait_until};
use super::webhook;

/// A test.
pub(crate) type Scenario = fn() -> Result<(), Failed>;

/// Name and function of each test.
pub(crate) const ALL: [(&str, Scenario); 12] = [
    (
        "cluster::a_signed_push_becomes_one_pipeline_run_of_the_triggers_account",
        push_becomes_run,
    ),
    (
        "cluster::an_edit_is_in_force_within_a_second_and_a_bad_object_is_alone",
        edits,
    ),
    (
        "cluster::listeners_say_how_they_are_and_are_left_when_they_are_unclaimed",
        status_and_claims,
    ),
    (
        "cluster::a_denial_names_the_missing_permission_and_a_late_right_is_used",
        denied,
    ),
    (
        "cluster::no_listener_reaches_a_namespace_that_did_not_allow_it",
        escalation,
    ),
    (
        "cluster::ten_seconds_without_an_api_server_lose_nothing",
        outage,
    ),
    ("cluster::two_gateways_make_one_object_of_one_event", pair),
    (
        "cluster::an_event_is_performed_when_its_secret_comes",
        late_secret,
    ),
    (
        "cluster::definitions_that_come_late_are_picked_up",
        definitions_come_late,
    ),
    (
        "cluster::what_deploys_is_what_the_api_server_takes",
        what_deploys,
    ),
    (
        "cluster::an_api_server_is_told_what_to_refuse_and_what_to_fill_in",
        webhook::admission,
    ),
    ("cluster::five_thousand_objects_are_loaded", many_objects),
];

/// A listener `hook` in a namespace, its Secret, and an account that may make
/// PipelineRuns.
pub(crate) fn listener(namespace: &str) -> String {
    format!(
        r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {{name: hook, namespace: {namespace}, annotations: {{tripline.dev/managed: "true"}}}}
spec:
  serviceAccountName: runner
  triggers:
  - name: push
    interceptors:
    - ref: {{name: github}}
      params:
      - {{name: secretRef, value: {{secretName: hook, secretKey: token}}}}
      - {{name: eventTypes, value: [push]}}
    bindings: [{{ref: push}}]
    template: {{ref: push}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerBinding
metadata: {{name: push, namespace: {namespace}}}
spec: {{params: [{{name: rev, value: $(body.after)}}]}}
---
{template}
---
{secret}
---
{account}
"#,
        template = template(namespace, "build-"),
        secret = secret(namespace, "hook"),
        account = account(namespace),
    )
}

fn template(namespace: &str, prefix: &str) -> String {
    format!(
        r#"apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {{name: push, namespace: {namespace}}}
spec:
  params: [{{name: rev}}]
  resourcetemplates:
  - apiVersion: tekton.dev/v1
    kind: PipelineRun
    metadata: {{generateName: {prefix}}}
    spec: {{params: [{{name: rev, value: $(tt.params.rev)}}]}}"#
    )
}

fn secret(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\nstringData: {{token: {SECRET}}}"
    )
}

fn account(namespace: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: ServiceAccount
metadata: {{name: runner, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: runner, namespace: {namespace}}}
rules: [{{apiGroups: [tekton.dev], resources: [pipelineruns], verbs: [create, get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: runner, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: runner}}
subjects: [{{kind: ServiceAccount, name: runner, namespace: {namespace}}}]"#
    )
}

/// PipelineRuns of a namespace, once there are as many.
pub(crate) fn runs(
    server: &ApiServer,
    namespace: &str,
    count: usize,
) -> Result<Vec<Value>, Failed> {
    wait_until(&format!("{count} PipelineRuns in {namespace}"), || {
        Ok(server.list("pipelineruns", namespace)?.len() >= count)
    })?;
    let runs = server.list("pipelineruns", namespace)?;
    ensure!(
        runs.len() == count,
        "{} PipelineRuns, not {count}",
        runs.len()
    );
    Ok(runs)
}

fn push_becomes_run() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("push")?;
    server.apply(&listener("push"))?;
    let gateway = Gateway::start(server, folder.path())?;
    gateway.push_until("/push/hook", "a", "matched")?;
    let run = runs(server, "push", 1)?.remove(0);
    let metadata = &run["metadata"];
    ensure!(run["spec"]["params"][0]["value"] == "a", "{run}");
    ensure!(
        metadata["labels"]["triggers.tekton.dev/eventlistener"] == "hook",
        "{run}"
    );
    ensure!(
        metadata["labels"]["triggers.tekton.dev/trigger"] == "push",
        "{run}"
    );
    ensure!(
        metadata["annotations"]["tripline.dev/trigger"] == "push/hook#push",
        "{run}"
    );
    // Again under the same id: the same one.
    let (status, again) = gateway.push("/push/hook", "a")?;
    ensure!(status == 202 && again["duplicate"] == true, "{again}");
    ensure!(
        gateway.push_signed("/push/hook", "b", "wrong")?.0 == 401,
        "a forgery"
    );
    runs(server, "push", 1)?;
    wait_until("an Event says so", || {
        let events = server.kubectl(&["get", "events", "-n", "push"], "")?;
        Ok(events.contains("TriggerSucceeded") && events.contains("eventlistener/hook"))
    })?;
    let audit = server.audit("pipelineruns")?;
    let created = audit
        .iter()
        .find(|entry| entry["verb"] == "create" && entry["objectRef"]["namespace"] == "push");
    let created = created.ok_or("the audit log has no create")?;
    let (gateway_account, acting) = (&created["user"], &created["impersonatedUser"]);
    ensure!(
        gateway_account["username"] == "system:serviceaccount:tripline:tripline",
        "{created}"
    );
    ensure!(
        acting["username"] == "system:serviceaccount:push:runner",
        "{created}"
    );
    Ok(())
}

fn definitions_come_late() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("before")?;
    let crds = format!("{}/deploy/crds", env!("CARGO_MANIFEST_DIR"));
    server.kubectl(&["delete", "-k", &crds], "")?;
    let gateway = Gateway::start(server, folder.path())?;
    ensure!(
        gateway.push("/before/hook", "a")?.0 == 404,
        "nothing is there"
    );
    server.kubectl(&["apply", "--server-side", "-k", &crds], "")?;
    let established = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=30s",
    ];
    server.kubectl(&established, "")?;
    server.apply(&listener("before"))?;
    gateway.push_until("/before/hook", "a", "matched")?;
    runs(server, "before", 1).map(drop)
}

fn what_deploys() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    server.kubectl(&["create", "namespace", "dry"], "")?;
    for (folder, more) in [
        ("deploy/crds", &[][..]),
        ("deploy/base", &[]),
        ("deploy/webhook", &[]),
        ("deploy/namespace", &["-n", "dry"]),
    ] {
        let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        let apply = ["apply", "--server-side", "--dry-run=server", "-k", &folder];
        server.kubectl(&[&apply[..], more].concat(), "")?;
    }
    // What ships for Tekton is taken by the definitions that ship.
    for folder in [
        "bindings",
        "templates",
        "deploy/quickstart",
        "deploy/examples/github",
    ] {
        let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        let apply = [
            "apply",
            "--server-side",
            "--dry-run=server",
            "-n",
            "dry",
            "-f",
            &folder,
        ];
        server.kubectl(&apply, "")?;
    }
    Ok(())
}

fn edits() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("edits")?;
    server.apply(&listener("edits"))?;
    let gateway = Gateway::start(server, folder.path())?;
    gateway.push_until("/edits/hook", "a", "matched")?;
    server.apply(&template("edits", "edited-"))?;
    std::thread::sleep(Duration::from_secs(1));
    gateway.push("/edits/hook", "edited")?;
    let made = runs(server, "edits", 2)?;
    let edited = |run: &Value| {
        let name = run["metadata"]["name"].as_str().unwrap_or_default();
        name.starts_with("edited-")
    };
    ensure!(
        made.iter().filter(|run| edited(run)).count() == 1,
        "{made:?}"
    );
    // A bad object disables its trigger; a listener beside it goes on.
    server.apply(&listener("edits").replace("name: hook, namespace", "name: other, namespace"))?;
    let bad = listener("edits").replace("eventTypes, value: [push]", "eventTypes, value: push");
    server.apply(&bad)?;
    let began = Instant::now();
    gateway.push_until("/edits/hook", "bad", "deferred")?;
    gateway.push_until("/edits/other", "beside", "matched")?;
    server.apply(&listener("edits"))?;
    wait_until("what waited is performed", || {
        Ok(server.list("pipelineruns", "edits")?.len() >= 4)
    })?;
    println!("bad for {:?}", began.elapsed());
    Ok(())
}

fn status_and_claims() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("status")?;
    server.apply(&listener("status"))?;
    let gateway = Gateway::start(server, folder.path())?;
    let ready = || -> Result<Value, Failed> {
        let listeners = server.list("eventlisteners", "status")?;
        Ok(listeners[0]["status"]["conditions"][0].clone())
    };
    wait_until("the listener is ready", || Ok(ready()?["status"] == "True"))?;
    let printed = server.kubectl(&["get", "el", "-n", "status"], "")?;
    ensure!(
        printed.contains("/status/hook") && printed.contains("True"),
        "{printed}"
    );
    let bad = listener("status").replace("eventTypes, value: [push]", "eventTypes, value: push");
    server.apply(&bad)?;
    wait_until("its status says why", || {
        let condition = ready()?;
        let message = condition["message"].as_str().unwrap_or_default();
        Ok(condition["status"] == "False" && message.contains("expected a list of texts"))
    })?;
    server.apply(&listener("status"))?;
    wait_until("the listener is ready again", || {
        Ok(ready()?["status"] == "True")
    })?;
    gateway.push_until("/status/hook", "a", "matched")?;
    // Whose it is no longer, it leaves alone.
    let unclaim = [
        "annotate",
        "el",
        "hook",
        "-n",
        "status",
        "tripline.dev/managed-",
    ];
    server.kubectl(&unclaim, "")?;
    wait_until("it is given up", || {
        Ok(gateway.push("/status/hook", "b")?.0 == 404)
    })?;
    wait_until("its status is taken away", || Ok(ready()?.is_null()))
}

fn denied() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("denied")?;
    let without = listener("denied").replace("verbs: [create, get]", "verbs: [get]");
    server.apply(&without)?;
    let gateway = Gateway::start(server, folder.path())?;
    gateway.push_until("/denied/hook", "a", "matched")?;
    wait_until("the missing permission is named", || {
        let lines = gateway.lines_with("\"reason\":\"forbidden\"");
        Ok(lines.iter().any(|line| {
            line.contains("system:serviceaccount:denied:runner")
                && line.contains("cannot create resource \\\"pipelineruns\\\"")
        }))
    })?;
    wait_until("an Event names it too", || {
        let events = server.kubectl(&["get", "events", "-n", "denied"], "")?;
        Ok(events.contains("TriggerForbidden") && events.contains("cannot create resource"))
    })?;
    // A right that comes late is used.
    server.apply(&listener("denied"))?;
    runs(server, "denied", 1).map(drop)
}

/// A Trigger of the victim, a listener elsewhere that selects it, and one whose
/// template names the victim's namespace.
const REACHING: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: deploy, namespace: victim}
spec:
  serviceAccountName: runner
  bindings: [{ref: push}]
  template: {ref: push}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: thief, namespace: attacker, annotations: {tripline.dev/managed: "true"}}
spec:
  serviceAccountName: thief
  namespaceSelector: {matchNames: [victim]}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: reach, namespace: attacker, annotations: {tripline.dev/managed: "true"}}
spec:
  serviceAccountName: runner
  triggers:
  - name: elsewhere
    template:
      spec:
        resourcetemplates:
        - apiVersion: tekton.dev/v1
          kind: PipelineRun
          metadata: {generateName: stolen-, namespace: victim}
"#;

fn escalation() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("attacker")?;
    server.namespace("victim")?;
    server.apply(&listener("victim"))?;
    server.apply(&format!("{REACHING}---\n{}", account("attacker")))?;
    let gateway = Gateway::start(server, folder.path())?;
    let (status, answer) = gateway.push("/attacker/thief", "a")?;
    ensure!(
        status == 503 && answer["reason"] == "no_triggers",
        "{status} {answer}"
    );
    wait_until("the status says which right is missing", || {
        let listeners = server.list("eventlisteners", "attacker")?;
        let mut messages = listeners.iter().map(|listener| {
            let message = &listener["status"]["conditions"][0]["message"];
            message.as_str().unwrap_or_default().to_owned()
        });
        Ok(messages.any(|m| {
            m.contains("attacker/thief must be allowed") && m.contains("serviceaccounts/runner")
        }))
    })?;
    // Naming another namespace in a template gets the account nowhere.
    gateway.push_until("/attacker/reach", "b", "matched")?;
    wait_until("the API server refuses", || {
        let lines = gateway.lines_with("\"reason\":\"forbidden\"");
        Ok(lines
            .iter()
            .any(|line| line.contains("system:serviceaccount:attacker:runner")))
    })?;
    ensure!(
        server.list("pipelineruns", "victim")?.is_empty(),
        "something was made"
    );
    // With the victim's consent it may.
    server.apply(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: invited, namespace: victim}
rules:
- {apiGroups: [triggers.tekton.dev], resources: [triggers], verbs: [get]}
- {apiGroups: [""], resources: [serviceaccounts], resourceNames: [runner], verbs: [impersonate]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: invited, namespace: victim}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: invited}
subjects: [{kind: ServiceAccount, name: thief, namespace: attacker}]
"#,
    )?;
    gateway.push_until("/attacker/thief", "c", "matched")?;
    runs(server, "victim", 1).map(drop)
}

fn outage() -> Result<(), Failed> {
    let mut server = server()?;
    let server = server.as_mut().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("outage")?;
    server.apply(&listener("outage"))?;
    let gateway = Gateway::start(server, folder.path())?;
    gateway.push_until("/outage/hook", "first", "matched")?;
    server.pause()?;
    let began = Instant::now();
    let mut accepted = vec!["first".to_owned()];
    while began.elapsed() < Duration::from_secs(10) {
        let mark = format!("mark-{}", accepted.len());
        let (status, answer) = gateway.push("/outage/hook", &mark)?;
        ensure!(status == 202, "{status} {answer}");
        accepted.push(mark);
        std::thread::sleep(Duration::from_millis(20));
    }
    server.resume()?;
    let runs = runs(server, "outage", accepted.len())?;
    for mark in &accepted {
        let of = runs
            .iter()
            .filter(|run| run["spec"]["params"][0]["value"] == **mark);
        ensure!(of.count() == 1, "{mark} has not exactly one PipelineRun");
    }
    println!(
        "10 s without an API server, {} events answered 202",
        accepted.len()
    );
    Ok(())
}

fn pair() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    server.namespace("pair")?;
    server.apply(&listener("pair"))?;
    let first = Gateway::start(server, one.path())?;
    let second = Gateway::start(server, two.path())?;
    for mark in ["a", "b", "c"] {
        first.push_until("/pair/hook", mark, "matched")?;
        second.push_until("/pair/hook", mark, "matched")?;
    }
    wait_until("both have performed", || {
        let done = |gateway: &Gateway| gateway.lines_with("delivery done").len();
        Ok(done(&first) >= 3 && done(&second) >= 3)
    })?;
    runs(server, "pair", 3).map(drop)
}

fn late_secret() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("late")?;
    let named = "secretName: hook";
    server.apply(&listener("late").replace(named, "secretName: later"))?;
    let gateway = Gateway::start(server, folder.path())?;
    let mut answer = Value::Null;
    wait_until("the event waits", || {
        answer = gateway.push("/late/hook", "a")?.1;
        Ok(answer["deferred"] == true)
    })?;
    ensure!(server.list("pipelineruns", "late")?.is_empty(), "{answer}");
    server.apply(&secret("late", "later"))?;
    runs(server, "late", 1).map(drop)
}

fn many_objects() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("many")?;
    server.apply(&account("many"))?;
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "triggers.tekton.dev/v1beta1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "many", "labels": {"many": "true"}},
            "spec": spec,
        })
    };
    let mut objects = Vec::new();
    for number in 0..1_000 {
        let run = json!({
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": {"generateName": "many-"},
            "spec": {"params": [{"name": "rev", "value": "$(tt.params.rev)"}]},
        });
        let template = json!({"params": [{"name": "rev"}], "resourcetemplates": [run]});
        objects.push(object("TriggerTemplate", &format!("t{number}"), template));
        let binding = json!({"params": [{"name": "rev", "value": "$(body.after)"}]});
        objects.push(object("TriggerBinding", &format!("b{number}"), binding));
    }
    for number in 0..3_000 {
        let filter =
            format!("body.after == 'only-{number}' && header.match('X-GitHub-Event', 'push')");
        let of = number % 1_000;
        let trigger = json!({
            "interceptors": [{"ref": {"name": "cel"}, "params": [{"name": "filter", "value": filter}]}],
            "bindings": [{"ref": format!("b{of}")}],
            "template": {"ref": format!("t{of}")},
        });
        objects.push(object("Trigger", &format!("x{number}"), trigger));
    }
    server.create_all(objects)?;
    let listener = json!({
        "serviceAccountName": "runner",
        "labelSelector": {"matchLabels": {"many": "true"}},
    });
    let mut listener = object("EventListener", "many", listener);
    listener["metadata"]["annotations"] = json!({"tripline.dev/managed": "true"});
    server.create_all(vec![listener])?;
    let began = Instant::now();
    let gateway = Gateway::start(server, folder.path())?;
    let took = began.elapsed();
    let mib = gateway.resident_mib()?;
    println!("5 000 objects in force {took:?} after the start, {mib:.0} MiB resident");
    gateway.push("/many/many", "only-2999")?;
    let made = runs(server, "many", 1)?;
    ensure!(
        made[0]["spec"]["params"][0]["value"] == "only-2999",
        "{made:?}"
    );
    for kind in [
        "eventlisteners",
        "triggers",
        "triggertemplates",
        "triggerbindings",
    ] {
        let all = format!("/apis/triggers.tekton.dev/v1beta1/namespaces/many/{kind}");
        server.kubectl(&["delete", "--raw", &all], "")?;
    }
    Ok(())
}
