//! What becomes of a listener's Service when it is claimed, and when it is
//! given back.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::api_server::{ApiServer, server};
use super::gateway::{Gateway, exchange, post_at, post_to, wait_until};
use super::scenarios::{Scenario, listener, runs};

/// Name and function of each test.
pub(crate) const ALL: [(&str, Scenario); 5] = [
    (
        "cluster::a_claimed_listener_has_a_service_and_a_port_of_its_own",
        own_port,
    ),
    (
        "cluster::a_service_leads_to_the_pods_that_there_are",
        pods_come_and_go,
    ),
    (
        "cluster::every_replica_listens_and_one_keeps_the_services",
        replicas,
    ),
    ("cluster::somebody_else_s_service_is_left_alone", foreign),
    (
        "cluster::beyond_the_range_the_ordinary_path_works",
        exhausted,
    ),
];

/// Where the gateway is said to be. No cluster routes it.
const ADDRESS: &str = "192.0.2.10";

/// A range of ports that other runs of this suite do not use.
pub(super) fn range(count: u32) -> (u32, String) {
    let first = 20_000 + std::process::id() % 1_000 * 10;
    (first, format!("{first}-{}", first + count - 1))
}

/// A cluster without listeners; those of earlier tests have ports too.
pub(super) fn empty(server: &ApiServer) -> Result<(), Failed> {
    server.kubectl(&["delete", "el", "-A", "--all"], "")?;
    let ports = ["delete", "configmap", "-n", "tripline", "tripline-ports"];
    server.kubectl(&[&ports[..], &["--ignore-not-found"]].concat(), "")?;
    Ok(())
}

pub(super) fn start(server: &ApiServer, folder: &Path, ports: &str) -> Result<Gateway, Failed> {
    Gateway::spawn(
        Gateway::command(server, folder)
            .env("TRIPLINE_KUBE__ENDPOINTS", ADDRESS)
            .env("TRIPLINE_KUBE__PORTS", ports),
    )
}

pub(super) fn get(
    server: &ApiServer,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Value, Failed> {
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

pub(super) fn service(server: &ApiServer, namespace: &str) -> Result<Value, Failed> {
    get(server, "service", namespace, "el-hook")
}

/// The slices of the Service that say that they are Tripline's.
pub(super) fn slices(server: &ApiServer, namespace: &str) -> Result<Vec<Value>, Failed> {
    let ours = |slice: &Value| {
        slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "tripline.dev"
    };
    let all = server.list("endpointslices", namespace)?;
    Ok(all.into_iter().filter(ours).collect())
}

/// The port of the gateway that a Service leads to.
pub(super) fn port_of(service: &Value) -> Option<u16> {
    let port = &service["metadata"]["annotations"]["tripline.dev/port"];
    port.as_str()?.parse().ok()
}

/// The condition of the listener's Service.
pub(super) fn condition(server: &ApiServer, namespace: &str, name: &str) -> Result<Value, Failed> {
    let listener = get(server, "el", namespace, name)?;
    let conditions = listener["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let found = conditions.find(|one| one["type"] == "Service");
    Ok(found.cloned().unwrap_or_default())
}

pub(super) fn wait_for_reason(
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
pub(super) fn led(server: &ApiServer, namespace: &str) -> Result<u16, Failed> {
    wait_for_reason(server, namespace, "hook", "Managed")?;
    port_of(&service(server, namespace)?).ok_or_else(|| "no port is recorded".into())
}

pub(super) fn unclaim(server: &ApiServer, namespace: &str) -> Result<(), Failed> {
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

pub(super) fn claim(server: &ApiServer, namespace: &str) -> Result<(), Failed> {
    let annotation = "tripline.dev/managed=true";
    let arguments = ["annotate", "el", "hook", "-n", namespace, annotation];
    server.kubectl(&arguments, "").map(drop)
}

fn own_port() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("svc")?;
    let filter = "requestURL in ['/', '/some/other/path?x=1']";
    let cel = format!(
        "- ref: {{name: cel}}\n      params: [{{name: filter, value: \"{filter}\"}}]\n    bindings: ["
    );
    server.apply(&listener("svc").replace("bindings: [", &cel))?;
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
            status == 202 && answer["triggers"][0]["verdict"] == "matched",
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
    // What somebody deletes is written anew, and nobody notices.
    let ports = ["configmap", "tripline-ports", "-n", "tripline"];
    server.kubectl(&[&["delete"][..], &ports].concat(), "")?;
    for mark in ["e", "f", "g"] {
        ensure!(post_to(port, "/", mark)?.0 == 202, "closed");
    }
    wait_until("the ports are written down again", || {
        let map = get(server, "configmap", "tripline", "tripline-ports")?;
        Ok(map["data"][port.to_string()] == "svc/hook")
    })?;
    unclaim(server, "svc")?;
    wait_until("the Service is taken away", || {
        Ok(service(server, "svc")?.is_null())
    })?;
    wait_until("its slices too", || Ok(slices(server, "svc")?.is_empty()))?;
    wait_until(
        "its port is closed",
        || Ok(post_to(port, "/", "h").is_err()),
    )?;
    claim(server, "svc")?;
    ensure!(
        led(server, "svc")? == port,
        "another port after another claim"
    );
    drop(gateway);
    Ok(())
}

/// What Kubernetes would say of the gateway's own pods.
fn pods(server: &ApiServer, endpoints: &str) -> Result<(), Failed> {
    let slice = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: tripline-abc, namespace: tripline, labels: {{kubernetes.io/service-name: tripline}}}}\n\
         addressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints: [{endpoints}]\n"
    );
    server.apply(&slice)
}

fn pods_come_and_go() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    server.namespace("pods")?;
    server.apply(&listener("pods"))?;
    pods(
        server,
        "{addresses: [10.1.0.1], conditions: {ready: true, serving: true, terminating: false}}",
    )?;
    let gateway = Gateway::spawn(
        Gateway::command(server, folder.path())
            .env("TRIPLINE_KUBE__SERVICE", "tripline/tripline")
            .env("TRIPLINE_KUBE__PORTS", range(8).1),
    )?;
    let port = led(server, "pods")?;
    let slice =
        || -> Result<Value, Failed> { Ok(slices(server, "pods")?.pop().unwrap_or_default()) };
    let first = slice()?;
    ensure!(
        first["endpoints"][0]["addresses"] == json!(["10.1.0.1"])
            && first["ports"][0]["port"] == port,
        "{first}"
    );
    // One that ends is said to end, so that whoever sends to it stops.
    pods(
        server,
        "{addresses: [10.1.0.1], conditions: {ready: false, serving: true, terminating: true}}, \
         {addresses: [10.1.0.2], conditions: {ready: true, serving: true, terminating: false}}",
    )?;
    wait_until("the pods are followed", || {
        let now = slice()?;
        let ends = &now["endpoints"][0]["conditions"];
        Ok(now["endpoints"][1]["addresses"] == json!(["10.1.0.2"])
            && ends["ready"] == false
            && ends["terminating"] == true)
    })?;
    server.kubectl(
        &["delete", "endpointslice", "-n", "tripline", "tripline-abc"],
        "",
    )?;
    wait_until("nothing is left", || Ok(slices(server, "pods")?.is_empty()))?;
    drop(gateway);
    Ok(())
}

fn replicas() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    empty(server)?;
    server.namespace("replicas")?;
    server.apply(&listener("replicas"))?;
    let first = start(server, one.path(), &range(8).1)?;
    let port = led(server, "replicas")?;
    let second = Gateway::spawn(
        Gateway::command_at("127.0.0.2", server, two.path())
            .env("TRIPLINE_KUBE__ENDPOINTS", ADDRESS)
            .env("TRIPLINE_KUBE__PORTS", range(8).1),
    )?;
    let at_second = ([127, 0, 0, 2], port).into();
    ensure!(post_to(port, "/", "a")?.0 == 202, "the first one");
    ensure!(
        post_at(at_second, "/", "b")?.0 == 202,
        "the second one as soon as it is ready"
    );
    runs(server, "replicas", 2)?;
    let written = service(server, "replicas")?;
    first.stop()?;
    // The other one goes on, changes nothing, and can give it back.
    ensure!(post_at(at_second, "/", "c")?.0 == 202, "the other one");
    std::thread::sleep(Duration::from_secs(8));
    ensure!(
        service(server, "replicas")? == written,
        "it was written again"
    );
    unclaim(server, "replicas")?;
    wait_until("the Service is taken away", || {
        Ok(service(server, "replicas")?.is_null())
    })?;
    drop(second);
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
    ensure!(port_of(&other) == Some(port), "{other}");
    wait_until("the port leads to the other one", || {
        Ok(post_to(port, "/", "b").is_ok_and(|(_, answer)| answer["eventListener"] == "other"))
    })
}
