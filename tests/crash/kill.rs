//! Killed at random moments under load.

use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::gateway::Start;
use super::load::Load;
use super::oracle::{self, Files, Outcome};
use super::random::{Random, number, seed};
use super::{report, world};

/// Kills where `CRASH_CYCLES` says nothing.
const CYCLES: u64 = 10;

/// How many times as many there may be on a slow machine.
const MORE: u64 = 5;

const SENDERS: u64 = 8;

/// Events that are sent at most in one cycle.
const EVENTS_EACH: u64 = 250;

/// The shortest and the longest time between a start and a kill, in
/// milliseconds.
const LIFE_MS: (u64, u64) = (30, 600);

/// Every event that was answered 202 ends in exactly one file for each trigger
/// and index, and nothing else does. `CRASH_CYCLES` says how often the gateway
/// is killed, `CRASH_EVENTS` how many events must have been accepted by then,
/// and `CRASH_BINARY` which binary it is.
pub(crate) fn kills_under_load() -> Result<(), Failed> {
    let cycles = number("CRASH_CYCLES").unwrap_or(CYCLES);
    let wanted = number("CRASH_EVENTS").unwrap_or(cycles * 10);
    let seed = seed();
    report(seed, || {
        let began = Instant::now();
        let (cycles, outcome) = run(seed, cycles, wanted)?;
        if (outcome.accepted as u64) < wanted {
            return Err(format!("only {} events were accepted", outcome.accepted).into());
        }
        println!(
            "| cycles | events accepted | sent again | objects | lost | doubled | seed | seconds |\n\
             | {cycles} | {} | {} | {} | {} | {} | {seed} | {:.0} |",
            outcome.accepted,
            outcome.repeated,
            outcome.objects,
            outcome.lost.len(),
            outcome.doubled.len(),
            began.elapsed().as_secs_f64()
        );
        Ok(())
    })
}

/// Kills as often as it should, and on a slow machine more often, until enough
/// events were accepted. Gives how often.
fn run(seed: u64, cycles: u64, wanted: u64) -> Result<(u64, Outcome), Failed> {
    let folder = tempfile::tempdir()?;
    world::prepare(folder.path(), "default")?;
    let load = Load::start("default", seed, SENDERS, cycles * EVENTS_EACH);
    let mut random = Random::new(seed);
    let mut killed = 0;
    while killed < cycles || (load.accepted() as u64) < wanted && killed < cycles * MORE {
        let gateway = Start::at(folder.path()).any_binary().start()?;
        load.turn_to(gateway.address);
        let life = random.between(LIFE_MS.0, LIFE_MS.1);
        std::thread::sleep(Duration::from_millis(life));
        gateway.kill()?;
        killed += 1;
    }
    let ledger = load.stop()?;
    let last = Start::at(folder.path()).any_binary().start()?;
    let outcome = oracle::judge(&ledger, &mut Files::of(folder.path(), "default"), last)?;
    Ok((killed, outcome))
}
