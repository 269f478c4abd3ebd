//! A gateway for a test: its own folder, its own ports.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tripline::app::{App, Triggers};
use tripline::config::Config;
use tripline::verify::registry;

/// Longest that a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The secret of every trigger in these tests.
pub(crate) const SECRET: &str = "a secret of tests";

/// A running gateway. Its triggers are the files in `triggers/`, its objects
/// become files in `out/`.
pub(crate) struct Gateway {
    pub(crate) folder: TempDir,
    pub(crate) app: App,
}

impl Gateway {
    /// Starts one with these trigger files.
    pub(crate) async fn start(files: &[(&str, &str)]) -> Self {
        Self::start_with(files, |_| {}).await
    }

    /// As [`Gateway::start`], with other settings.
    pub(crate) async fn start_with(files: &[(&str, &str)], set: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("triggers")).expect("the trigger folder");
        for (name, text) in files {
            std::fs::write(folder.path().join("triggers").join(name), text)
                .expect("a trigger file");
        }
        let app = start_in(folder.path(), set).await;
        Self { folder, app }
    }

    /// Stops it and starts another one in the same folder.
    pub(crate) async fn restart(self) -> Self {
        assert!(self.app.drain(true).await, "the gateway stops cleanly");
        let app = start_in(self.folder.path(), |_| {}).await;
        Self {
            folder: self.folder,
            app,
        }
    }

    /// Writes a trigger file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("triggers").join(name);
        std::fs::write(path, text).expect("a trigger file");
    }

    /// The files that objects have become, sorted.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        files_in(&self.folder.path().join("out"))
    }

    /// Waits until there are as many objects.
    pub(crate) async fn wait_for_objects(&self, count: usize) -> Vec<PathBuf> {
        wait_until(|| self.objects().len() >= count, "the objects").await;
        let objects = self.objects();
        assert_eq!(objects.len(), count, "{objects:?}");
        objects
    }

    /// Posts a body with headers to a path.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut request = format!("POST {path} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let bytes = [request.as_bytes(), body].concat();
        exchange(self.app.ingress, bytes).await
    }

    /// Asks the admin port.
    pub(crate) async fn ask(&self, path: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        exchange(self.app.admin, request.into_bytes()).await
    }

    /// Posts JSON to the admin port.
    pub(crate) async fn order(&self, path: &str, body: &Value) -> Response {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(self.app.admin, request.into_bytes()).await
    }

    /// Waits until something that the admin port is asked for is so.
    pub(crate) async fn ask_until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.ask(path).await.json();
            if is_so(&answer) {
                return answer;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{path} does not come to it: {answer}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Posts pushes until one is matched: the configuration has just changed.
    pub(crate) async fn push_until_matched(&self, path: &str, body: &str) {
        let began = Instant::now();
        for number in 0.. {
            let answer = self.push(path, &format!("until-{number}"), body).await;
            if answer.status == 202 && answer.verdict() == "matched" {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "nothing matches: {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Posts a push that GitHub has signed.
    pub(crate) async fn push(&self, path: &str, delivery: &str, body: &str) -> Response {
        let signature = github_signature(SECRET, body.as_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", "push"),
            ("X-GitHub-Delivery", delivery),
            ("X-Hub-Signature-256", &signature),
        ];
        self.post(path, &headers, body.as_bytes()).await
    }
}

async fn start_in(folder: &Path, set: impl FnOnce(&mut Config)) -> App {
    try_start(folder, set).await.expect("the gateway starts")
}

/// Starts a gateway in a folder, or says why not.
pub(crate) async fn try_start(folder: &Path, set: impl FnOnce(&mut Config)) -> anyhow::Result<App> {
    let mut config = Config::default();
    config.ingress.listen = "127.0.0.1:0".into();
    config.admin.listen = "127.0.0.1:0".into();
    config.probe.listen = "127.0.0.1:0".into();
    config.data = folder.join("data");
    config.sink = format!("dir:{}", folder.join("out").display());
    config.drain.delay = Duration::ZERO;
    set(&mut config);
    let triggers = Triggers::Paths(vec![folder.join("triggers")]);
    App::start(config, triggers).await
}

/// A response as it came over the wire.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The verdict of the first trigger.
    pub(crate) fn verdict(&self) -> String {
        self.json()["triggers"][0]["verdict"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no response: {text:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

/// Sends bytes on a connection of their own and reads one response.
pub(crate) async fn exchange(address: SocketAddr, bytes: Vec<u8>) -> Response {
    tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        // A server that has answered early may have closed already.
        let _ = stream.write_all(&bytes);
        Response::parse(&read_response(&mut stream))
    })
    .await
    .expect("the exchange ends")
}

/// A connection with timeouts.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Reads until the response is whole or the connection is closed.
pub(crate) fn read_response(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&bytes) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
    bytes
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// GitHub's signature of a body.
pub(crate) fn github_signature(secret: &str, body: &[u8]) -> String {
    let scheme = registry::scheme("github").expect("GitHub has a scheme");
    let signed = scheme.sign(secret.as_bytes(), body, 0);
    signed.expect("a signature").remove(0).1
}

/// Waits for something that must happen.
pub(crate) async fn wait_until(mut happened: impl FnMut() -> bool, what: &str) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Every file below a folder that is no leftover, sorted.
pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return files;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else if !entry.file_name().to_string_lossy().starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A listener `default/hook` whose trigger takes GitHub pushes signed with
/// [`SECRET`] and makes a ConfigMap of them.
pub(crate) const PUSH: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hook}
spec:
  triggers:
  - name: push
    interceptors:
    - ref: {name: github}
      params:
      - {name: secretRef, value: {secretName: hook, secretKey: token}}
      - {name: eventTypes, value: [push]}
    bindings:
    - {name: rev, value: $(body.after)}
    template:
      spec:
        params: [{name: rev}]
        resourcetemplates:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {generateName: push-}
          data: {rev: $(tt.params.rev)}
"#;

/// The Secret of [`PUSH`].
pub(crate) const PUSH_SECRET: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: hook}
stringData: {token: a secret of tests}
"#;

/// A gateway with [`PUSH`] and its Secret.
pub(crate) async fn push_gateway() -> Gateway {
    Gateway::start(&[("push.yaml", PUSH), ("secret.yaml", PUSH_SECRET)]).await
}
