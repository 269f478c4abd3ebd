//! What the gateway costs, beside a bare server that does the least that any
//! receiver of webhooks must do: read the body, compute its HMAC, answer 202.
//!
//! `cargo bench` starts both as processes of their own and loads them in turn
//! with the same requests, several times. It prints medians and the ratio to
//! the bare server, and asserts nothing.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may panic, print and look at the clock"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tripline::verify::registry;

const SECRET: &str = "a secret of the benchmark";

const CONNECTIONS: usize = 32;

const ROUNDS: usize = 3;

const SECONDS: u64 = 4;

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
    - ref: {name: cel}
      params:
      - {name: filter, value: "body.ref == 'refs/heads/main'"}
      - {name: overlays, value: [{key: short, expression: "body.after.truncate(7)"}]}
    bindings:
    - {name: revision, value: $(body.after)}
    - {name: repository, value: $(body.repository.clone_url)}
    - {name: short, value: $(extensions.short)}
    template:
      spec:
        params: [{name: revision}, {name: repository}, {name: short}]
        resourcetemplates:
        - apiVersion: tekton.dev/v1
          kind: PipelineRun
          metadata: {generateName: build-}
          spec:
            pipelineRef: {name: build}
            params:
            - {name: revision, value: $(tt.params.revision)}
            - {name: repository, value: $(tt.params.repository)}
            - {name: tag, value: "git-$(tt.params.short)"}
---
apiVersion: v1
kind: Secret
metadata: {name: hook}
stringData: {token: a secret of the benchmark}
"#;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    /// Verified, and not wanted.
    Filtered,
    /// Verified, wanted, journaled; each under an id of its own.
    Accepted,
}

/// What one round of load has shown.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    cpu_us: f64,
    p50_ms: f64,
    p99_ms: f64,
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("--bare") => bare(),
        _ => compare(),
    }
}

fn compare() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("triggers")).expect("the trigger folder");
    std::fs::write(folder.path().join("triggers/t.yaml"), TRIGGERS).expect("the triggers");
    println!(
        "{CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS} s each, body of a recorded GitHub push\n"
    );
    start_up(folder.path());
    for case in [Case::Filtered, Case::Accepted] {
        let mut rounds: [Vec<Round>; 2] = Default::default();
        for _ in 0..ROUNDS {
            let bare = Server::bare();
            rounds[0].push(load(&bare, case));
            let gateway = Server::gateway(folder.path());
            rounds[1].push(load(&gateway, case));
        }
        let name = if case == Case::Filtered {
            "filtered"
        } else {
            "accepted"
        };
        let [bare, gateway] = rounds.map(|rounds| median(&rounds));
        row("bare server", bare);
        row(&format!("tripline, {name}"), gateway);
        println!(
            "  ratio: {:.2} of the requests a second, {:.2} times the CPU an event\n",
            gateway.per_second / bare.per_second,
            gateway.cpu_us / bare.cpu_us
        );
    }
}

fn row(name: &str, round: Round) {
    let Round {
        per_second,
        cpu_us,
        p50_ms,
        p99_ms,
    } = round;
    println!(
        "{name:<20} {per_second:>8.0} requests/s  {cpu_us:>7.1} us CPU/event  p50 {p50_ms:>6.2} ms  p99 {p99_ms:>6.2} ms"
    );
}

fn median(rounds: &[Round]) -> Round {
    let of = |value: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Round {
        per_second: of(|r| r.per_second),
        cpu_us: of(|r| r.cpu_us),
        p50_ms: of(|r| r.p50_ms),
        p99_ms: of(|r| r.p99_ms),
    }
}

/// Memory at rest, and the time from exec to the first 202.
fn start_up(folder: &Path) {
    let mut times = Vec::new();
    for round in 0..5 {
        let began = Instant::now();
        let gateway = Server::gateway(folder);
        let mut stream = connect(gateway.address);
        let request = request(
            Case::Accepted,
            &format!("start-{round}-{}", std::process::id()),
        );
        assert_eq!(
            exchange(&mut stream, &request),
            202,
            "the first event is accepted"
        );
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let gateway = Server::gateway(folder);
    std::thread::sleep(Duration::from_secs(2));
    println!("exec to first 202    {:>8.1} ms (median of 5)", times[2]);
    println!(
        "memory at rest       {:>8.1} MiB resident\n",
        gateway.resident_mib()
    );
}

/// A server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Server {
    fn bare() -> Self {
        let myself = std::env::current_exe().expect("this program");
        let mut child = Command::new(myself)
            .arg("--bare")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bare server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its address");
        let address = line.trim().parse().expect("an address");
        Self {
            child,
            address,
            admin: None,
        }
    }

    fn gateway(folder: &Path) -> Self {
        let admin = free_port();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args([
                "serve",
                "-t",
                "triggers",
                "--log-level",
                "error",
                "--listen",
                "127.0.0.1:0",
            ])
            .args(["--admin", &admin.to_string(), "--probe", "127.0.0.1:0"])
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway starts");
        let stderr = child.stderr.take().expect("its output");
        let mut lines = BufReader::new(stderr).lines();
        let address = loop {
            let line = lines.next().expect("the gateway listens").expect("a line");
            if let Some((_, rest)) = line.split_once("listening on http://") {
                let address = rest.split(' ').next().unwrap_or_default();
                break address.parse().expect("an address");
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            admin: Some(admin),
        }
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("its /proc")
    }

    /// CPU that the process has used, in seconds.
    fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        // The second field may hold anything, in parentheses.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let ticks = rest.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
        ticks / TICKS
    }

    fn resident_mib(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or_default() / 1024.0
    }

    /// Waits until every delivery has been performed.
    fn settle(&self) {
        let Some(admin) = self.admin else {
            return;
        };
        loop {
            let mut stream = connect(admin);
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

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address")
}

fn load(server: &Server, case: Case) -> Round {
    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU64::new(0));
    let run = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let run = run.map_or(0, |since| since.as_nanos());
    let cpu_before = server.cpu();
    let began = Instant::now();
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (stop, next, address) = (Arc::clone(&stop), Arc::clone(&next), server.address);
            std::thread::spawn(move || {
                let mut stream = connect(address);
                let mut times = Vec::new();
                let fixed = request(case, "fixed");
                while !stop.load(Ordering::Relaxed) {
                    let unique;
                    let request = match case {
                        Case::Filtered => &fixed,
                        Case::Accepted => {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            unique = request(case, &format!("{run}-{number}"));
                            &unique
                        }
                    };
                    let sent = Instant::now();
                    let status = exchange(&mut stream, request);
                    assert_eq!(status, 202);
                    times.push(sent.elapsed().as_secs_f64() * 1000.0);
                }
                times
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(SECONDS));
    stop.store(true, Ordering::Relaxed);
    let times = senders
        .into_iter()
        .flat_map(|sender| sender.join().expect("a sender"));
    let mut times: Vec<f64> = times.collect();
    let elapsed = began.elapsed().as_secs_f64();
    // What an accepted event costs includes what is made of it.
    server.settle();
    times.sort_by(f64::total_cmp);
    let events = times.len() as f64;
    Round {
        per_second: events / elapsed,
        cpu_us: (server.cpu() - cpu_before) / events * 1e6,
        p50_ms: times[times.len() / 2],
        p99_ms: times[times.len() * 99 / 100],
    }
}

/// The recorded push, signed with the benchmark's secret.
fn request(case: Case, delivery: &str) -> Vec<u8> {
    static BODY: std::sync::OnceLock<(Vec<u8>, String)> = std::sync::OnceLock::new();
    let (body, signature) = BODY.get_or_init(|| {
        let recorded = include_bytes!("../fixtures/github/push.http");
        let head = recorded.windows(4).position(|window| window == b"\r\n\r\n");
        let body = recorded[head.expect("the head's end") + 4..].to_vec();
        let scheme = registry::scheme("github").expect("GitHub has a scheme");
        let signed = scheme.sign(SECRET.as_bytes(), &body, 0);
        let (_, signature) = signed.expect("a signature").remove(0);
        (body, signature)
    });
    let event = if case == Case::Accepted {
        "push"
    } else {
        "issues"
    };
    let head = format!(
        "POST /default/hook HTTP/1.1\r\nHost: bench\r\nUser-Agent: GitHub-Hookshot/bench\r\n\
         Content-Type: application/json\r\nX-GitHub-Event: {event}\r\nX-GitHub-Delivery: {delivery}\r\n\
         X-GitHub-Hook-ID: 1\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Sends a request and reads the answer; its status.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> u16 {
    stream.write_all(request).expect("the request is sent");
    let mut answer = Vec::with_capacity(1024);
    let mut buffer = [0; 2048];
    loop {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the connection is open");
        answer.extend_from_slice(&buffer[..read]);
        if answer.ends_with(b"\n")
            && answer.windows(4).any(|window| window == b"\r\n\r\n")
            && !answer.ends_with(b"\r\n\r\n")
        {
            let status = std::str::from_utf8(&answer[9..12]).ok();
            return status
                .and_then(|status| status.parse().ok())
                .unwrap_or_default();
        }
    }
}

/// The bare server: hyper, the body, its HMAC, 202.
fn bare() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        println!("{}", listener.local_addr().expect("its address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let service = service_fn(receive);
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
}

async fn receive(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let scheme = registry::scheme("github").expect("GitHub has a scheme");
    let genuine = scheme
        .sign(SECRET.as_bytes(), &body, 0)
        .and_then(|signed| signed.into_iter().next())
        .is_some_and(|(header, expected)| {
            head.headers
                .get(header)
                .is_some_and(|given| given.as_bytes() == expected.as_bytes())
        });
    let status = if genuine {
        StatusCode::ACCEPTED
    } else {
        StatusCode::UNAUTHORIZED
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"eventID\":\"none\"}\n")));
    *response.status_mut() = status;
    Ok(response)
}
