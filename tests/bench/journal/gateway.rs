//! The real binary under load over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tripline::verify::registry;

use super::{Shown, body};

const SECRET: &str = "a secret of the benchmark";

/// Clock ticks of /proc/PID/stat in a second, on every Linux.
const TICKS: f64 = 100.0;

const TRIGGERS: &str = r#"
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
    - {name: revision, value: $(body.after)}
    - {name: repository, value: $(body.repository.clone_url)}
    template:
      spec:
        params: [{name: revision}, {name: repository}]
        resourcetemplates:
        - apiVersion: tekton.dev/v1
          kind: PipelineRun
          metadata: {generateName: build-}
          spec:
            pipelineRef: {name: build}
            params:
            - {name: revision, value: $(tt.params.revision)}
            - {name: repository, value: $(tt.params.repository)}
---
apiVersion: v1
kind: Secret
metadata: {name: hook}
stringData: {token: a secret of the benchmark}
"#;

/// CPU that a process has used, in seconds.
pub(super) fn cpu(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("its /proc");
    // The second field may hold anything, in parentheses.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / TICKS
}

/// Loads a gateway of its own. Also gives how long it took, after the last
/// answer, until all that was accepted was performed.
pub(super) fn accept(folder: &Path, callers: usize, time: Duration) -> (Shown, f64) {
    let folder = folder.join(format!("gateway-{callers}"));
    std::fs::create_dir_all(folder.join("triggers")).expect("the trigger folder");
    std::fs::write(folder.join("triggers/t.yaml"), TRIGGERS).expect("the triggers");
    let gateway = Gateway::start(&folder);
    let process = gateway.child.id().to_string();
    let before = cpu(&process);
    let (stop, next) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let began = Instant::now();
    let senders: Vec<_> = (0..callers)
        .map(|_| {
            let (stop, next) = (Arc::clone(&stop), Arc::clone(&next));
            let address = gateway.ingress;
            std::thread::spawn(move || send(address, &stop, &next))
        })
        .collect();
    std::thread::sleep(time);
    stop.store(true, Ordering::Relaxed);
    let times = senders
        .into_iter()
        .flat_map(|sender| sender.join().expect("a sender"));
    let times: Vec<f64> = times.collect();
    let elapsed = began.elapsed();
    let events = times.len() as f64;
    let settling = Instant::now();
    gateway.settle();
    let mut shown = Shown::of(times, elapsed);
    shown.cpu_us = Some((cpu(&process) - before) / events * 1e6);
    (shown, settling.elapsed().as_secs_f64())
}

/// Sends pushes, each under an id of its own, and times their answers.
fn send(address: SocketAddr, stop: &AtomicBool, next: &AtomicU64) -> Vec<f64> {
    let body = body();
    let scheme = registry::scheme("github").expect("GitHub has a scheme");
    let signed = scheme.sign(SECRET.as_bytes(), &body, 0);
    let (_, signature) = signed.expect("a signature").remove(0);
    let mut stream = connect(address);
    let (mut times, mut request) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        request.clear();
        let head = write!(
            request,
            "POST /default/hook HTTP/1.1\r\nHost: bench\r\nUser-Agent: GitHub-Hookshot/bench\r\n\
             Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: {number}\r\n\
             X-GitHub-Hook-ID: 1\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        head.expect("the head");
        request.extend_from_slice(&body);
        let sent = Instant::now();
        assert_eq!(exchange(&mut stream, &request), 202);
        times.push(sent.elapsed().as_secs_f64() * 1000.0);
    }
    times
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Sends a request and reads the answer; its status.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> u16 {
    stream.write_all(request).expect("the request is sent");
    let (mut answer, mut used) = ([0; 4096], 0);
    loop {
        let read = stream.read(&mut answer[used..]).expect("an answer");
        assert!(read > 0, "the connection is open");
        used += read;
        let so_far = &answer[..used];
        // The body is one line.
        if so_far.ends_with(b"}\n") {
            let status = std::str::from_utf8(&so_far[9..12]).ok();
            return status
                .and_then(|status| status.parse().ok())
                .unwrap_or_default();
        }
    }
}

/// The binary in a folder of its own.
struct Gateway {
    child: Child,
    ingress: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(["serve", "-t", "triggers", "--log-level", "error"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--probe", "127.0.0.1:0"])
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway starts");
        let stderr = child.stderr.take().expect("its output");
        let mut lines = BufReader::new(stderr).lines();
        let line = loop {
            let line = lines.next().expect("the gateway listens").expect("a line");
            if line.starts_with("listening on ") {
                break line;
            }
        };
        std::thread::spawn(move || lines.for_each(|line| eprintln!("{}", line.unwrap())));
        let mut addresses = line.split("http://").skip(1).map(|rest| {
            let address = rest.split([' ', ',']).next().unwrap_or_default();
            address.parse().expect("an address")
        });
        let mut next = || addresses.next().expect("an address");
        let (ingress, admin) = (next(), next());
        Self {
            child,
            ingress,
            admin,
        }
    }

    /// Waits until every delivery has been performed.
    fn settle(&self) {
        loop {
            let mut stream = connect(self.admin);
            let request =
                "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).expect("a question");
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            if !["\"pending\"", "\"running\"", "\"retrying\""]
                .iter()
                .any(|state| answer.contains(state))
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
