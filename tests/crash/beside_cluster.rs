//! A real API server that is stopped, held and behind a bad network, while the
//! gateway makes objects in it.

use std::path::Path;
use std::time::Duration;

use libtest_mimic::Failed;
use tripline::failpoint::Point;

use super::gateway::Start;
use super::load::Load;
use super::oracle::{self, Effects, Made, origin};
use super::proxy::Proxy;
use super::random::{Random, seed};
use super::{report, world};
use crate::cluster::api_server::{ApiServer, server};

const SENDERS: u64 = 4;

/// The longest pause of a sender, so that the API server can keep up.
const PAUSE_MS: u64 = 60;

/// The account of the triggers. It may make ConfigMaps, and read them.
const RUNNER: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: runner}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [create, get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: runner}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: runner}
subjects: [{kind: ServiceAccount, name: runner}]
"#;

/// ConfigMaps of a namespace.
struct Objects<'a> {
    server: &'a ApiServer,
    namespace: &'a str,
}

impl Effects for Objects<'_> {
    fn made(&mut self) -> Result<Vec<Made>, Failed> {
        let objects = self.server.list("configmaps", self.namespace)?;
        Ok(objects.iter().filter_map(origin).collect())
    }
}

/// A namespace for a test, and a folder with triggers for it.
fn prepare(server: &ApiServer, namespace: &str, folder: &Path) -> Result<(), Failed> {
    server.namespace(namespace)?;
    server.kubectl(
        &["apply", "--server-side", "-n", namespace, "-f", "-"],
        &RUNNER.replace(
            "name: runner}]",
            &format!("name: runner, namespace: {namespace}}}]"),
        ),
    )?;
    world::prepare(folder, namespace)
}

/// A gateway that makes objects through a kubeconfig.
fn start<'a>(folder: &'a Path, kubeconfig: &Path) -> Result<Start<'a>, Failed> {
    let kubeconfig = kubeconfig.to_str().ok_or("the folder's name is no text")?;
    let start = Start::at(folder).arguments(&["--sink", "kube"]);
    Ok(start.set("KUBECONFIG", kubeconfig))
}

/// The gateway is killed while the API server works, is held, and is away.
pub(crate) fn kills_and_outages() -> Result<(), Failed> {
    let seed = seed();
    let mut server = server()?;
    let server = server.as_mut().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    prepare(server, "crash", folder.path())?;
    report(seed, || {
        let mut random = Random::new(seed);
        let start = start(folder.path(), &server.kubeconfig("tripline"))?;
        let load = Load::paced("crash", seed, SENDERS, 2_000, PAUSE_MS);
        for round in 0..4 {
            let gateway = start.start()?;
            load.turn_to(gateway.address);
            load.wait_for(load.accepted() + 20)?;
            match round {
                1 => server.hold(Duration::from_secs(2))?,
                2 => server.pause()?,
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(random.between(50, 800)));
            gateway.kill()?;
        }
        let last = start.start()?;
        load.turn_to(last.address);
        load.wait_for(load.accepted() + 20)?;
        server.resume()?;
        load.wait_for(load.accepted() + 20)?;
        let ledger = load.stop()?;
        let mut objects = Objects {
            server,
            namespace: "crash",
        };
        let outcome = oracle::judge(&ledger, &mut objects, last)?;
        println!("{} events, {} objects", outcome.accepted, outcome.objects);
        Ok(())
    })
}

/// Answers are late, wrong, cut off in the middle or never come, also where
/// the object was made.
pub(crate) fn bad_network() -> Result<(), Failed> {
    let seed = seed();
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    prepare(server, "network", folder.path())?;
    report(seed, || {
        let misbehaves = Duration::from_secs(15);
        let proxy = Proxy::start(server.port, &server.authority(), seed, misbehaves)?;
        let kubeconfig = through(&proxy, server, folder.path())?;
        let gateway = start(folder.path(), &kubeconfig)?.start()?;
        let load = Load::start("network", seed, SENDERS, 150);
        load.turn_to(gateway.address);
        let ledger = load.wait_for_end()?;
        let mut objects = Objects {
            server,
            namespace: "network",
        };
        let outcome = oracle::judge(&ledger, &mut objects, gateway)?;
        let done = proxy.done();
        if let Some((fault, _)) = done.iter().find(|(_, times)| *times == 0) {
            return Err(format!("{fault:?} never happened").into());
        }
        let (events, objects) = (outcome.accepted, outcome.objects);
        println!("{events} events, {objects} objects, {done:?}");
        Ok(())
    })
}

/// The server's kubeconfig with another address and certificate.
fn through(proxy: &Proxy, server: &ApiServer, folder: &Path) -> Result<std::path::PathBuf, Failed> {
    let (certificate, kubeconfig) = (folder.join("proxy.crt"), folder.join("kubeconfig"));
    std::fs::write(&certificate, &proxy.certificate)?;
    let text = std::fs::read_to_string(server.kubeconfig("tripline"))?
        .replace(
            &format!("127.0.0.1:{}", server.port),
            &format!("127.0.0.1:{}", proxy.port),
        )
        .replace(
            &server.authority().display().to_string(),
            &certificate.display().to_string(),
        );
    std::fs::write(&kubeconfig, text)?;
    Ok(kubeconfig)
}

/// The gateway dies between the create and its record, and before it is back
/// somebody has deleted the object: there is one again, and only one.
pub(crate) fn deleted_before_recorded() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    prepare(server, "deleted", folder.path())?;
    let mut objects = Objects {
        server,
        namespace: "deleted",
    };
    let start = start(folder.path(), &server.kubeconfig("tripline"))?;
    let load = Load::start("deleted", 1, 1, 1_000);
    let place = Point::AfterCreate.name();
    let dying = start.crash_at(place).start()?;
    load.turn_to(dying.address);
    dying.dies()?;
    let ledger = load.stop()?;
    if objects.made()?.is_empty() {
        return Err("the gateway has died before its first create".into());
    }
    server.kubectl(&["delete", "configmaps", "--all", "-n", "deleted"], "")?;
    let start = self::start(folder.path(), &server.kubeconfig("tripline"))?;
    let last = start.start()?;
    oracle::judge(&ledger, &mut objects, last).map(drop)
}
