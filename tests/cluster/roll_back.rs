//! From Tekton to Tripline and back: whose Service it is, and who may have it.

use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::api_server::{ApiServer, server};
use super::gateway::{Gateway, post_to, wait_until};
use super::scenarios::{Scenario, listener};
use super::services::{
    claim, condition, empty, get, led, range, service, slices, start, unclaim, wait_for_reason,
};
use super::stand_in::{self, StandIn};

/// Name and function of each test.
pub(crate) const ALL: [(&str, Scenario); 5] = [
    (
        "cluster::tekton_s_service_is_taken_over_and_given_back_as_it_was",
        taken_over,
    ),
    (
        "cluster::tekton_s_controller_takes_over_after_a_roll_back",
        roll_back,
    ),
    (
        "cluster::who_puts_a_selector_back_is_left_in_peace",
        contested,
    ),
    (
        "cluster::all_listeners_are_not_claimed_while_tekton_s_controller_runs",
        refused,
    ),
    (
        "cluster::migrate_reports_on_a_cluster_and_changes_nothing",
        report,
    ),
];

/// A listener that nobody has claimed yet.
fn unclaimed(namespace: &str) -> String {
    listener(namespace).replace("tripline.dev/managed: \"true\"", "")
}

/// Whether nobody writes a Service for some seconds.
fn is_quiet(server: &ApiServer, namespace: &str) -> Result<bool, Failed> {
    let before = service(server, namespace)?["metadata"]["resourceVersion"].clone();
    std::thread::sleep(Duration::from_secs(4));
    Ok(service(server, namespace)?["metadata"]["resourceVersion"] == before)
}

/// Makes what Tekton and the controllers of Kubernetes would have made.
fn tektons(server: &ApiServer, namespace: &str) -> Result<(), Failed> {
    let listener = get(server, "el", namespace, "hook")?;
    let uid = listener["metadata"]["uid"].as_str().unwrap_or_default();
    let mut object = serde_json::to_value(stand_in::service("hook", uid))?;
    object["metadata"]["namespace"] = namespace.into();
    server.kubectl(&["create", "-f", "-"], &object.to_string())?;
    let behind = format!(
        r#"
apiVersion: v1
kind: Endpoints
metadata: {{name: el-hook, namespace: {namespace}}}
subsets: [{{addresses: [{{ip: 10.9.8.7}}], ports: [{{name: http-listener, port: 8080}}]}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: el-hook-x7f2p
  namespace: {namespace}
  labels:
    kubernetes.io/service-name: el-hook
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
addressType: IPv4
endpoints: [{{addresses: [10.9.8.7]}}]
ports: [{{name: http-listener, port: 8080}}]
"#
    );
    server.kubectl(&["create", "-f", "-"], &behind).map(drop)
}

fn taken_over() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("taken")?;
    server.apply(&unclaimed("taken"))?;
    tektons(server, "taken")?;
    let before = service(server, "taken")?;
    let gateway = start(server, folder.path(), &range(8).1)?;
    ensure!(
        service(server, "taken")? == before,
        "touched before it was claimed"
    );
    claim(server, "taken")?;
    let port = led(server, "taken")?;
    let during = service(server, "taken")?;
    ensure!(
        during["spec"]["clusterIP"] == before["spec"]["clusterIP"],
        "{during}"
    );
    let node_port = |service: &Value| service["spec"]["ports"][0]["nodePort"].clone();
    ensure!(node_port(&during) == node_port(&before), "{during}");
    ensure!(during["spec"]["selector"].is_null(), "{during}");
    ensure!(slices(server, "taken")?.len() == 1, "no slice of ours");
    wait_until("nothing leads to Tekton's pods", || {
        let all = server.list("endpointslices", "taken")?;
        let endpoints = get(server, "endpoints", "taken", "el-hook")?;
        Ok(all.len() == 1 && endpoints.is_null())
    })?;
    ensure!(post_to(port, "/", "a")?.0 == 202, "the port");
    ensure!(
        is_quiet(server, "taken")?,
        "written although nothing was to be done"
    );
    unclaim(server, "taken")?;
    wait_until("the Service is what it was", || {
        let now = service(server, "taken")?;
        Ok(now["spec"] == before["spec"] && now["metadata"]["annotations"].is_null())
    })?;
    wait_until("its slices are gone", || {
        Ok(slices(server, "taken")?.is_empty())
    })?;
    wait_until("and the status", || {
        Ok(get(server, "el", "taken", "hook")?["status"].is_null())
    })?;
    // So it is where Services are switched off.
    claim(server, "taken")?;
    led(server, "taken")?;
    gateway.stop()?;
    let off = Gateway::spawn(
        Gateway::command(server, folder.path()).env("TRIPLINE_KUBE__SERVICES", "false"),
    )?;
    wait_until("the Service is what it was", || {
        let now = service(server, "taken")?;
        Ok(now["spec"] == before["spec"] && slices(server, "taken")?.is_empty())
    })?;
    off.push_until("/taken/hook", "b", "matched")
}

fn roll_back() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("rollback")?;
    server.apply(&unclaimed("rollback"))?;
    let tekton = StandIn::start(server, "rollback", false)?;
    wait_until("Tekton's Service", || {
        Ok(!service(server, "rollback")?.is_null())
    })?;
    let before = service(server, "rollback")?;
    let gateway = start(server, folder.path(), &range(8).1)?;
    for mark in ["there and back", "and again"] {
        claim(server, "rollback")?;
        let port = led(server, "rollback")?;
        ensure!(post_to(port, "/", mark)?.0 == 202, "the port");
        ensure!(
            is_quiet(server, "rollback")?,
            "they fight while it is claimed"
        );
        unclaim(server, "rollback")?;
        wait_until("the Service is what it was", || {
            let now = service(server, "rollback")?;
            Ok(now["spec"] == before["spec"] && slices(server, "rollback")?.is_empty())
        })?;
        ensure!(
            is_quiet(server, "rollback")?,
            "they fight after it was given back"
        );
    }
    // Whichever of the two is faster when it is given back.
    ensure!(
        tekton.writes() <= 3,
        "{} writes of Tekton's",
        tekton.writes()
    );
    // The same with the gateway away: what it has left is mended when it is back.
    claim(server, "rollback")?;
    led(server, "rollback")?;
    gateway.stop()?;
    unclaim(server, "rollback")?;
    let gateway = start(server, folder.path(), &range(8).1)?;
    wait_until("the Service is what it was", || {
        let now = service(server, "rollback")?;
        let marks = &now["metadata"]["annotations"];
        Ok(now["spec"] == before["spec"] && marks.is_null())
    })?;
    wait_until("its slices are gone", || {
        Ok(slices(server, "rollback")?.is_empty())
    })?;
    drop(gateway);
    Ok(())
}

fn contested() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("contested")?;
    server.apply(&unclaimed("contested"))?;
    let tekton = StandIn::start(server, "contested", true)?;
    wait_until("Tekton's Service", || {
        Ok(!service(server, "contested")?.is_null())
    })?;
    let gateway = start(server, folder.path(), &range(8).1)?;
    claim(server, "contested")?;
    wait_for_reason(server, "contested", "hook", "Contested")?;
    let said = condition(server, "contested", "hook")?;
    let message = said["message"].as_str().unwrap_or_default();
    ensure!(message.contains("tekton-triggers-controller"), "{said}");
    ensure!(is_quiet(server, "contested")?, "they go on");
    ensure!(
        tekton.writes() <= 5,
        "{} writes of Tekton's",
        tekton.writes()
    );
    let now = service(server, "contested")?;
    ensure!(!now["spec"]["selector"].is_null(), "{now}");
    ensure!(
        slices(server, "contested")?.is_empty(),
        "both lead somewhere"
    );
    // The ordinary address works meanwhile.
    gateway.push_until("/contested/hook", "a", "matched")
}

fn refused() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.kubectl(&["create", "namespace", "tekton-pipelines"], "")?;
    let controller = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: tekton-triggers-controller, namespace: tekton-pipelines}
spec:
  selector: {matchLabels: {app: controller}}
  template:
    metadata: {labels: {app: controller}}
    spec: {containers: [{name: controller, image: controller}]}
"#;
    server.kubectl(&["create", "-f", "-"], controller)?;
    let replicas = |count: usize| {
        let status = json!({"status": {"replicas": count, "readyReplicas": count}});
        let patch = [
            "patch",
            "deployment",
            "tekton-triggers-controller",
            "-n",
            "tekton-pipelines",
        ];
        let how = [
            "--subresource=status",
            "--type=merge",
            "-p",
            &status.to_string(),
        ];
        server.kubectl(&[&patch[..], &how].concat(), "").map(drop)
    };
    replicas(1)?;
    let run = |flags: &[&str]| -> Result<_, Failed> {
        let mut command: Command = Gateway::command(server, folder.path());
        Ok(command.args(flags).stderr(Stdio::piped()).output()?)
    };
    let output = run(&["--claim", "all"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(1),
        "{:?} {said}",
        output.status
    );
    ensure!(
        said.contains("tekton-pipelines/tekton-triggers-controller")
            && said.contains("--replicas=0")
            && said.contains("--force-claim"),
        "{said}"
    );
    let forced = ["--claim", "all", "--force-claim"];
    drop(Gateway::start_with(server, folder.path(), &forced)?);
    replicas(0)?;
    drop(Gateway::start_with(
        server,
        folder.path(),
        &["--claim", "all"],
    )?);
    server.kubectl(
        &["delete", "namespace", "tekton-pipelines", "--wait=false"],
        "",
    )?;
    Ok(())
}

fn report() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("report")?;
    server.apply(&unclaimed("report"))?;
    let before = get(server, "el", "report", "hook")?;
    let output = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["migrate", "--kube", "-o", "json"])
        .env("KUBECONFIG", server.kubeconfig("admin"))
        .current_dir(folder.path())
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let objects = report["objects"].as_array().ok_or("no objects")?;
    let of = |kind: &str| {
        let mut of_namespace = objects.iter().filter(|one| one["namespace"] == "report");
        of_namespace.find(|one| one["kind"] == kind).cloned()
    };
    let listener = of("EventListener").unwrap_or_default();
    ensure!(listener["verdict"] == "worksBetter", "{report}");
    let binding = of("TriggerBinding").unwrap_or_default();
    ensure!(binding["verdict"] == "worksAsIs", "{report}");
    let code = output.status.code();
    let needs = report["summary"]["needsAttention"] != 0;
    ensure!(code == Some(i32::from(needs)), "{code:?} {report}");
    ensure!(
        get(server, "el", "report", "hook")? == before,
        "it has changed something"
    );
    Ok(())
}
