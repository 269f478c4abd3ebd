//! What the gateway promises in a cluster.

use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::api_server::{ApiServer, server};
use super::gateway::{Gateway, SECRET, wait_until};

/// Name and function of each test.
pub(crate) const ALL: [(&str, fn() -> Result<(), Failed>); 2] = [
    (
        "cluster::a_signed_push_becomes_one_pipeline_run_of_the_triggers_account",
        push_becomes_run,
    ),
    (
        "cluster::an_edit_is_in_force_within_a_second_and_a_bad_object_is_alone",
        edits,
    ),
];

/// Fails with what was seen where something is not as it should be.
macro_rules! ensure {
    ($condition:expr, $($seen:tt)*) => {
        if !$condition {
            return Err(Failed::from(format!($($seen)*)));
        }
    };
}

/// A listener `hook` in a namespace, its Secret, and an account that may make
/// PipelineRuns.
fn listener(namespace: &str) -> String {
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
fn runs(
    server: &ApiServer,
    namespace: &str,
    count: usize,
) -> Result<Vec<serde_json::Value>, Failed> {
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
    let edited = |run: &serde_json::Value| {
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
