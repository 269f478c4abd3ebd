//! What is left when the power fails: only what was synced.
//!
//! `kill -9` keeps what the kernel holds. So the system calls of a gateway are
//! recorded, and what its files would be on the disk at some moment is made of
//! them: all that a sync has covered which had returned, and of the rest
//! whatever chance gives, down to single sectors. A gateway that is started
//! there has to know every event that had been answered 202.

use std::path::Path;

use libtest_mimic::Failed;

use super::disk_model::Disk;
use super::gateway::Start;
use super::load::Ledger;
use super::oracle::{self, Files};
use super::random::{Random, seed};
use super::strace::Call;
use super::trace::{placed, traced};
use super::{report, world};

const SENDERS: u64 = 4;

/// Events of the recording: enough to have the log moved into the database.
const EVENTS: u64 = 260;

/// Moments at which the power fails.
const FAILURES: usize = 8;

/// The power fails just after the first 202, while the log is moved, and at
/// some moments under load.
pub(crate) fn failures() -> Result<(), Failed> {
    let seed = seed();
    report(seed, || {
        let folder = tempfile::tempdir()?;
        let folder = folder.path().canonicalize()?;
        let (ledger, calls) = traced(&folder, seed, SENDERS, EVENTS)?;
        let answers: Vec<(usize, String)> = calls
            .iter()
            .filter_map(|call| Some((call.began, call.accepts()?)))
            .collect();
        let (first, _) = answers.iter().min().ok_or("nothing was accepted")?;
        let last = calls.last().ok_or("nothing was done")?.ended;
        let mut random = Random::of_part(seed, 99);
        // One in the midst of moving the log into the database, when that is
        // neither as it was nor as it will be.
        let database = folder.join("new/data/journal.db");
        let moves = |call: &&Call| {
            let writes = call.name == "pwrite64" && call.began > *first;
            writes && call.file().as_deref() == Some(&database)
        };
        let moved: Vec<usize> = calls.iter().filter(moves).map(|call| call.ended).collect();
        let any = random.between(0, moved.len().max(1) as u64);
        let moving = moved.get(usize::try_from(any)?);
        let moving = moving.ok_or("the log was never moved into the database")?;
        let mut moments = vec![*first, *moving];
        while moments.len() < FAILURES {
            let moment = random.between(*first as u64, last as u64);
            moments.push(usize::try_from(moment)?);
        }
        for moment in moments {
            let known = known_at(&ledger, &answers, moment);
            let accepted = known.accepted.len();
            fail_at(&folder, &calls, moment, known, &mut random).map_err(|error| {
                let message = error.message().unwrap_or_default().to_owned();
                Failed::from(format!("in line {moment} of {last}: {message}"))
            })?;
            println!("power failed in line {moment} of {last}: {accepted} events are known");
        }
        Ok(())
    })
}

/// What senders knew at a moment: the answers that were begun by then.
fn known_at(ledger: &Ledger, answers: &[(usize, String)], moment: usize) -> Ledger {
    let answered = |id: &String| {
        let mut answers = answers.iter();
        answers.any(|(at, answered)| *at <= moment && answered == id)
    };
    let mut known = ledger.clone();
    known.accepted.retain(|_, id| answered(id));
    known
}

fn fail_at(
    folder: &Path,
    calls: &[Call],
    moment: usize,
    known: Ledger,
    random: &mut Random,
) -> Result<(), Failed> {
    let disk = Disk::at(folder, calls, moment)?;
    let after = tempfile::tempdir()?;
    let after = after.path();
    disk.write_to(after, random)?;
    world::prepare(after, "default")?;
    let gateway = placed(Start::at(after), after)?.start()?;
    let mut files = Files::of(&after.join("new"), "default");
    oracle::judge(&known, &mut files, gateway).map(drop)
}
