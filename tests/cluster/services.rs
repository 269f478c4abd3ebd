//! What becomes of a listener's Service when it is claimed, and when it is
//! given back.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::api_server::{ApiServer, server};
use super::gateway::{Gateway, exchange, post_to, wait_until};
use super::scenarios::{Scenario, listener, runs};
use super::stand_in::{self, StandIn};

/// Name and function of each test.
pub(crate) const ALL: [(&str, Scenario); 7] = [
    (
        "cluster::a_claimed_listener_has_a_service_and_a_port_of_its_own",
        own_port,
    ),
    (
        "cluster::tekton_s_service_is_taken_over_and_given_back_as_it_was",
        taken_over,
    ),
    ("cluster::somebody_else_s_service_is_left_alone", foreign),
    (
        "cluster::beyond_the_range_the_ordinary_path_works",
        exhausted,
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
];

/// Where the gateway is said to be. No cluster routes it.
const ADDRESS: &str = "192.0.2.10";

/// A range of ports that other runs of this suite do not use.
fn range(count: u32) -> (u32, String) {
    let first = 20_000 + std::process::id() % 1_000 * 10;
    (first, format!("{first}-{}", first + count - 1))
}

/// A cluster without listeners; those of earlier tests have ports too.
fn empty(server: &ApiServer) -> Result<(), Failed> {
    server.kubectl(&["delete", "el", "-A", "--all"], "")?;
    let ports = ["delete", "configmap", "-n", "tripline", "tripline-ports"];
    server.kubectl(&[&ports[..], &["--ignore-not-found"]].concat(), "")?;
    Ok(())
}

fn start(server: &ApiServer, folder: &Path, ports: &str) -> Result<Gateway, Failed> {
    Gateway::spawn(
        Gateway::command(server, folder)
            .env("TRIPLINE_KUBE__ENDPOINTS", ADDRESS)
            .env("TRIPLINE_KUBE__PORTS", ports),
    )
}

fn get(server: &ApiServer, kind: &str, namespace: &str, name: &str) -> Result<Value, Failed> {
    let arguments = [
        "get",
        kind,
        name,
        "-n",
        namespace,
        "-o",
        "json",
        "--ignore-not-found",
    ];
    let printed = server.kubectl(&arguments, "")?;
    Ok(serde_json::from_str(&printed).unwrap_or_default())
}

fn service(server: &ApiServer, namespace: &str) -> Result<Value, Failed> {
    get(server, "service", namespace, "el-hook")
}

/// The slices of the Service that say that they are Tripline's.
fn slices(server: &ApiServer, namespace: &str) -> Result<Vec<Value>, Failed> {
    let ours = |slice: &Value| {
        slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "tripline.dev"
    };
    let all = server.list("endpointslices", namespace)?;
    Ok(all.into_iter().filter(ours).collect())
}

fn recorded(service: &Value) -> Option<u16> {
    let port = &service["metadata"]["annotations"]["tripline.dev/port"];
    port.as_str()?.parse().ok()
}

/// The condition of the listener's Service.
fn condition(server: &ApiServer, namespace: &str, name: &str) -> Result<Value, Failed> {
    let listener = get(server, "el", namespace, name)?;
    let conditions = listener["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let found = conditions.find(|one| one["type"] == "Service");
    Ok(found.cloned().unwrap_or_default())
}

fn wait_for_reason(
    server: &ApiServer,
    namespace: &str,
    name: &str,
    reason: &str,
) -> Result<(), Failed> {
    wait_until(&format!("{namespace}/{name} says {reason}"), || {
        Ok(condition(server, namespace, name)?["reason"] == reason)
    })
}

/// Waits until the Service leads to a port, and gives that.
fn led(server: &ApiServer, namespace: &str) -> Result<u16, Failed> {
    wait_for_reason(server, namespace, "hook", "Managed")?;
    recorded(&service(server, namespace)?).ok_or_else(|| "no port is recorded".into())
}

fn unclaim(server: &ApiServer, namespace: &str) -> Result<(), Failed> {
    let arguments = [
        "annotate",
        "el",
        "hook",
        "-n",
        namespace,
        "tripline.dev/managed-",
    ];
    server.kubectl(&arguments, "").map(drop)
}

fn claim(server: &ApiServer, namespace: &str) -> Result<(), Failed> {
    let annotation = "tripline.dev/managed=true";
    let arguments = ["annotate", "el", "hook", "-n", namespace, annotation];
    server.kubectl(&arguments, "").map(drop)
}

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

fn own_port() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("svc")?;
    server.apply(&listener("svc"))?;
    let gateway = start(server, folder.path(), &range(8).1)?;
    let began = Instant::now();
    let port = led(server, "svc")?;
    println!("the Service leads to its port after {:?}", began.elapsed());
    let there = service(server, "svc")?;
    ensure!(there["spec"]["selector"].is_null(), "{there}");
    ensure!(there["spec"]["ports"][0]["targetPort"] == port, "{there}");
    let slice = slices(server, "svc")?.pop().ok_or("no slice")?;
    ensure!(
        slice["endpoints"][0]["addresses"] == json!([ADDRESS]),
        "{slice}"
    );
    ensure!(slice["ports"][0]["port"] == port, "{slice}");
    ensure!(slice["ports"][0]["name"] == "http-listener", "{slice}");
    let status = get(server, "el", "svc", "hook")?["status"].clone();
    let url = "http://el-hook.svc.svc.cluster.local:8080";
    ensure!(status["address"]["url"] == url, "{status}");
    ensure!(
        status["configuration"]["generatedName"] == "el-hook",
        "{status}"
    );
    // Every path of the port is the listener's, `/live` apart.
    for (mark, path) in [("a", "/"), ("b", "/some/other/path?x=1")] {
        let (status, answer) = post_to(port, path, mark)?;
        ensure!(
            status == 202 && answer["eventListener"] == "hook",
            "{status} {answer}"
        );
    }
    let live = exchange(
        ([127, 0, 0, 1], port).into(),
        "GET /live HTTP/1.1\r\nHost: x\r\n\r\n",
    )?;
    ensure!(live == (200, "ok".into()), "{live:?}");
    // On the port for all, the Service's name stands for a path.
    let (status, answer) = gateway.push_as("el-hook.svc.svc.cluster.local:8080", "/", "c")?;
    ensure!(status == 202, "{status} {answer}");
    runs(server, "svc", 3)?;
    gateway.stop()?;
    let gateway = start(server, folder.path(), &range(8).1)?;
    ensure!(
        post_to(port, "/", "d")?.0 == 202,
        "open as soon as it is ready"
    );
    ensure!(led(server, "svc")? == port, "another port after a restart");
    unclaim(server, "svc")?;
    wait_until("the Service is taken away", || {
        Ok(service(server, "svc")?.is_null())
    })?;
    wait_until("its slices too", || Ok(slices(server, "svc")?.is_empty()))?;
    wait_until(
        "its port is closed",
        || Ok(post_to(port, "/", "e").is_err()),
    )?;
    claim(server, "svc")?;
    ensure!(
        led(server, "svc")? == port,
        "another port after another claim"
    );
    drop(gateway);
    Ok(())
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
    drop(gateway);
    Ok(())
}

fn foreign() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("foreign")?;
    let theirs = r#"
apiVersion: v1
kind: Service
metadata: {name: el-hook, namespace: foreign}
spec: {selector: {app: theirs}, ports: [{name: web, port: 80}]}
"#;
    server.kubectl(&["create", "-f", "-"], theirs)?;
    let before = service(server, "foreign")?;
    server.apply(&listener("foreign"))?;
    let gateway = start(server, folder.path(), &range(8).1)?;
    wait_for_reason(server, "foreign", "hook", "NotOurs")?;
    let status = get(server, "el", "foreign", "hook")?["status"].clone();
    let url = status["address"]["url"].as_str().unwrap_or_default();
    ensure!(url.ends_with("/foreign/hook"), "{status}");
    gateway.push_until("/foreign/hook", "a", "matched")?;
    ensure!(service(server, "foreign")? == before, "it was touched");
    // Once it is out of the way, the name is the listener's.
    server.kubectl(&["delete", "service", "el-hook", "-n", "foreign"], "")?;
    led(server, "foreign").map(drop)
}

fn exhausted() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("many-ports")?;
    let hook = listener("many-ports");
    server.apply(&hook)?;
    let gateway = start(server, folder.path(), &range(1).1)?;
    let port = led(server, "many-ports")?;
    server.apply(&hook.replace("name: hook, namespace", "name: other, namespace"))?;
    wait_for_reason(server, "many-ports", "other", "PortsExhausted")?;
    let said = condition(server, "many-ports", "other")?;
    let message = said["message"].as_str().unwrap_or_default();
    ensure!(
        said["status"] == "False" && message.contains("kube.ports"),
        "{said}"
    );
    ensure!(
        get(server, "service", "many-ports", "el-other")?.is_null(),
        "a Service"
    );
    gateway.push_until("/many-ports/other", "a", "matched")?;
    // A port that is given back is the other one's.
    unclaim(server, "many-ports")?;
    wait_for_reason(server, "many-ports", "other", "Managed")?;
    let other = get(server, "service", "many-ports", "el-other")?;
    ensure!(recorded(&other) == Some(port), "{other}");
    wait_until("the port leads to the other one", || {
        Ok(post_to(port, "/", "b").is_ok_and(|(_, answer)| answer["eventListener"] == "other"))
    })
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
    ensure!(
        tekton.writes() == 1,
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
