//! The real binary beside the API server, with the account of `deploy/base`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::Value;
use tripline::verify::registry;

use super::api_server::{ApiServer, PATIENCE};

/// The secret of every listener in this suite.
pub(crate) const SECRET: &str = "a secret of the cluster suite";

/// A running gateway. It is killed when it is dropped.
pub(crate) struct Gateway {
    child: Child,
    ingress: SocketAddr,
    probe: SocketAddr,
    webhook: Option<SocketAddr>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    /// Starts one that keeps its journal in `folder`, and waits until it is
    /// ready.
    pub(crate) fn start(server: &ApiServer, folder: &Path) -> Result<Self, Failed> {
        Self::start_with(server, folder, &[])
    }

    /// The same with more flags.
    pub(crate) fn start_with(
        server: &ApiServer,
        folder: &Path,
        flags: &[&str],
    ) -> Result<Self, Failed> {
        Self::spawn(Self::command(server, folder).args(flags))
    }

    /// What starts one.
    pub(crate) fn command(server: &ApiServer, folder: &Path) -> Command {
        Self::command_at("127.0.0.1", server, folder)
    }

    /// What starts one at an address of this machine.
    pub(crate) fn command_at(host: &str, server: &ApiServer, folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command
            .args(["serve", "--kube", "--listen", &format!("{host}:0")])
            .args(["--admin", "127.0.0.1:0", "--probe", "127.0.0.1:0"])
            .env("KUBECONFIG", server.kubeconfig("tripline"))
            .env("TRIPLINE_DRAIN__DELAY", "0s")
            .env("TRIPLINE_DATA", folder.join("data"))
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, Failed> {
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (mut ingress, mut probe, mut webhook) = (None, None, None);
        let mut printed = BufReader::new(stderr).lines();
        while ingress.is_none() {
            let line = printed
                .next()
                .ok_or("the gateway ended before it listened")??;
            let addresses: Vec<SocketAddr> = line
                .split("http://")
                .skip(1)
                .filter_map(|rest| rest.split(' ').next()?.parse().ok())
                .collect();
            if let [first, _, third] = addresses[..] {
                (ingress, probe) = (Some(first), Some(third));
                let after = line.split("https://").nth(1);
                webhook = after.and_then(|rest| rest.split(' ').next()?.parse().ok());
            }
        }
        let into = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in printed.map_while(Result::ok) {
                into.lock().unwrap().push(line);
            }
        });
        let probe = probe.ok_or("no probe port")?;
        let gateway = Self {
            child,
            ingress: ingress.ok_or("no ingress")?,
            probe,
            webhook,
            lines,
        };
        wait_until("the gateway is ready", || {
            Ok(exchange(probe, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")?.0 == 200)
        })?;
        Ok(gateway)
    }

    /// Where senders and probes reach it.
    pub(crate) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.ingress, self.probe)
    }

    /// Where it answers API servers.
    pub(crate) fn webhook(&self) -> Option<SocketAddr> {
        self.webhook
    }

    /// Posts a signed push with a mark in its body.
    pub(crate) fn push(&self, path: &str, mark: &str) -> Result<(u16, Value), Failed> {
        self.push_signed(path, mark, SECRET)
    }

    /// The same, signed with another secret.
    pub(crate) fn push_signed(
        &self,
        path: &str,
        mark: &str,
        secret: &str,
    ) -> Result<(u16, Value), Failed> {
        post(self.ingress, "x", path, mark, secret)
    }

    /// The same to a Service, as far as its name goes.
    pub(crate) fn push_as(
        &self,
        host: &str,
        path: &str,
        mark: &str,
    ) -> Result<(u16, Value), Failed> {
        post(self.ingress, host, path, mark, SECRET)
    }

    /// Stops it as a pod is stopped, and waits.
    pub(crate) fn stop(self) -> Result<(), Failed> {
        self.terminate().map(drop)
    }

    /// The same; gives the status that it ends with.
    pub(crate) fn terminate(mut self) -> Result<ExitStatus, Failed> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        Ok(self.child.wait()?)
    }

    /// Ends it as a power failure does.
    pub(crate) fn kill(mut self) -> Result<(), Failed> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// Posts a signed push to a port of this machine.
pub(crate) fn post_to(port: u16, path: &str, mark: &str) -> Result<(u16, Value), Failed> {
    post_at(([127, 0, 0, 1], port).into(), path, mark)
}

/// The same at any address.
pub(crate) fn post_at(address: SocketAddr, path: &str, mark: &str) -> Result<(u16, Value), Failed> {
    post(address, "x", path, mark, SECRET)
}

/// A push that GitHub has signed.
pub(crate) fn signed(host: &str, path: &str, mark: &str, secret: &str) -> Result<String, Failed> {
    let body = format!(r#"{{"after":"{mark}"}}"#);
    let scheme = registry::scheme("github").ok_or("no scheme")?;
    let signed = scheme.sign(secret.as_bytes(), body.as_bytes(), 0);
    let (_, signature) = signed.ok_or("no signature")?.remove(0);
    Ok(format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: {mark}\r\n\
             X-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn post(
    address: SocketAddr,
    host: &str,
    path: &str,
    mark: &str,
    secret: &str,
) -> Result<(u16, Value), Failed> {
    let request = signed(host, path, mark, secret)?;
    let (status, body) = exchange(address, &request)?;
    Ok((status, serde_json::from_str(&body).unwrap_or_default()))
}

impl Gateway {
    /// Sends the same push until the first trigger gives a verdict: the
    /// configuration has just changed.
    pub(crate) fn push_until(&self, path: &str, mark: &str, verdict: &str) -> Result<(), Failed> {
        wait_until(&format!("{path} gives {verdict}"), || {
            let (_, answer) = self.push(path, mark)?;
            Ok(answer["triggers"][0]["verdict"] == verdict)
        })
    }

    /// Log lines that contain a text.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .filter(|line| line.contains(text))
            .cloned()
            .collect()
    }

    /// Memory that it takes up, in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64, Failed> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .unwrap_or("0 kB")
            .trim()
            .trim_end_matches(" kB")
            .parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request and reads one answer.
pub(crate) fn exchange(address: SocketAddr, request: &str) -> Result<(u16, String), Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let closing = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    stream.write_all(closing.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok((status.ok_or("no answer")?, body.to_owned()))
}

/// Waits for something that must happen.
pub(crate) fn wait_until(
    what: &str,
    mut happened: impl FnMut() -> Result<bool, Failed>,
) -> Result<(), Failed> {
    let began = Instant::now();
    while !happened()? {
        if began.elapsed() > PATIENCE {
            return Err(format!("in vain: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
