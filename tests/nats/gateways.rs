//! Gateways that share a journal, killed, held and left without their server
//! under load. What was answered 202 ends in exactly one object for each
//! trigger and place, whoever performs it.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::server::{Release, Servers};
use crate::crash::gateway::{Gateway, Start};
use crate::crash::load::{Ledger, Load};
use crate::crash::oracle::{self, Files, Outcome};
use crate::crash::random::{Random, number, seed};
use crate::crash::{report, world};

const NAMESPACE: &str = "default";

/// Kills where `CRASH_NATS_CYCLES` says nothing.
const CYCLES: u64 = 8;

const SENDERS: u64 = 8;

/// Events that are sent at most in one cycle.
const EVENTS_EACH: u64 = 250;

/// Gateways on the same server, in the same folder.
struct Fleet<'a> {
    folder: &'a Path,
    url: String,
    replicas: usize,
    gateways: Vec<Gateway>,
}

impl<'a> Fleet<'a> {
    fn start(folder: &'a Path, servers: &Servers, count: usize) -> Result<Self, Failed> {
        let mut fleet = Self {
            folder,
            url: servers.url(),
            replicas: if servers.servers.len() > 1 { 3 } else { 1 },
            gateways: Vec::new(),
        };
        for _ in 0..count {
            fleet.add()?;
        }
        Ok(fleet)
    }

    fn add(&mut self) -> Result<(), Failed> {
        let gateway = Start::at(self.folder)
            .any_binary()
            .set("TRIPLINE_JOURNAL", &self.url)
            .set("TRIPLINE_NATS__REPLICAS", &self.replicas.to_string())
            .start()?;
        self.gateways.push(gateway);
        Ok(())
    }

    fn lead(&self, load: &Load) {
        let addresses: Vec<_> = self
            .gateways
            .iter()
            .map(|gateway| gateway.address)
            .collect();
        load.spread_over(&addresses);
    }

    /// Ends one of them at once and starts another one.
    fn replace(&mut self, index: usize, load: &Load) -> Result<(), Failed> {
        self.gateways.swap_remove(index).kill()?;
        self.lead(load);
        self.add()?;
        self.lead(load);
        Ok(())
    }

    /// Stops all, the last one when everything is there that has to be.
    fn judge(mut self, ledger: &Ledger) -> Result<Outcome, Failed> {
        let last = self.gateways.pop().ok_or("no gateway is left")?;
        let mut files = Files::of(self.folder, NAMESPACE);
        oracle::wait(ledger, &mut files, Duration::from_secs(60))?;
        for gateway in self.gateways {
            gateway.stop()?;
        }
        oracle::judge(ledger, &mut files, last)
    }
}

fn show(what: &str, outcome: &Outcome, seed: u64, began: Instant) {
    println!(
        "| {what} | {} | {} | {} | {} | {} | {seed} | {:.0} |",
        outcome.accepted,
        outcome.repeated,
        outcome.objects,
        outcome.lost.len(),
        outcome.doubled.len(),
        began.elapsed().as_secs_f64()
    );
}

/// Two gateways on one server; now one, now the other is killed.
pub(super) fn killed_in_turn(release: Release) -> Result<(), Failed> {
    let (seed, began) = (seed(), Instant::now());
    let cycles = number("CRASH_NATS_CYCLES").unwrap_or(CYCLES);
    report(seed, || {
        let folder = tempfile::tempdir()?;
        world::prepare(folder.path(), NAMESPACE)?;
        let servers = Servers::one(release, "")?;
        let mut fleet = Fleet::start(folder.path(), &servers, 2)?;
        let load = Load::start(NAMESPACE, seed, SENDERS, cycles * EVENTS_EACH);
        fleet.lead(&load);
        let mut random = Random::new(seed);
        for _ in 0..cycles {
            std::thread::sleep(Duration::from_millis(random.between(30, 600)));
            fleet.replace(0, &load)?;
        }
        let outcome = fleet.judge(&load.stop()?)?;
        enough(&outcome, cycles * 10)?;
        show(
            &format!("{cycles} kills, {release:?}"),
            &outcome,
            seed,
            began,
        );
        Ok(())
    })
}

/// The server itself is killed and started again.
pub(super) fn server_killed(release: Release) -> Result<(), Failed> {
    let (seed, began) = (seed(), Instant::now());
    report(seed, || {
        let folder = tempfile::tempdir()?;
        world::prepare(folder.path(), NAMESPACE)?;
        let mut servers = Servers::one(release, "")?;
        let fleet = Fleet::start(folder.path(), &servers, 2)?;
        let load = Load::start(NAMESPACE, seed, SENDERS, 2_000);
        fleet.lead(&load);
        for events in [100, 200] {
            load.wait_for(events)?;
            servers.servers[0].kill()?;
            std::thread::sleep(Duration::from_secs(1));
            servers.servers[0].start_again()?;
        }
        load.wait_for(400)?;
        let outcome = fleet.judge(&load.stop()?)?;
        show(
            &format!("server killed twice, {release:?}"),
            &outcome,
            seed,
            began,
        );
        Ok(())
    })
}

/// Three gateways on three servers, each of which is lost for a while.
pub(super) fn one_of_three_lost(release: Release) -> Result<(), Failed> {
    let (seed, began) = (seed(), Instant::now());
    report(seed, || {
        let folder = tempfile::tempdir()?;
        world::prepare(folder.path(), NAMESPACE)?;
        let mut servers = Servers::three(release)?;
        let fleet = Fleet::start(folder.path(), &servers, 3)?;
        let load = Load::start(NAMESPACE, seed, SENDERS, 3_000);
        fleet.lead(&load);
        for number in 0..3 {
            load.wait_for(load.accepted() + 100)?;
            servers.servers[number].kill()?;
            // The two that are left go on.
            load.wait_for(load.accepted() + 100)?;
            servers.servers[number].start_again()?;
        }
        let outcome = fleet.judge(&load.stop()?)?;
        show(
            &format!("each of three servers lost, {release:?}"),
            &outcome,
            seed,
            began,
        );
        Ok(())
    })
}

/// A gateway that is held for longer than the server waits for a sign of life:
/// the other one performs what it had.
pub(super) fn held_for_long(release: Release) -> Result<(), Failed> {
    let (seed, began) = (seed(), Instant::now());
    report(seed, || {
        let folder = tempfile::tempdir()?;
        world::prepare(folder.path(), NAMESPACE)?;
        let servers = Servers::one(release, "")?;
        let fleet = Fleet::start(folder.path(), &servers, 2)?;
        let load = Load::start(NAMESPACE, seed, SENDERS, 2_000);
        fleet.lead(&load);
        load.wait_for(200)?;
        // Longer than it takes until others get what it has.
        fleet.gateways[0].hold(Duration::from_secs(35))?;
        let outcome = fleet.judge(&load.stop()?)?;
        show(
            &format!("held for 35 s, {release:?}"),
            &outcome,
            seed,
            began,
        );
        Ok(())
    })
}

fn enough(outcome: &Outcome, wanted: u64) -> Result<(), Failed> {
    match outcome.accepted as u64 >= wanted {
        true => Ok(()),
        false => Err(format!("only {} events were accepted", outcome.accepted).into()),
    }
}
