//! etcd and a kube-apiserver on free ports, for as long as the suite runs.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longest wait for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// All tests share one: it takes seconds to start.
static SERVER: Mutex<Option<ApiServer>> = Mutex::new(None);

const ADMIN: &str = "admin-token";

const AUDIT: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n";

/// A cluster without nodes.
pub(crate) struct ApiServer {
    folder: TempDir,
    assets: PathBuf,
    etcd: Child,
    etcd_port: u16,
    server: Option<Child>,
    pub(crate) port: u16,
}

/// The server, started where it is not running, with Tripline's definitions,
/// account and rights applied. One test has it at a time.
pub(crate) fn server() -> Result<MutexGuard<'static, Option<ApiServer>>, Failed> {
    let mut server = SERVER
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if server.is_none() {
        let started = ApiServer::start()?;
        started.install()?;
        *server = Some(started);
    }
    Ok(server)
}

pub(crate) fn shut_down() {
    let server = SERVER.lock();
    drop(server.map(|mut server| server.take()));
}

impl ApiServer {
    fn start() -> Result<Self, Failed> {
        let assets = super::assets().ok_or("the programs are gone")?;
        let folder = tempfile::tempdir()?;
        prepare(folder.path())?;
        let (etcd_port, port) = (free_port()?, free_port()?);
        let url = format!("http://127.0.0.1:{etcd_port}");
        let etcd = Command::new(assets.join("etcd"))
            .arg(format!(
                "--data-dir={}",
                folder.path().join("etcd").display()
            ))
            .args(["--unsafe-no-fsync", "--log-level=error"])
            .arg(format!("--listen-client-urls={url}"))
            .arg(format!("--advertise-client-urls={url}"))
            .arg("--listen-peer-urls=http://127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(log(folder.path(), "etcd.log")?)
            .spawn()?;
        let mut server = Self {
            folder,
            assets,
            etcd,
            etcd_port,
            server: None,
            port,
        };
        server.resume()?;
        Ok(server)
    }

    /// Starts the API server, again where it was stopped.
    pub(crate) fn resume(&mut self) -> Result<(), Failed> {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let server = Command::new(self.assets.join("kube-apiserver"))
            .arg(format!(
                "--etcd-servers=http://127.0.0.1:{}",
                self.etcd_port
            ))
            .arg(format!("--secure-port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg("--endpoint-reconciler-type=none")
            .arg(format!("--cert-dir={}", at("certs")))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", at("sa.pub")))
            .arg(format!(
                "--service-account-signing-key-file={}",
                at("sa.key")
            ))
            .arg(format!("--token-auth-file={}", at("tokens.csv")))
            .args([
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
            ])
            .arg(format!("--audit-policy-file={}", at("audit.yaml")))
            .arg(format!("--audit-log-path={}", at("audit.log")))
            .args([
                "--service-cluster-ip-range=10.0.0.0/24",
                "--allow-privileged=true",
            ])
            .stdout(Stdio::null())
            .stderr(log(self.folder.path(), "apiserver.log")?)
            .spawn()?;
        self.server = Some(server);
        let began = Instant::now();
        while !self.is_ready() {
            if began.elapsed() > PATIENCE {
                return Err("the API server does not get ready".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops the API server; what it has stored stays.
    pub(crate) fn pause(&mut self) -> Result<(), Failed> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
            server.wait()?;
        }
        Ok(())
    }

    /// Holds the API server for a while: connections stay, and nobody answers.
    pub(crate) fn hold(&self, time: Duration) -> Result<(), Failed> {
        let server = self.server.as_ref().ok_or("the API server is away")?;
        let id = Pid::from_child(server);
        kill_process(id, Signal::STOP)?;
        std::thread::sleep(time);
        Ok(kill_process(id, Signal::CONT)?)
    }

    /// The file with the certificate that its clients have to trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("certs/apiserver.crt")
    }

    fn is_ready(&self) -> bool {
        if TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            return false;
        }
        if write_kubeconfig(self, "admin", ADMIN).is_err() {
            return false;
        }
        let asked = self.kubectl(&["get", "--raw", "/readyz"], "");
        asked.is_ok_and(|answer| answer == "ok")
    }

    fn install(&self) -> Result<(), Failed> {
        for manifest in ["deploy/crds", "deploy/base"] {
            let manifest = at_root(manifest);
            self.kubectl(&["apply", "--server-side", "-k", &manifest], "")?;
        }
        let runs = at_root("tests/cluster/manifests/pipelineruns.yaml");
        self.kubectl(&["apply", "--server-side", "-f", &runs], "")?;
        self.kubectl(
            &[
                "wait",
                "--for=condition=Established",
                "crd",
                "--all",
                "--timeout=30s",
            ],
            "",
        )?;
        let token = self.kubectl(&["create", "token", "tripline", "-n", "tripline"], "")?;
        write_kubeconfig(self, "tripline", token.trim())?;
        Ok(())
    }

    /// Runs kubectl as an administrator. Gives what it prints, or what it
    /// complains about.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, Failed> {
        let output = self.try_kubectl(arguments, input)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("kubectl {}: {said}", arguments.join(" ")).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same, whatever comes of it.
    pub(crate) fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<Output, Failed> {
        let mut child = Command::new(self.assets.join("kubectl"))
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig("admin"))
            .env("HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // On a thread of its own: it prints while it still reads.
        let (stdin, input) = (child.stdin.take(), input.to_owned());
        let writing =
            std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output()?;
        let _ = writing.join();
        Ok(output)
    }

    /// Applies manifests by server-side apply.
    pub(crate) fn apply(&self, manifests: &str) -> Result<(), Failed> {
        self.kubectl(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            manifests,
        )
        .map(drop)
    }

    /// Creates objects of Tekton's kinds, many at once: kubectl sends fifty a
    /// second.
    pub(crate) fn create_all(&self, objects: Vec<serde_json::Value>) -> Result<(), Failed> {
        let config = Kubeconfig::read_from(self.kubeconfig("admin"))?;
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(config, &options).await?;
            let client = Client::try_from(config)?;
            let create = |object: serde_json::Value| {
                let client = client.clone();
                async move {
                    let kind = object["kind"].as_str().unwrap_or_default();
                    let kind = GroupVersionKind::gvk("triggers.tekton.dev", "v1beta1", kind);
                    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
                    let resource = ApiResource::from_gvk(&kind);
                    let api: Api<DynamicObject> =
                        Api::namespaced_with(client, namespace, &resource);
                    let object = serde_json::from_value(object)?;
                    api.create(&PostParams::default(), &object).await?;
                    Ok::<_, Failed>(())
                }
            };
            let mut creating =
                futures_util::stream::iter(objects.into_iter().map(create)).buffer_unordered(16);
            while let Some(created) = creating.next().await {
                created?;
            }
            Ok(())
        })
    }

    /// Makes a namespace with the rights that `deploy/namespace` gives.
    pub(crate) fn namespace(&self, name: &str) -> Result<(), Failed> {
        self.kubectl(&["create", "namespace", name], "")?;
        let rights = at_root("deploy/namespace");
        self.kubectl(&["apply", "--server-side", "-n", name, "-k", &rights], "")?;
        Ok(())
    }

    /// Objects of a kind in a namespace.
    pub(crate) fn list(
        &self,
        kind: &str,
        namespace: &str,
    ) -> Result<Vec<serde_json::Value>, Failed> {
        let printed = self.kubectl(&["get", kind, "-n", namespace, "-o", "json"], "")?;
        let mut list: serde_json::Value = serde_json::from_str(&printed)?;
        Ok(list["items"]
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default())
    }

    /// What the audit log has of requests for a resource.
    pub(crate) fn audit(&self, resource: &str) -> Result<Vec<serde_json::Value>, Failed> {
        let log = std::fs::read_to_string(self.folder.path().join("audit.log"))?;
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(lines
            .filter(|entry: &serde_json::Value| entry["objectRef"]["resource"] == resource)
            .collect())
    }

    /// The kubeconfig of `admin` or of the gateway's own account, `tripline`.
    pub(crate) fn kubeconfig(&self, who: &str) -> PathBuf {
        self.folder.path().join(format!("{who}.kubeconfig"))
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ = self.pause();
        let _ = self.etcd.kill();
        let _ = self.etcd.wait();
    }
}

fn at_root(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn prepare(folder: &Path) -> Result<(), Failed> {
    let tokens = format!("{ADMIN},admin,admin-uid,\"system:masters\"\n");
    std::fs::write(folder.join("tokens.csv"), tokens)?;
    std::fs::write(folder.join("audit.yaml"), AUDIT)?;
    let (key, public) = (folder.join("sa.key"), folder.join("sa.pub"));
    let run = |command: &mut Command| -> Result<(), Failed> {
        match command.stderr(Stdio::null()).status()?.success() {
            true => Ok(()),
            false => Err("openssl makes no key".into()),
        }
    };
    run(Command::new("openssl")
        .args([
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
        ])
        .arg(&key))?;
    run(Command::new("openssl")
        .args(["ec", "-pubout", "-in"])
        .arg(&key)
        .arg("-out")
        .arg(&public))
}

fn write_kubeconfig(server: &ApiServer, who: &str, token: &str) -> Result<(), Failed> {
    let authority = server.authority();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: '{}'}}}}]\n\
         users: [{{name: test, user: {{token: '{token}'}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: test, namespace: tripline}}}}]\n",
        server.port,
        authority.display()
    );
    Ok(std::fs::write(server.kubeconfig(who), config)?)
}

fn log(folder: &Path, name: &str) -> Result<std::fs::File, Failed> {
    let options = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join(name));
    Ok(options?)
}

fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
