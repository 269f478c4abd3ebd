//! What it costs to accept durably, beside the least that anybody must do for
//! it: append the same bytes to a file and sync them, many at once.
//!
//! `cargo bench --bench journal` measures, with 1, 8 and 64 callers each: that
//! file; the journal alone, called as the ingress calls it; and the real binary
//! over HTTP, with signed pushes that match a trigger and become files, while
//! its worker performs them. It prints how many were accepted a second, how
//! long each waited, and ratios to the file. It asserts nothing.
//!
//! `BENCH_SECONDS` is the length of each measurement, `BENCH_ONLY` one of
//! `file`, `journal` and `gateway`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may panic, print and look at the clock"
)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::Map;
use tripline::journal::sqlite::SqliteJournal;
use tripline::journal::{Journal, NewDelivery, NewEvent, Quota, Quotas, Recorded};
use tripline::model::headers::Headers;
use tripline::model::ids::{DeliveryKey, EventId, ListenerId, Revision, TriggerId};
use uuid::Uuid;

#[path = "journal/gateway.rs"]
mod gateway;

const CALLERS: [usize; 3] = [1, 8, 64];

/// Recorded GitHub push.
const PUSH: &[u8] = include_bytes!("../fixtures/github/push.http");

/// What one measurement has shown.
struct Shown {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// CPU of the process for an event, where that is known.
    cpu_us: Option<f64>,
}

impl Shown {
    fn of(mut times: Vec<f64>, elapsed: Duration) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times.get(times.len() * part / 100).copied();
        Self {
            per_second: times.len() as f64 / elapsed.as_secs_f64(),
            p50_ms: at(50).unwrap_or_default(),
            p99_ms: at(99).unwrap_or_default(),
            cpu_us: None,
        }
    }

    fn print(&self, name: &str, beside: &Self) {
        let cpu = self.cpu_us.map(|cpu| format!("  {cpu:>6.0} us CPU/event"));
        println!(
            "  {name:<26} {:>8.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  {:>5.2} of the file{}",
            self.per_second,
            self.p50_ms,
            self.p99_ms,
            self.per_second / beside.per_second,
            cpu.unwrap_or_default()
        );
    }
}

fn main() {
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only == name;
    let folder = tempfile::tempdir_in(".").expect("a folder on the disk");
    let (body, load) = (body(), std::fs::read_to_string("/proc/loadavg"));
    println!(
        "body of {} bytes, {} s each, load before: {}",
        body.len(),
        seconds().as_secs(),
        load.unwrap_or_default().trim()
    );
    println!(
        "one append of it and one fdatasync after the other: {:.0}/s\n",
        alone(folder.path(), &body)
    );
    for callers in CALLERS {
        println!("{callers} at once");
        let file = append(folder.path(), &body, callers);
        file.print("append and fdatasync", &file);
        if wanted("journal") {
            admit(folder.path(), &body, callers).print("the journal alone", &file);
        }
        if wanted("gateway") {
            let (shown, settled) = gateway::accept(folder.path(), callers, seconds());
            shown.print("the gateway over HTTP", &file);
            println!("  {:<26} {settled:>8.1} s until all was performed", "");
        }
    }
}

fn seconds() -> Duration {
    let given = std::env::var("BENCH_SECONDS").ok();
    Duration::from_secs(given.and_then(|given| given.parse().ok()).unwrap_or(4))
}

fn body() -> Vec<u8> {
    let head = PUSH.windows(4).position(|window| window == b"\r\n\r\n");
    PUSH[head.expect("the head's end") + 4..].to_vec()
}

/// One after the other, each synced.
fn alone(folder: &Path, body: &[u8]) -> f64 {
    let mut file = File::create(folder.join("alone")).expect("a file");
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < seconds() {
        file.write_all(body).expect("the bytes");
        file.sync_data().expect("a sync");
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

/// Callers hand their bytes to one writer, which takes all that wait, appends
/// them, syncs once and answers them.
fn append(folder: &Path, body: &[u8], callers: usize) -> Shown {
    type Asked = mpsc::SyncSender<()>;
    let (queue, waiting) = mpsc::sync_channel::<(Vec<u8>, Asked)>(4096);
    let mut file = File::create(folder.join(format!("appended-{callers}"))).expect("a file");
    let writer = std::thread::spawn(move || {
        while let Ok(first) = waiting.recv() {
            let mut group = vec![first];
            group.extend(waiting.try_iter().take(511));
            for (bytes, _) in &group {
                file.write_all(bytes).expect("the bytes");
            }
            file.sync_data().expect("a sync");
            for (_, asked) in group {
                let _ = asked.send(());
            }
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let threads: Vec<_> = (0..callers)
        .map(|_| {
            let (queue, stop, body) = (queue.clone(), Arc::clone(&stop), body.to_vec());
            std::thread::spawn(move || {
                let mut times = Vec::new();
                let (answer, answered) = mpsc::sync_channel(1);
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    queue.send((body.clone(), answer.clone())).expect("room");
                    answered.recv().expect("an answer");
                    times.push(asked.elapsed().as_secs_f64() * 1000.0);
                }
                times
            })
        })
        .collect();
    drop(queue);
    std::thread::sleep(seconds());
    stop.store(true, Ordering::Relaxed);
    let times = threads
        .into_iter()
        .flat_map(|thread| thread.join().expect("a caller"));
    let times = times.collect();
    let shown = Shown::of(times, began.elapsed());
    writer.join().expect("the writer");
    shown
}

/// The journal, called as the ingress calls it.
fn admit(folder: &Path, body: &[u8], callers: usize) -> Shown {
    let path = folder.join(format!("journal-{callers}/journal.db"));
    let journal = Arc::new(SqliteJournal::open(&path).expect("a journal"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let next = Arc::new(AtomicU64::new(0));
    let cpu = gateway::cpu("self");
    let (times, elapsed) = runtime.block_on(async {
        let began = Instant::now();
        let until = began + seconds();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (journal, next) = (Arc::clone(&journal), Arc::clone(&next));
                let body = bytes::Bytes::copy_from_slice(body);
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    while Instant::now() < until {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let event = event(number, body.clone());
                        let asked = Instant::now();
                        let admitted = journal.admit(Some(event), vec![], false, NO_QUOTAS);
                        admitted.await.expect("it is accepted");
                        times.push(asked.elapsed().as_secs_f64() * 1000.0);
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.append(&mut task.await.expect("a caller"));
        }
        (times, began.elapsed())
    });
    let events = times.len() as f64;
    let mut shown = Shown::of(times, elapsed);
    shown.cpu_us = Some((gateway::cpu("self") - cpu) / events * 1e6);
    runtime.block_on(journal.close()).expect("it closes");
    shown
}

const NO_QUOTAS: Quotas = Quotas {
    verified: Quota {
        events: 0,
        bytes: 0,
    },
    unverified: Quota {
        events: 0,
        bytes: 0,
    },
};

/// A push that one trigger wants, as the gate hands it over.
fn event(number: u64, body: bytes::Bytes) -> NewEvent {
    let listener = ListenerId {
        namespace: "default".into(),
        name: "hook".into(),
    };
    let mut headers = Headers::new();
    for (name, value) in [
        ("Host", "bench"),
        ("User-Agent", "GitHub-Hookshot/bench"),
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "push"),
        ("X-GitHub-Delivery", "01a1f8f2-9c16-742d-bc50-3364bd4f1adb"),
        ("X-GitHub-Hook-ID", "1"),
    ] {
        headers.append(name, value);
    }
    let key = DeliveryKey::new(&listener, "github", "1", &number.to_string());
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, number.to_string().as_bytes());
    NewEvent {
        id: EventId(id),
        rerun_id: EventId(Uuid::now_v7()),
        listener,
        proven: Vec::new(),
        replay_of: None,
        received_ms: 0,
        accepted_ms: 0,
        key: Some((key, 7 * 24 * 60 * 60 * 1000)),
        request: Recorded {
            method: "POST".into(),
            url: "/".into(),
            headers,
            body,
        },
        deliveries: vec![NewDelivery {
            trigger: TriggerId("default/hook#push".into()),
            revision: Revision("0868502150ec88cef5e9eab69c0626c6".into()),
            source: "{}".into(),
            rerun: false,
            extensions: Map::new(),
            findings: Vec::new(),
            resume: None,
            unsealed: None,
            rendered: None,
        }],
    }
}
