//! The gateway is killed, held, and cut off from its cluster, and what it had
//! accepted is looked for.
//!
//! Everything that is drawn comes from one seed: a failure prints it, and
//! `CRASH_SEED` gives it back. `docs/reliability.md` says what the suite shows.

use libtest_mimic::Failed;

use crate::cluster::API_SERVER;
use crate::{Program, Test};

mod beside_cluster;
mod disk;
mod disk_model;
mod drain;
pub(crate) mod gateway;
mod kill;
pub(crate) mod load;
mod old;
pub(crate) mod oracle;
mod points;
mod power;
mod proxy;
pub(crate) mod random;
mod rough;
mod strace;
mod trace;
pub(crate) mod world;

/// What makes a small disk.
const MOUNT: Program = Program {
    name: "mount",
    how_to_get_it: "apt-get install mount",
    folder: None,
};

/// A test, and what it needs.
type Scenario = (&'static str, fn() -> Result<(), Failed>, Option<Program>);

const SCENARIOS: [Scenario; 14] = [
    (
        "crash::every_202_ends_in_exactly_one_file_through_ten_kills",
        kill::kills_under_load,
        None,
    ),
    (
        "crash::the_oracle_sees_what_is_lost_doubled_and_extra",
        oracle::sees,
        None,
    ),
    (
        "crash::dying_right_after_an_answer_loses_and_doubles_nothing",
        points::after_answers,
        None,
    ),
    (
        "crash::being_held_under_load_loses_and_doubles_nothing",
        rough::held_under_load,
        None,
    ),
    (
        "crash::every_202_is_written_after_the_sync_of_its_group",
        trace::each_202_follows_its_sync,
        Some(STRACE),
    ),
    (
        "crash::a_power_failure_leaves_everything_that_was_answered_202",
        power::failures,
        Some(STRACE),
    ),
    (
        "crash::new_events_are_refused_before_the_disk_is_full",
        disk::refused_before_it_is_full,
        Some(MOUNT),
    ),
    (
        "crash::a_disk_that_is_full_to_the_last_byte_loses_nothing",
        disk::full_to_the_last_byte,
        Some(MOUNT),
    ),
    (
        "crash::a_disk_that_cannot_be_written_loses_nothing",
        disk::unwritable,
        Some(PRLIMIT),
    ),
    (
        "crash::sigterm_finishes_what_was_accepted",
        drain::finishes_what_it_has,
        None,
    ),
    (
        "crash::sigterm_ends_within_the_grace_period_and_loses_nothing",
        drain::gives_back_what_it_cannot_finish,
        None,
    ),
    (
        "crash::the_gap_of_one_gateway_is_that_of_its_restart",
        drain::the_gap_of_one_gateway,
        None,
    ),
    (
        "crash::kills_and_outages_of_the_api_server_lose_and_double_nothing",
        beside_cluster::kills_and_outages,
        Some(API_SERVER),
    ),
    (
        "crash::an_api_server_behind_a_bad_network_has_each_object_once",
        beside_cluster::bad_network,
        Some(API_SERVER),
    ),
];

/// Those that need a binary with failpoints and a clock that can be shifted.
const IN_DEBUG_BUILDS: [Scenario; 5] = [
    (
        "crash::dying_anywhere_between_request_and_record_loses_and_doubles_nothing",
        points::under_load,
        None,
    ),
    (
        "crash::dying_while_the_journal_is_looked_after_loses_and_doubles_nothing",
        points::elsewhere,
        None,
    ),
    (
        "crash::a_clock_that_is_put_forward_and_back_gives_up_and_parks_nothing",
        rough::wrong_clock,
        None,
    ),
    (
        "crash::events_that_wait_get_no_older_by_a_clock_that_is_put_forward",
        rough::wrong_clock_while_events_wait,
        None,
    ),
    (
        "crash::an_object_that_is_deleted_before_its_record_is_there_once_again",
        beside_cluster::deleted_before_recorded,
        Some(API_SERVER),
    ),
];

/// The tests of this suite.
pub(crate) fn tests() -> Vec<Test> {
    let in_debug_builds = IN_DEBUG_BUILDS
        .into_iter()
        .filter(|_| cfg!(debug_assertions));
    let test = |(name, run, needs)| Test {
        name,
        needs,
        reads: None,
        run,
    };
    SCENARIOS
        .into_iter()
        .chain(in_debug_builds)
        .map(test)
        .collect()
}

const STRACE: Program = Program {
    name: "strace",
    how_to_get_it: "apt-get install strace",
    folder: None,
};

/// What bounds how large files may become.
const PRLIMIT: Program = Program {
    name: "prlimit",
    how_to_get_it: "apt-get install util-linux",
    folder: None,
};

/// Runs a test and says with which seed it failed.
pub(crate) fn report(seed: u64, run: impl FnOnce() -> Result<(), Failed>) -> Result<(), Failed> {
    run().map_err(|error| {
        let message = error.message().unwrap_or_default().to_owned();
        Failed::from(format!("{message} (CRASH_SEED={seed})"))
    })
}
