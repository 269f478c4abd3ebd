//! SIGTERM with hundreds of events in flight, whose interceptor is slow: the
//! steps in their order, an end within the grace period, and nothing lost.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tripline::verify::registry;

use super::gateway::PATIENCE;
use super::load::{connect, read_answer};

const SECRET: &str = "a secret of the drain";

const SENDERS: usize = 16;

const EVENTS: usize = 400;

/// What the worst end may take beyond delay and grace: ports and journal.
const CLOSING: Duration = Duration::from_millis(3_500);

/// An interceptor that takes its time.
struct Slow {
    address: SocketAddr,
    takes_ms: Arc<AtomicU64>,
    asked: Arc<AtomicUsize>,
}

impl Slow {
    fn start(takes: Duration) -> Result<Self, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let slow = Self {
            address: listener.local_addr()?,
            takes_ms: Arc::new(AtomicU64::new(takes.as_millis() as u64)),
            asked: Arc::default(),
        };
        let (takes, asked) = (Arc::clone(&slow.takes_ms), Arc::clone(&slow.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (takes, asked) = (Arc::clone(&takes), Arc::clone(&asked));
                std::thread::spawn(move || answer(stream, &takes, &asked));
            }
        });
        Ok(slow)
    }

    fn set(&self, takes: Duration) {
        let takes = takes.as_millis() as u64;
        self.takes_ms.store(takes, Ordering::Release);
    }
}

/// Answers every request of a connection that the event goes on.
fn answer(mut stream: TcpStream, takes_ms: &AtomicU64, asked: &AtomicUsize) {
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
            asked.fetch_add(1, Ordering::AcqRel);
            std::thread::sleep(Duration::from_millis(takes_ms.load(Ordering::Acquire)));
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

fn prepare(folder: &Path, interceptor: SocketAddr) -> Result<(), Failed> {
    std::fs::create_dir(folder.join("triggers"))?;
    let triggers = format!(
        r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {{name: hook}}
spec:
  triggers:
  - name: push
    interceptors:
    - ref: {{name: github}}
      params: [{{name: secretRef, value: {{secretName: hook, secretKey: token}}}}]
    - ref: {{name: slow}}
    bindings: [{{name: mark, value: $(body.mark)}}]
    template:
      spec:
        params: [{{name: mark}}]
        resourcetemplates:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {{generateName: push-}}
          data: {{mark: $(tt.params.mark)}}
---
apiVersion: triggers.tekton.dev/v1alpha1
kind: ClusterInterceptor
metadata: {{name: slow}}
spec: {{clientConfig: {{url: 'http://{interceptor}/'}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: hook}}
stringData: {{token: {SECRET}}}
"#
    );
    Ok(std::fs::write(folder.join("triggers/push.yaml"), triggers)?)
}

/// The binary with a drain of its own.
struct Gateway {
    child: Child,
    ingress: SocketAddr,
    probe: SocketAddr,
}

impl Gateway {
    fn start(folder: &Path, delay: &str, grace: &str) -> Result<Self, Failed> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(["serve", "-t", "triggers", "--log-level", "error"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--probe", "127.0.0.1:0"])
            .env("TRIPLINE_DRAIN__DELAY", delay)
            .env("TRIPLINE_DRAIN__GRACE", grace)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let addresses: Vec<SocketAddr> = loop {
            let line = lines.next().ok_or("it ended before it listened")??;
            if line.contains("listening on http://") {
                let urls = line.split("http://").skip(1);
                break urls
                    .filter_map(|rest| rest.split(' ').next()?.parse().ok())
                    .collect();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self {
            child,
            ingress: addresses[0],
            probe: addresses[2],
        })
    }

    fn terminate(&self) -> Result<Instant, Failed> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        Ok(Instant::now())
    }

    fn ended(&mut self) -> Result<ExitStatus, Failed> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > PATIENCE {
                return Err("the gateway does not stop".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_ready(&self) -> Result<bool, Failed> {
        let mut stream = connect(self.probe).ok_or("no probe port")?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends events, all of which must be accepted.
fn send(address: SocketAddr, from: usize, count: usize) -> Result<Vec<String>, Failed> {
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            std::thread::spawn(move || {
                let mut stream = connect(address)?;
                let numbers = (from..from + count).filter(|n| n % SENDERS == sender);
                let marks: Vec<String> = numbers.map(|number| format!("m{number}")).collect();
                let taken = marks
                    .iter()
                    .all(|mark| push(&mut stream, mark).is_some_and(|(status, _)| status == 202));
                taken.then_some(marks)
            })
        })
        .collect();
    let mut accepted = Vec::new();
    for sender in senders {
        let marks = sender.join().map_err(|_| "a sender panicked")?;
        accepted.extend(marks.ok_or("an event was not accepted")?);
    }
    Ok(accepted)
}

fn once_each(folder: &Path, accepted: &[String]) -> Result<bool, Failed> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for mark in marks(folder)? {
        *counts.entry(mark).or_default() += 1;
    }
    if let Some((mark, count)) = counts.iter().find(|(_, count)| **count > 1) {
        return Err(format!("event {mark} ended in {count} objects").into());
    }
    Ok(accepted.iter().all(|mark| counts.contains_key(mark)))
}

/// What the grace period is long enough for is finished: status 0.
pub(crate) fn finishes_what_it_has() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let slow = Slow::start(Duration::from_millis(600))?;
    prepare(folder.path(), slow.address)?;
    let mut gateway = Gateway::start(folder.path(), "1s", "30s")?;
    let mut accepted = send(gateway.ingress, 0, EVENTS)?;
    let mut kept = connect(gateway.ingress).ok_or("no connection")?;
    push(&mut kept, "kept").ok_or("the first event of a connection")?;
    accepted.push("kept".into());
    let left = accepted.len() - marks(folder.path())?.len();
    if left < EVENTS / 2 {
        return Err(format!("only {left} events are in flight").into());
    }
    let told = gateway.terminate()?;
    // Not ready first, and all the same whoever still comes is served.
    while gateway.is_ready()? {
        if told.elapsed() > Duration::from_millis(900) {
            return Err("it is ready although it stops".into());
        }
    }
    accepted.extend(send(gateway.ingress, EVENTS, SENDERS)?);
    // A connection that is kept open is answered, and ends with that answer.
    let late = push(&mut kept, "late");
    if late.as_ref().map(|(status, _)| *status) != Some(202) {
        return Err(format!("on an open connection: {late:?}").into());
    }
    accepted.push("late".into());
    if push(&mut kept, "too late").is_some() {
        return Err("a connection outlives the answer that ends it".into());
    }
    let status = gateway.ended()?;
    let took = told.elapsed();
    if took < Duration::from_secs(1) {
        return Err(format!("it ended after {took:?}, before the delay was over").into());
    }
    if status.code() != Some(0) {
        return Err(format!("it ended with {status}").into());
    }
    if TcpStream::connect(gateway.ingress).is_ok() {
        return Err("somebody listens still".into());
    }
    if !once_each(folder.path(), &accepted)? {
        return Err("it ended with 0 and has not performed everything".into());
    }
    println!("{left} events in flight, finished {took:?} after SIGTERM");
    Ok(())
}

/// What the grace period is too short for is performed after the next start,
/// and the end does not wait for it.
pub(crate) fn gives_back_what_it_cannot_finish() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let slow = Slow::start(Duration::from_secs(300))?;
    prepare(folder.path(), slow.address)?;
    let (delay, grace) = (Duration::from_secs(1), Duration::from_secs(3));
    let mut gateway = Gateway::start(folder.path(), "1s", "3s")?;
    let accepted = send(gateway.ingress, 0, EVENTS)?;
    let began = Instant::now();
    while slow.asked.load(Ordering::Acquire) == 0 {
        if began.elapsed() > PATIENCE {
            return Err("nobody is asked".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = gateway.terminate()?;
    let status = gateway.ended()?;
    let took = told.elapsed();
    if took < delay || took > delay + grace + CLOSING {
        return Err(format!("it ended after {took:?}").into());
    }
    if status.code() != Some(1) {
        return Err(format!("it broke attempts off and ended with {status}").into());
    }
    drop(gateway);
    slow.set(Duration::ZERO);
    let _next = Gateway::start(folder.path(), "0s", "3s")?;
    let began = Instant::now();
    while !once_each(folder.path(), &accepted)? {
        if began.elapsed() > PATIENCE {
            return Err("accepted events are lost".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "{} events in flight, ended {took:?} after SIGTERM",
        accepted.len()
    );
    Ok(())
}

/// How long nobody is served while the only gateway is started anew, from the
/// first sender who is refused to the first who is accepted.
pub(crate) fn the_gap_of_one_gateway() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let slow = Slow::start(Duration::ZERO)?;
    prepare(folder.path(), slow.address)?;
    let (mut gaps, mut accepted) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let mut gateway = Gateway::start(folder.path(), "0s", "20s")?;
        accepted.extend(send(gateway.ingress, round * EVENTS, EVENTS)?);
        let address = gateway.ingress;
        gateway.terminate()?;
        while TcpStream::connect(address).is_ok() {
            std::thread::sleep(Duration::from_micros(200));
        }
        let refused = Instant::now();
        let status = gateway.ended()?;
        if status.code() != Some(0) || !once_each(folder.path(), &accepted)? {
            return Err(format!("it ended with {status} and has not performed everything").into());
        }
        let next = Gateway::start(folder.path(), "0s", "20s")?;
        let mut stream = connect(next.ingress).ok_or("no connection")?;
        push(&mut stream, &format!("after-{round}")).ok_or("no answer")?;
        gaps.push(refused.elapsed());
    }
    gaps.sort();
    println!(
        "not served for {:?} at the median of five, {:?} at most",
        gaps[2], gaps[4]
    );
    Ok(())
}

/// Posts a signed push that carries a mark. Gives status and event id of the
/// answer, where there is one.
fn push(stream: &mut TcpStream, mark: &str) -> Option<(u16, String)> {
    let body = format!(r#"{{"mark":"{mark}"}}"#);
    let scheme = registry::scheme("github")?;
    let signed = scheme.sign(SECRET.as_bytes(), body.as_bytes(), 0)?;
    let (_, signature) = signed.into_iter().next()?;
    let request = format!(
        "POST /default/hook HTTP/1.1\r\nHost: drain\r\nX-GitHub-Event: push\r\n\
         X-GitHub-Delivery: {mark}\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    read_answer(stream)
}

/// The marks of all objects, one entry a file.
fn marks(folder: &Path) -> Result<Vec<String>, Failed> {
    let Ok(entries) = std::fs::read_dir(folder.join("out/default/ConfigMap")) else {
        return Ok(Vec::new());
    };
    let mut marks = Vec::new();
    for entry in entries {
        let file = entry?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "part")
        {
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
