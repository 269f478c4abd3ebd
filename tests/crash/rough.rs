//! Held for a while, and told wrong times.

use std::time::Duration;

use libtest_mimic::Failed;

use super::gateway::{Gateway, Start};
use super::load::Load;
use super::oracle::{self, Files};
use super::random::{Random, seed};
use super::{report, world};

const SENDERS: u64 = 6;

/// An hour, in milliseconds.
const HOUR: i64 = 60 * 60 * 1000;

/// SIGSTOP and SIGCONT under load: senders wait, give up, send again, and
/// nothing comes of that but what should.
pub(crate) fn held_under_load() -> Result<(), Failed> {
    let seed = seed();
    report(seed, || {
        let folder = tempfile::tempdir()?;
        world::prepare(folder.path(), "default")?;
        let load = Load::start("default", seed, SENDERS, 4000);
        let gateway = Gateway::start(folder.path())?;
        load.turn_to(gateway.address);
        let mut random = Random::new(seed);
        for _ in 0..4 {
            load.wait_for(load.accepted() + 20)?;
            gateway.hold(Duration::from_millis(random.between(200, 1_500)))?;
        }
        let ledger = load.stop()?;
        oracle::judge(&ledger, &mut Files::of(folder.path(), "default"), gateway).map(drop)
    })
}

/// The clock is put forward by more than a delivery is tried for, and back by
/// days, while nothing can be made: nothing is given up for that, and nothing
/// waits until the time comes again.
pub(crate) fn wrong_clock() -> Result<(), Failed> {
    let seed = seed();
    report(seed, || {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        world::prepare(folder, "default")?;
        let (clock, out) = (folder.join("clock"), folder.join("out"));
        let named = clock.to_str().ok_or("the folder's name is no text")?;
        let start = Start::at(folder).set("CRASH_CLOCK", named);
        // A file where a folder should be: nothing can be made.
        std::fs::write(&out, "")?;
        std::fs::write(&clock, "0")?;
        let gateway = start.start()?;
        let load = Load::start("default", seed, SENDERS, 4000);
        load.turn_to(gateway.address);
        for hours in [0, 26, -50] {
            put(&clock, hours)?;
            load.wait_for(load.accepted() + 60)?;
            // All of it is tried at this time, some of it twice.
            std::thread::sleep(Duration::from_secs(2));
        }
        std::fs::remove_file(&out)?;
        load.wait_for(load.accepted() + 60)?;
        // Back once more while it is away: what it has accepted is later.
        gateway.kill()?;
        put(&clock, -200)?;
        let last = start.start()?;
        load.turn_to(last.address);
        load.wait_for(load.accepted() + 60)?;
        let ledger = load.stop()?;
        oracle::judge(&ledger, &mut Files::of(folder, "default"), last).map(drop)
    })
}

/// The clock is put forward by more than events may wait for their secret, and
/// they are looked at again: they wait on, and are performed when it comes.
pub(crate) fn wrong_clock_while_events_wait() -> Result<(), Failed> {
    let seed = seed();
    report(seed, || {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        world::prepare_without_secret(folder, "default")?;
        let clock = folder.join("clock");
        let named = clock.to_str().ok_or("the folder's name is no text")?;
        let gateway = Start::at(folder).set("CRASH_CLOCK", named).start()?;
        let load = Load::start("default", seed, SENDERS, 60);
        load.turn_to(gateway.address);
        let ledger = load.wait_for_end()?;
        put(&clock, 30)?;
        // Whatever changes has them looked at.
        world::bring_secret(folder, "somewhere-else")?;
        std::thread::sleep(Duration::from_secs(2));
        world::bring_secret(folder, "default")?;
        oracle::judge(&ledger, &mut Files::of(folder, "default"), gateway).map(drop)
    })
}

/// Replaces the file, so that nobody reads half a number.
fn put(clock: &std::path::Path, hours: i64) -> Result<(), Failed> {
    let next = clock.with_extension("next");
    std::fs::write(&next, (hours * HOUR).to_string())?;
    Ok(std::fs::rename(next, clock)?)
}
