//! Killed at random moments under load.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::gateway::{Gateway, PATIENCE, connect, marks, parts, prepare, push};

const KILLS: usize = 10;

const SENDERS: usize = 8;

/// The shortest and the longest time between a start and a kill, in
/// milliseconds.
const LIFE_MS: (u64, u64) = (30, 600);

/// What all senders share.
struct Load {
    address: Mutex<Option<SocketAddr>>,
    stop: AtomicBool,
    next: AtomicU64,
    /// Marks of the events that were answered 202.
    accepted: Mutex<Vec<String>>,
}

/// Every event that was answered 202 ends in exactly one file, and no event
/// ends in two.
pub(crate) fn ten_kills_under_load() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    prepare(folder.path())?;
    let load = Arc::new(Load {
        address: Mutex::new(None),
        stop: AtomicBool::new(false),
        next: AtomicU64::new(0),
        accepted: Mutex::new(Vec::new()),
    });
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let load = Arc::clone(&load);
            std::thread::spawn(move || send(&load))
        })
        .collect();
    let seed = seed();
    let mut random = seed;
    let killed = (0..KILLS).try_for_each(|_| {
        let gateway = Gateway::start(folder.path(), &[])?;
        *load.address.lock()? = Some(gateway.address);
        random = step(random);
        let life = LIFE_MS.0 + random % (LIFE_MS.1 - LIFE_MS.0);
        std::thread::sleep(Duration::from_millis(life));
        gateway.kill()
    });
    load.stop.store(true, Ordering::Release);
    for sender in senders {
        sender.join().map_err(|_| "a sender panicked")?;
    }
    killed?;
    let accepted = load.accepted.lock()?.clone();
    let last = Gateway::start(folder.path(), &[])?;
    let result = wait_for_all(folder.path(), &accepted).map_err(|error| {
        let message = error.message().unwrap_or_default().to_owned();
        Failed::from(format!("{message} (CRASH_SEED={seed})"))
    });
    last.stop()?;
    let left_over = parts(folder.path())?;
    if !left_over.is_empty() {
        return Err(format!("left over: {left_over:?}").into());
    }
    println!("{KILLS} kills, {} events answered 202", accepted.len());
    result
}

fn wait_for_all(folder: &std::path::Path, accepted: &[String]) -> Result<(), Failed> {
    if accepted.len() < KILLS * 10 {
        return Err(format!("only {} events were accepted", accepted.len()).into());
    }
    let began = Instant::now();
    loop {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for mark in marks(folder)? {
            *counts.entry(mark).or_default() += 1;
        }
        if let Some((mark, count)) = counts.iter().find(|(_, count)| **count > 1) {
            return Err(format!("event {mark} ended in {count} files").into());
        }
        let missing = accepted
            .iter()
            .filter(|mark| !counts.contains_key(*mark))
            .count();
        if missing == 0 {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{missing} of {} accepted events are lost", accepted.len()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Posts as long as there is load to make, over whatever gateway is there.
fn send(load: &Load) {
    while !load.stop.load(Ordering::Acquire) {
        let address = load.address.lock().ok().and_then(|address| *address);
        let Some(mut stream) = address.and_then(connect) else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        while !load.stop.load(Ordering::Acquire) {
            let mark = format!("m{}", load.next.fetch_add(1, Ordering::Relaxed));
            match push(&mut stream, &mark) {
                Some((202, _)) => {
                    if let Ok(mut accepted) = load.accepted.lock() {
                        accepted.push(mark);
                    }
                }
                // Whatever else comes, or nothing: the event was not accepted.
                _ => break,
            }
        }
    }
}

fn seed() -> u64 {
    let given = std::env::var("CRASH_SEED").ok();
    given.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64 | 1)
    })
}

/// The next number of a xorshift sequence.
fn step(mut x: u64) -> u64 {
    x ^= x << 13;
    x ^= x >> 7;
    x ^ (x << 17)
}
