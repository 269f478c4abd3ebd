//! Killed at each of the binary's failpoints.

use libtest_mimic::Failed;
use tripline::failpoint::Point;

use super::gateway::{Gateway, Start};
use super::load::Load;
use super::oracle::{self, Files};
use super::random::{Random, seed};
use super::{old, report, world};

/// How often the gateway dies at one point.
const DEATHS: u64 = 3;

const SENDERS: u64 = 4;

/// Events that a point gets at most.
const EVENTS: u64 = 1500;

/// What it takes to come to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Load.
    Load,
    /// So much of it that the log is moved into the database.
    FullLog,
    /// A budget for bodies so small that deliveries are given back.
    Tight,
    /// Events that wait for a secret, which comes.
    Waiting,
    /// A journal of an older format.
    OldFormat,
}

fn way(point: Point) -> Way {
    match point {
        Point::BeforeAppend
        | Point::InTransaction
        | Point::AfterTransaction
        | Point::AfterAppend
        | Point::BeforeCommit
        | Point::AfterCommit
        | Point::AfterCreate
        | Point::BetweenResources
        | Point::AfterLink
        | Point::AfterRecord => Way::Load,
        Point::Checkpoint => Way::FullLog,
        Point::HandBack => Way::Tight,
        Point::Settle | Point::AfterSettle => Way::Waiting,
        Point::Migration => Way::OldFormat,
    }
}

/// Dies at every point that load alone comes to.
pub(crate) fn under_load() -> Result<(), Failed> {
    at_all(&[Way::Load])
}

/// Killed as soon as a sender has read its answer, when the delivery is in
/// nobody's hands but the journal's.
pub(crate) fn after_answers() -> Result<(), Failed> {
    let seed = seed();
    report(seed, || {
        let folder = tempfile::tempdir()?;
        world::prepare(folder.path(), "default")?;
        let load = Load::start("default", seed, SENDERS, EVENTS);
        let mut random = Random::new(seed);
        for _ in 0..10 {
            let gateway = Gateway::start(folder.path())?;
            let before = load.accepted();
            load.turn_to(gateway.address);
            let more = usize::try_from(random.between(1, 12)).unwrap_or(1);
            load.wait_for(before + more)?;
            gateway.kill()?;
        }
        let ledger = load.stop()?;
        let last = Gateway::start(folder.path())?;
        oracle::judge(&ledger, &mut Files::of(folder.path(), "default"), last).map(drop)
    })
}

/// Dies at every other point.
pub(crate) fn elsewhere() -> Result<(), Failed> {
    at_all(&[Way::FullLog, Way::Tight, Way::Waiting, Way::OldFormat])
}

fn at_all(ways: &[Way]) -> Result<(), Failed> {
    let seed = seed();
    report(seed, || {
        for (nth, point) in (0..).zip(Point::ALL) {
            let way = way(point);
            if !ways.contains(&way) {
                continue;
            }
            let mut random = Random::of_part(seed, nth);
            die_at(point, way, &mut random).map_err(|error| {
                let message = error.message().unwrap_or_default().to_owned();
                Failed::from(format!("{}: {message}", point.name()))
            })?;
        }
        Ok(())
    })
}

fn die_at(point: Point, way: Way, random: &mut Random) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let load_seed = random.next();
    let place = |random: &mut Random| {
        let highest = if way == Way::Load { 40 } else { 3 };
        let time = random.between(1, highest);
        // In the middle of moving the log, and not before it only.
        let after = match way {
            Way::FullLog => format!("+{}", random.between(0, 20_000)),
            _ => String::new(),
        };
        format!("{}:{time}{after}", point.name())
    };
    match way {
        Way::Waiting => return waiting(folder, point, load_seed),
        Way::OldFormat => return migrating(folder, point, load_seed),
        Way::Load | Way::FullLog | Way::Tight => world::prepare(folder, "default")?,
    }
    let load = Load::start("default", load_seed, SENDERS, EVENTS);
    for _ in 0..DEATHS {
        let mut start = Start::at(folder).crash_at(&place(random));
        if way == Way::Tight {
            start = start
                .set("TRIPLINE_LIMITS__IN_FLIGHT", "1MiB")
                .set("TRIPLINE_LIMITS__BODY", "512KiB");
        }
        let gateway = start.start()?;
        load.turn_to(gateway.address);
        gateway.dies()?;
    }
    let last = Gateway::start(folder)?;
    load.turn_to(last.address);
    load.wait_for(load.accepted() + 20)?;
    let ledger = load.stop()?;
    let outcome = oracle::judge(&ledger, &mut Files::of(folder, "default"), last)?;
    println!(
        "{}: {} events, {} objects",
        point.name(),
        outcome.accepted,
        outcome.objects
    );
    Ok(())
}

/// Events that wait, and a gateway that dies when their secret has come.
fn waiting(folder: &std::path::Path, point: Point, seed: u64) -> Result<(), Failed> {
    world::prepare_without_secret(folder, "default")?;
    let load = Load::start("default", seed, SENDERS, 60);
    let first = Gateway::start(folder)?;
    load.turn_to(first.address);
    let ledger = load.wait_for_end()?;
    first.kill()?;
    world::bring_secret(folder, "default")?;
    for time in 1..=DEATHS {
        let place = format!("{}:{}", point.name(), time * 5);
        Start::at(folder).crash_at(&place).dies()?;
    }
    let last = Gateway::start(folder)?;
    oracle::judge(&ledger, &mut Files::of(folder, "default"), last).map(drop)
}

/// A journal of the first format, and a gateway that dies at each step to the
/// newest.
fn migrating(folder: &std::path::Path, point: Point, seed: u64) -> Result<(), Failed> {
    world::prepare(folder, "default")?;
    let load = Load::start("default", seed, SENDERS, 200);
    // Nothing is performed: it dies when it comes to that.
    let place = format!("{}:1", Point::BeforeCommit.name());
    let mut accepted = 0;
    for _ in 0..5 {
        let gateway = Start::at(folder).crash_at(&place).start()?;
        load.turn_to(gateway.address);
        gateway.dies()?;
        accepted = load.accepted();
    }
    let ledger = load.stop()?;
    if accepted == 0 {
        return Err("no event was accepted".into());
    }
    let steps = old::put_back(&folder.join(".tripline/journal.db"))?;
    for left in (1..=steps).rev() {
        // In the step that comes next, and in the one after that.
        for time in 1..=left.min(2) {
            let place = format!("{}:{time}", point.name());
            Start::at(folder).crash_at(&place).dies()?;
        }
    }
    let last = Gateway::start(folder)?;
    oracle::judge(&ledger, &mut Files::of(folder, "default"), last).map(drop)
}
