//! The order of system calls: an event is in the log, the log is synced, and
//! only then is its 202 written.

use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::gateway::{PATIENCE, Start};
use super::load::Load;
use super::world;

const SENDERS: u64 = 6;

const EVENTS: u64 = 60;

/// For each event: its bytes go into the write-ahead log, a sync of the log
/// that began afterwards returns, and then the answer with its id is written.
pub(crate) fn each_202_follows_its_sync() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    world::prepare(folder.path(), "default")?;
    let trace = folder.path().join("trace");
    let trace = trace.to_str().ok_or("the folder's name is no text")?;
    let calls = "trace=pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync";
    // Detached, so that signals reach the gateway and not its tracer.
    let before = [
        "strace", "-D", "-f", "-y", "-s", "9000", "-e", calls, "-o", trace,
    ];
    let gateway = Start::at(folder.path()).behind(&before).start()?;
    let load = Load::start("default", 7, SENDERS, EVENTS);
    load.turn_to(gateway.address);
    let ledger = load.wait_for_end()?;
    gateway.stop()?;
    let answered: Vec<_> = ledger
        .accepted
        .iter()
        .filter(|(mark, _)| !ledger.offered[*mark].objects().is_empty())
        .collect();
    let text = whole_trace(trace)?;
    let lines: Vec<&str> = text.lines().collect();
    let syncs = syncs(&lines);
    for (mark, id) in &answered {
        check(&lines, &syncs, mark, id)?;
    }
    println!(
        "{} events, {} syncs of the log",
        answered.len(),
        syncs.len()
    );
    Ok(())
}

/// The trace, once its last line is written.
fn whole_trace(path: &str) -> Result<String, Failed> {
    let began = Instant::now();
    loop {
        let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
        let threads = text
            .lines()
            .filter(|line| line.contains("+++ exited with"))
            .count();
        // The main thread is the last one to end.
        let ended = text
            .lines()
            .last()
            .is_some_and(|line| line.contains("+++ exited with"));
        if threads > 1 && ended {
            return Ok(text);
        }
        if began.elapsed() > PATIENCE {
            return Err("the tracer does not end".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// When each sync of the log began and when it had returned, as lines of the
/// trace. A call that another thread interrupts is shown in two lines.
fn syncs(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut syncs = Vec::new();
    for (began, line) in lines.iter().enumerate() {
        let is_sync = line.contains("fdatasync(") || line.contains("fsync(");
        if !is_sync || !line.contains("journal.db-wal") {
            continue;
        }
        if line.ends_with("= 0") {
            syncs.push((began, began));
            continue;
        }
        let thread = line.split(' ').next().unwrap_or_default();
        let resumed = lines.iter().enumerate().skip(began + 1).find(|(_, later)| {
            later.split(' ').next() == Some(thread) && later.contains("sync resumed")
        });
        if let Some((returned, line)) = resumed
            && line.ends_with("= 0")
        {
            syncs.push((began, returned));
        }
    }
    syncs
}

fn check(lines: &[&str], syncs: &[(usize, usize)], mark: &str, id: &str) -> Result<(), Failed> {
    let find = |what: &str, matches: &dyn Fn(&str) -> bool| {
        let found = lines.iter().position(|line| matches(line));
        found.ok_or_else(|| Failed::from(format!("{mark}: no {what} in the trace")))
    };
    let logged = find("write to the log", &|line| {
        line.contains("pwrite64(") && line.contains("journal.db-wal") && line.contains(mark)
    })?;
    let answered = find("answer", &|line| {
        line.contains("HTTP/1.1 202") && line.contains(id)
    })?;
    let synced = syncs
        .iter()
        .any(|(began, returned)| *began > logged && *returned < answered);
    if synced {
        return Ok(());
    }
    Err(format!(
        "{mark}: logged in line {logged}, answered in line {answered}, and no sync between them"
    )
    .into())
}
