//! What a flood on one listener does to another one: the time to the answer and
//! to the object of a listener that gets few events, alone and beside a flood,
//! and beside one whose interceptor is slow.
//!
//! `cargo bench --bench fairness` prints medians, 99th percentiles and their
//! ratio, and asserts nothing.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may panic, print and look at the clock"
)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tripline::verify::registry;

const SECRET: &str = "a secret of the benchmark";

/// How long each part takes.
const SECONDS: u64 = 6;

/// The quiet listener gets one event in this time.
const EVERY: Duration = Duration::from_millis(20);

/// What the slow interceptor takes.
const SLOW: Duration = Duration::from_millis(500);

/// Connections of a flood, and the pause between two of its events on each.
struct Flood {
    name: &'static str,
    listener: &'static str,
    connections: usize,
    pause: Duration,
}

const FLOODS: [Flood; 3] = [
    Flood {
        name: "beside 400 events/s",
        listener: "flood",
        connections: 16,
        pause: Duration::from_millis(40),
    },
    Flood {
        name: "beside 200 events/s that take 500 ms each",
        listener: "slow",
        connections: 8,
        pause: Duration::from_millis(40),
    },
    Flood {
        name: "beside all that 32 connections can send",
        listener: "flood",
        connections: 32,
        pause: Duration::ZERO,
    },
];

/// Milliseconds to the answer and to the object of each quiet event.
struct Seen {
    answers: Vec<f64>,
    objects: Vec<f64>,
    missing: usize,
    flooded: usize,
}

fn main() {
    println!("one event every {EVERY:?} for {SECONDS} s on the quiet listener\n");
    let alone = measure(None);
    row("alone", &alone);
    for flood in &FLOODS {
        let beside = measure(Some(flood));
        row(flood.name, &beside);
        let ratio = |of: fn(&Seen) -> &Vec<f64>| p(of(&beside), 99) / p(of(&alone), 99);
        println!(
            "  p99 beside it: {:.1} times to the answer, {:.1} times to the object; {} events of the flood, {} quiet ones unfinished\n",
            ratio(|seen| &seen.answers),
            ratio(|seen| &seen.objects),
            beside.flooded,
            beside.missing
        );
    }
}

fn row(name: &str, seen: &Seen) {
    let Seen {
        answers, objects, ..
    } = seen;
    println!(
        "{name:<44} answer p50 {:>6.1} ms p99 {:>6.1} ms   object p50 {:>6.1} ms p99 {:>6.1} ms",
        p(answers, 50),
        p(answers, 99),
        p(objects, 50),
        p(objects, 99)
    );
}

/// A percentile of sorted times.
fn p(times: &[f64], percent: usize) -> f64 {
    let last = times.len().saturating_sub(1);
    times
        .get(last.min(times.len() * percent / 100))
        .copied()
        .unwrap_or(f64::NAN)
}

fn measure(flood: Option<&Flood>) -> Seen {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("triggers")).expect("the trigger folder");
    std::fs::write(folder.path().join("triggers/t.yaml"), triggers(slow())).expect("the triggers");
    let gateway = Gateway::start(folder.path());
    let (stop, flooded) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let senders: Vec<_> = (0..flood.map_or(0, |flood| flood.connections))
        .map(|sender| {
            let (stop, flooded, address) =
                (Arc::clone(&stop), Arc::clone(&flooded), gateway.address);
            let (listener, pause) = flood.map_or(("", Duration::ZERO), |f| (f.listener, f.pause));
            std::thread::spawn(move || {
                let mut stream = connect(address);
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    exchange(
                        &mut stream,
                        &request(listener, &format!("f{sender}n{number}")),
                    );
                    flooded.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(pause);
                }
            })
        })
        .collect();
    if flood.is_some() {
        // A backlog is there before it is measured.
        std::thread::sleep(Duration::from_secs(2));
    }
    let (mut answers, sent) = trickle(gateway.address);
    // What has not been performed by then counts as unfinished.
    std::thread::sleep(Duration::from_secs(1));
    stop.store(true, Ordering::Relaxed);
    senders
        .into_iter()
        .for_each(|sender| sender.join().expect("a sender"));
    let made = made(folder.path());
    drop(gateway);
    let since = |(mark, at): (&String, &SystemTime)| {
        let made = made.get(mark)?.duration_since(*at).unwrap_or_default();
        Some(made.as_secs_f64() * 1000.0)
    };
    let mut objects: Vec<f64> = sent.iter().filter_map(since).collect();
    answers.sort_by(f64::total_cmp);
    objects.sort_by(f64::total_cmp);
    Seen {
        missing: sent.len() - objects.len(),
        answers,
        objects,
        flooded: flooded.load(Ordering::Relaxed),
    }
}

/// Sends the quiet listener its events. Gives how long the answers took, and
/// when each was sent.
fn trickle(address: SocketAddr) -> (Vec<f64>, HashMap<String, SystemTime>) {
    let mut stream = connect(address);
    let (mut answers, mut sent) = (Vec::new(), HashMap::new());
    let began = Instant::now();
    for number in 0.. {
        if began.elapsed() > Duration::from_secs(SECONDS) {
            break;
        }
        let mark = format!("q{number}");
        let request = request("quiet", &mark);
        sent.insert(mark, SystemTime::now());
        let at = Instant::now();
        exchange(&mut stream, &request);
        answers.push(at.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(EVERY.saturating_sub(at.elapsed()));
    }
    (answers, sent)
}

/// When each of the quiet listener's objects was made.
fn made(folder: &Path) -> HashMap<String, SystemTime> {
    let mut made = HashMap::new();
    let entries = std::fs::read_dir(folder.join("out/default/ConfigMap"));
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path();
        let is_quiet = entry.file_name().to_string_lossy().starts_with("quiet-");
        let Some(text) = std::fs::read_to_string(&path).ok().filter(|_| is_quiet) else {
            continue;
        };
        let mark = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("mark: "));
        if let (Some(mark), Ok(at)) = (mark, entry.metadata().and_then(|data| data.modified())) {
            made.insert(mark.trim_matches('"').to_owned(), at);
        }
    }
    made
}

/// An interceptor that takes its time, for every request of a connection.
fn slow() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let whole = text.split_once("\r\n\r\n").and_then(|(head, _)| {
            let length = head.split("content-length: ").nth(1)?.lines().next()?;
            Some(head.len() + 4 + length.trim().parse::<usize>().ok()?)
        });
        if let Some(whole) = whole.filter(|whole| bytes.len() >= *whole) {
            bytes.drain(..whole);
            std::thread::sleep(SLOW);
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"continue\":true}";
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

fn triggers(slow: SocketAddr) -> String {
    let listener = |name: &str, more: &str| {
        format!(
            r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {{name: {name}}}
spec:
  triggers:
  - name: push
    interceptors:
    - ref: {{name: github}}
      params: [{{name: secretRef, value: {{secretName: hook, secretKey: token}}}}]
{more}    bindings: [{{name: mark, value: $(body.mark)}}]
    template:
      spec:
        params: [{{name: mark}}]
        resourcetemplates:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {{generateName: {name}-}}
          data: {{mark: $(tt.params.mark)}}
---"#
        )
    };
    let others = format!(
        r#"
apiVersion: triggers.tekton.dev/v1alpha1
kind: ClusterInterceptor
metadata: {{name: slow}}
spec: {{clientConfig: {{url: 'http://{slow}/'}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: hook}}
stringData: {{token: {SECRET}}}
"#
    );
    let slow = listener("slow", "    - ref: {name: slow}\n");
    [listener("quiet", ""), listener("flood", ""), slow, others].concat()
}

/// A gateway in a process of its own.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(["serve", "-t", "triggers", "--log-level", "error"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--probe", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::null())
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
        Self { child, address }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A signed push with a mark.
fn request(listener: &str, mark: &str) -> Vec<u8> {
    let body = format!(r#"{{"mark":"{mark}"}}"#);
    let scheme = registry::scheme("github").expect("GitHub has a scheme");
    let signed = scheme.sign(SECRET.as_bytes(), body.as_bytes(), 0);
    let (_, signature) = signed.expect("a signature").remove(0);
    format!(
        "POST /default/{listener} HTTP/1.1\r\nHost: bench\r\nX-GitHub-Event: push\r\n\
         X-GitHub-Delivery: {mark}\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Sends a request and reads the answer, which must be 202.
fn exchange(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).expect("the request is sent");
    let mut answer = Vec::with_capacity(1024);
    let mut buffer = [0; 2048];
    while !(answer.ends_with(b"\n") && answer.windows(4).any(|window| window == b"\r\n\r\n"))
        || answer.ends_with(b"\r\n\r\n")
    {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the connection is open");
        answer.extend_from_slice(&buffer[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 202"), "it is accepted");
}
