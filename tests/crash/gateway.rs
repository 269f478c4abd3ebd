//! The real binary in a folder of its own, and a sender.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tripline::verify::registry;

/// Longest wait for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const SECRET: &str = "a secret of the crash suite";

const TRIGGERS: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hook}
spec:
  triggers:
  - name: push
    interceptors:
    - ref: {name: github}
      params: [{name: secretRef, value: {secretName: hook, secretKey: token}}]
    bindings: [{name: mark, value: $(body.mark)}]
    template:
      spec:
        params: [{name: mark}]
        resourcetemplates:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {generateName: push-}
          data: {mark: $(tt.params.mark)}
---
apiVersion: v1
kind: Secret
metadata: {name: hook}
stringData: {token: a secret of the crash suite}
"#;

/// A running gateway. It is killed when it is dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Makes the folder with its triggers.
pub(crate) fn prepare(folder: &Path) -> Result<(), Failed> {
    std::fs::create_dir(folder.join("triggers"))?;
    std::fs::write(folder.join("triggers/push.yaml"), TRIGGERS)?;
    Ok(())
}

impl Gateway {
    /// Starts the binary; `before` is put in front of its command line.
    pub(crate) fn start(folder: &Path, before: &[&str]) -> Result<Self, Failed> {
        let binary = env!("CARGO_BIN_EXE_tripline");
        let (program, arguments) = match before {
            [] => (binary, Vec::new()),
            [program, rest @ ..] => (*program, [rest, &[binary]].concat()),
        };
        let mut child = Command::new(program)
            .args(arguments)
            .args(["serve", "-t", "triggers", "--log-level", "error"])
            .args([
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--probe",
                "127.0.0.1:0",
            ])
            .env("TRIPLINE_DRAIN__DELAY", "0s")
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child
            .stderr
            .take()
            .ok_or("the gateway has no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let address = loop {
            let line = lines
                .next()
                .ok_or("the gateway ended before it listened")??;
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split(' ').next().unwrap_or_default().parse()?;
            }
        };
        // Whatever it says afterwards must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }

    /// Ends it at once, as power failures and out-of-memory killers do.
    pub(crate) fn kill(mut self) -> Result<(), Failed> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), Failed> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                return Err("the gateway does not stop".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Posts a signed push that carries a mark. Gives status and event id of the
/// answer, where there is one.
pub(crate) fn push(stream: &mut TcpStream, mark: &str) -> Option<(u16, String)> {
    let body = format!(r#"{{"mark":"{mark}"}}"#);
    let scheme = registry::scheme("github")?;
    let (_, signature) = scheme
        .sign(SECRET.as_bytes(), body.as_bytes(), 0)?
        .remove(0);
    let request = format!(
        "POST /default/hook HTTP/1.1\r\nHost: crash\r\nX-GitHub-Event: push\r\n\
         X-GitHub-Delivery: {mark}\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    read_answer(stream)
}

fn read_answer(stream: &mut TcpStream) -> Option<(u16, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.ends_with('\n')
        {
            let status = head.split(' ').nth(1)?.parse().ok()?;
            let answer: serde_json::Value = serde_json::from_str(body).ok()?;
            return Some((status, answer["eventID"].as_str()?.to_owned()));
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// A connection with timeouts.
pub(crate) fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// The marks of all objects, one entry a file.
pub(crate) fn marks(folder: &Path) -> Result<Vec<String>, Failed> {
    let mut marks = Vec::new();
    for file in files(folder)? {
        if is_part(&file) {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        let mark = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("mark: "));
        let mark = mark.ok_or_else(|| format!("{} is not whole", file.display()))?;
        marks.push(mark.trim_matches('"').to_owned());
    }
    Ok(marks)
}

/// Files that an attempt has begun and not finished.
pub(crate) fn parts(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    Ok(files(folder)?
        .into_iter()
        .filter(|file| is_part(file))
        .collect())
}

fn is_part(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension == "part")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let Ok(entries) = std::fs::read_dir(folder.join("out/default/ConfigMap")) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry?.path());
    }
    Ok(files)
}
