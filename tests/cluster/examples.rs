//! Upstream's own examples, with the requests that were recorded for them: the
//! objects that Tekton made of each appear on the real API server, and no
//! others.
//!
//! In: the recorded cases, which are no part of this repository.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::api_server::{ApiServer, PATIENCE, server};
use super::gateway::{Gateway, wait_until};
use super::scenarios::Scenario;
use super::services::{empty, get, port_of, range, start};

mod recorded;

pub(super) use recorded::folder;
use recorded::{EVENT_LABEL, Example};

/// Name and function of each test.
pub(crate) const ALL: [(&str, Scenario); 1] = [(
    "cluster::upstream_s_examples_make_the_objects_that_tekton_makes",
    every_example,
)];

/// Where upstream's manifests go that name no namespace: the accounts that they
/// bind are those of this one.
const NAMESPACE: &str = "default";

/// What lets a listener be served in Tekton's ways.
const AS_TEKTON: [&str; 3] = [
    "tripline.dev/managed=true",
    "tripline.dev/compat=tekton",
    "tripline.dev/responses=tekton",
];

fn every_example() -> Result<(), Failed> {
    let examples = Example::read_all()?;
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    empty(server)?;
    let upstream = at_root("tests/cluster/manifests/upstream.yaml");
    server.kubectl(&["apply", "--server-side", "-f", &upstream], "")?;
    let wait = ["wait", "--for=condition=Established", "crd", "--all"];
    server.kubectl(&wait, "")?;
    let cluster = Cluster {
        server,
        gateway: start(server, folder.path(), &range(10).1)?,
        kubeconfig: kubeconfig(server, folder.path())?,
        kinds: kinds(server)?,
    };
    let mut failures = Vec::new();
    for example in &examples {
        let began = Instant::now();
        match cluster.run(example) {
            Ok(made) => println!("{}: {made} made in {:?}", example.name, began.elapsed()),
            Err(failed) => {
                let why = failed.message().unwrap_or_default();
                failures.push(format!("{}: {why}", example.name));
            }
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

struct Cluster<'s> {
    server: &'s ApiServer,
    gateway: Gateway,
    kubeconfig: String,
    /// All kinds that have a namespace, as kubectl takes them.
    kinds: String,
}

impl Cluster<'_> {
    /// Runs an example. Gives how many objects came of it.
    fn run(&self, example: &Example) -> Result<usize, Failed> {
        let applied = Applied::new(self, &example.manifests())?;
        let listener = applied.listener()?;
        let name = text(&listener["metadata"]["name"]);
        self.claim(name)?;
        let service = get(self.server, "service", NAMESPACE, &format!("el-{name}"))?;
        let port = port_of(&service).ok_or("the Service names no port")?;

        let (status, body) = send(port, &example.request()?)?;
        example.compare_answer(status, &body, text(&listener["metadata"]["uid"]))?;
        let event = text(&body["eventID"]);
        let made = self.made(event, example.created().len())?;
        let removed = applied.and_made(&made);
        example.compare_created(&made, event)?;
        self.compare_accounts(example, &made)?;
        drop(removed);
        Ok(made.len())
    }

    /// Claims a listener and waits until it is served.
    fn claim(&self, name: &str) -> Result<(), Failed> {
        let annotate = ["annotate", "el", name, "-n", NAMESPACE];
        self.server
            .kubectl(&[&annotate[..], &AS_TEKTON].concat(), "")?;
        wait_until(&format!("{name} is served"), || {
            let listener = get(self.server, "el", NAMESPACE, name)?;
            let conditions = listener["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            let is_so = |condition: &Value| condition["status"] == "True";
            Ok(conditions.clone().count() == 2 && conditions.all(is_so))
        })
    }

    /// What was made of an event, of all kinds and everywhere, once every
    /// trigger that matched it has come to its end.
    fn made(&self, event: &str, at_least: usize) -> Result<Vec<Value>, Failed> {
        let lines = |text: &str| {
            let lines = self.gateway.lines_with(text);
            lines.iter().filter(|line| line.contains(event)).count()
        };
        let selector = format!("{EVENT_LABEL}={event}");
        let list = ["get", &self.kinds, "-A", "-l", &selector];
        let list = [&list[..], &["-o", "json", "--show-managed-fields"]].concat();
        let mut made = Vec::new();
        let waited = wait_until("all objects are made", || {
            let printed = self.server.kubectl(&list, "")?;
            made = items(&printed)?;
            let done = lines("delivery done");
            Ok(made.len() >= at_least && done > 0 && done == lines("trigger matched"))
        });
        waited.map_err(|failed| {
            let why = failed.message().unwrap_or_default();
            let said = self.gateway.lines_with(event).join("\n");
            format!("{why}: {} of {at_least}\n{said}", made.len())
        })?;
        Ok(made)
    }

    /// Who made each object: the trigger's account where upstream takes that,
    /// else one of the listener's namespace.
    fn compare_accounts(&self, example: &Example, made: &[Value]) -> Result<(), Failed> {
        for object in made {
            let recorded = example.recorded_of(object).ok_or("it was not recorded")?;
            let audit = self.server.audit(text(&recorded["resource"]))?;
            let makes = |entry: &&Value| {
                let what = &entry["objectRef"];
                entry["verb"] == "create"
                    && what["name"] == object["metadata"]["name"]
                    && what["namespace"] == object["metadata"]["namespace"]
            };
            let entry = audit.iter().find(makes);
            let entry = entry.ok_or_else(|| format!("nobody has made {object}"))?;
            let maker = text(&entry["impersonatedUser"]["username"]);
            let is_right = match recorded["impersonate"].as_str() {
                Some(account) => maker == account,
                None => maker.starts_with(&format!("system:serviceaccount:{NAMESPACE}:")),
            };
            ensure!(is_right, "{maker} has made {object}");
        }
        Ok(())
    }
}

/// Objects of an example. They are deleted when this is dropped: the next
/// example has others of the same names.
struct Applied<'s> {
    server: &'s ApiServer,
    objects: Vec<Value>,
}

impl<'s> Applied<'s> {
    fn new(cluster: &Cluster<'s>, manifests: &str) -> Result<Self, Failed> {
        let server = cluster.server;
        let from = ["--kubeconfig", &cluster.kubeconfig, "-f", manifests];
        let apply = ["apply", "--server-side", "--force-conflicts"];
        server.kubectl(&[&apply[..], &from].concat(), "")?;
        let get = [&["get", "-o", "json"][..], &from].concat();
        let objects = items(&server.kubectl(&get, "")?)?;
        let applied = Self { server, objects };
        let rights = at_root("deploy/namespace");
        let namespaces = applied.objects.iter();
        let namespaces = namespaces.filter_map(|object| object["metadata"]["namespace"].as_str());
        for namespace in namespaces.collect::<BTreeSet<_>>() {
            let apply = ["apply", "--server-side", "-n", namespace, "-k", &rights];
            server.kubectl(&apply, "")?;
        }
        Ok(applied)
    }

    /// The only listener.
    fn listener(&self) -> Result<Value, Failed> {
        let is_listener = |object: &&Value| object["kind"] == "EventListener";
        let mut listeners = self.objects.iter().filter(is_listener);
        match (listeners.next(), listeners.next()) {
            (Some(only), None) => Ok(only.clone()),
            _ => Err("it has not exactly one listener".into()),
        }
    }

    /// The same, and what was made.
    fn and_made(mut self, made: &[Value]) -> Self {
        self.objects.extend_from_slice(made);
        self
    }
}

impl Drop for Applied<'_> {
    fn drop(&mut self) {
        // Nobody here would take a Namespace to its end.
        self.objects.retain(|object| object["kind"] != "Namespace");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": self.objects});
        let delete = ["delete", "--ignore-not-found", "-f", "-"];
        let _ = self.server.kubectl(&delete, &list.to_string());
    }
}

/// Sends a request as it is, and reads the answer.
fn send(port: u16, request: &[u8]) -> Result<(u16, Value), Failed> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let from = head.len();
        ensure!(answer.read_line(&mut head)? > 0, "it ends in its head");
        let field = head[from..].to_ascii_lowercase();
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body)?;
    let status = head.split(' ').nth(1).ok_or("no status")?;
    Ok((status.parse()?, serde_json::from_slice(&body)?))
}

/// An administrator's, in which what names no namespace goes to ours. With a
/// flag for that kubectl would refuse what names another one.
fn kubeconfig(server: &ApiServer, folder: &Path) -> Result<String, Failed> {
    let admin = std::fs::read_to_string(server.kubeconfig("admin"))?;
    let here = format!("namespace: {NAMESPACE}");
    let path = folder.join("kubeconfig");
    std::fs::write(&path, admin.replace("namespace: tripline", &here))?;
    Ok(path.display().to_string())
}

fn kinds(server: &ApiServer) -> Result<String, Failed> {
    let list = ["api-resources", "--namespaced", "--verbs=list", "-o=name"];
    let printed = server.kubectl(&list, "")?;
    Ok(printed.split_whitespace().collect::<Vec<_>>().join(","))
}

/// The items of a list that kubectl has printed.
fn items(printed: &str) -> Result<Vec<Value>, Failed> {
    let mut list: Value = serde_json::from_str(printed)?;
    let items = list["items"].as_array_mut().map(std::mem::take);
    Ok(items.unwrap_or_default())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn at_root(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}
