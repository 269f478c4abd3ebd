//! The order of system calls: an event is in the log, the log is synced, and
//! only then is its 202 written. So are the names of the files.

use std::path::Path;

use libtest_mimic::Failed;

use super::gateway::Start;
use super::load::{Ledger, Load};
use super::random::seed;
use super::strace::{self, Call};
use super::{report, world};

const SENDERS: u64 = 6;

const EVENTS: u64 = 60;

/// For each event that some trigger wants: its bytes go into the write-ahead
/// log, a sync of the log that began afterwards returns, and then the answer
/// with its id is written. Before the first of those, everything that the
/// journal consists of has a name that is synced.
pub(crate) fn each_202_follows_its_sync() -> Result<(), Failed> {
    let seed = seed();
    report(seed, || {
        let folder = tempfile::tempdir()?;
        let folder = folder.path().canonicalize()?;
        let (ledger, calls) = traced(&folder, seed, SENDERS, EVENTS)?;
        let log = folder.join("new/data/journal.db-wal");
        let syncs: Vec<&Call> = calls.iter().filter(|call| call.syncs(&log)).collect();
        let mut checked = 0;
        let mut first_answer = usize::MAX;
        for (mark, id) in &ledger.accepted {
            if ledger.offered[mark].objects().is_empty() {
                continue;
            }
            let answered = check(&calls, &syncs, &log, mark, id)?;
            first_answer = first_answer.min(answered);
            checked += 1;
        }
        if checked < 10 {
            return Err(format!("only {checked} events were wanted").into());
        }
        names_are_synced(&calls, &folder, first_answer)?;
        println!("{checked} events, {} syncs of the log", syncs.len());
        Ok(())
    })
}

/// Runs a gateway with load and its data below a folder that it has to make,
/// `new`. Gives what its senders know, and its calls.
pub(crate) fn traced(
    folder: &Path,
    seed: u64,
    senders: u64,
    events: u64,
) -> Result<(Ledger, Vec<Call>), Failed> {
    world::prepare(folder, "default")?;
    let trace = folder.join("trace");
    let gateway = placed(Start::at(folder), folder)?
        .behind(&strace::before(text(&trace)?))
        .start()?;
    let load = Load::start("default", seed, senders, events);
    load.turn_to(gateway.address);
    let ledger = load.wait_for_end()?;
    let id = gateway.id();
    gateway.stop()?;
    Ok((ledger, strace::read(&trace, id)?))
}

/// With the journal and the objects below `folder`.
pub(crate) fn placed<'a>(start: Start<'a>, folder: &Path) -> Result<Start<'a>, Failed> {
    let (data, out) = (folder.join("new/data"), folder.join("new/out"));
    let sink = format!("dir:{}", text(&out)?);
    Ok(start.arguments(&["--data", text(&data)?, "--sink", &sink]))
}

fn text(path: &Path) -> Result<&str, Failed> {
    Ok(path.to_str().ok_or("the folder's name is no text")?)
}

/// Gives when the event was answered.
fn check(
    calls: &[Call],
    syncs: &[&Call],
    log: &Path,
    mark: &str,
    id: &str,
) -> Result<usize, Failed> {
    let contains = |call: &Call| {
        let needle = mark.as_bytes();
        let has = |bytes: &Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle);
        call.bytes.iter().any(has)
    };
    let is_logged = |call: &&Call| {
        call.name == "pwrite64" && call.file().as_deref() == Some(log) && contains(call)
    };
    let missing = |what| Failed::from(format!("{mark}: no {what} in the trace"));
    let logged = calls.iter().find(is_logged);
    let logged = logged.ok_or_else(|| missing("write to the log"))?.ended;
    let answer = calls
        .iter()
        .find(|call| call.accepts().as_deref() == Some(id));
    let answered = answer.ok_or_else(|| missing("answer"))?.began;
    let synced = |sync: &&Call| sync.began > logged && sync.ended < answered;
    if !syncs.iter().any(synced) {
        return Err(format!(
            "{mark}: logged in line {logged}, answered in line {answered}, and no sync between them"
        )
        .into());
    }
    Ok(answered)
}

/// Whatever is made for the journal has a name that a sync of its folder has
/// made durable before the first answer.
fn names_are_synced(calls: &[Call], folder: &Path, first_answer: usize) -> Result<(), Failed> {
    let data = folder.join("new/data");
    for path in [
        folder.join("new"),
        data.clone(),
        data.join("journal.db"),
        data.join("journal.db-wal"),
        data.join("seal.key"),
    ] {
        let makes = |call: &&Call| match call.name.as_str() {
            "mkdir" => call.result == 0 && call.named(0).as_ref() == Some(&path),
            "rename" | "link" | "linkat" => call.named(1).as_ref() == Some(&path),
            "openat" => call.has("O_CREAT") && call.file_opened() == Some(path.clone()),
            _ => false,
        };
        let made = calls.iter().find(makes);
        let made = made.ok_or_else(|| format!("nothing makes {}", path.display()))?;
        let parent = path.parent().ok_or("no parent")?;
        let synced = |call: &Call| {
            call.syncs(parent) && call.began > made.ended && call.ended < first_answer
        };
        if !calls.iter().any(synced) {
            return Err(format!("the name of {} is not synced", path.display()).into());
        }
    }
    Ok(())
}
