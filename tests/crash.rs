//! The gateway is killed, held, and cut off from its cluster, and what it had
//! accepted is looked for.
//!
//! Everything that is drawn comes from one seed: a failure prints it, and
//! `CRASH_SEED` gives it back. `docs/reliability.md` says what the suite shows.

use libtest_mimic::Failed;

use crate::{Program, Test};

mod disk;
pub(crate) mod gateway;
mod kill;
pub(crate) mod load;
mod old;
pub(crate) mod oracle;
mod points;
pub(crate) mod random;
mod rough;
mod trace;
pub(crate) mod world;

/// What makes a small disk.
const MOUNT: Program = Program {
    name: "mount",
    how_to_get_it: "apt-get install mount",
    folder: None,
};

/// The tests of this suite.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests = vec![
        test(
            "crash::every_202_ends_in_exactly_one_file_through_ten_kills",
            kill::kills_under_load,
        ),
        test(
            "crash::being_held_under_load_loses_and_doubles_nothing",
            rough::held_under_load,
        ),
        Test {
            needs: Some(STRACE),
            ..test(
                "crash::every_202_is_written_after_the_sync_of_its_group",
                trace::each_202_follows_its_sync,
            )
        },
        Test {
            needs: Some(MOUNT),
            ..test(
                "crash::new_events_are_refused_before_the_disk_is_full",
                disk::refused_before_it_is_full,
            )
        },
        Test {
            needs: Some(MOUNT),
            ..test(
                "crash::a_disk_that_is_full_to_the_last_byte_loses_nothing",
                disk::full_to_the_last_byte,
            )
        },
        Test {
            needs: Some(PRLIMIT),
            ..test(
                "crash::a_disk_that_cannot_be_written_loses_nothing",
                disk::unwritable,
            )
        },
    ];
    // Other builds have no failpoints.
    if cfg!(debug_assertions) {
        tests.extend([
            test(
                "crash::dying_anywhere_between_request_and_record_loses_and_doubles_nothing",
                points::under_load,
            ),
            test(
                "crash::dying_while_the_journal_is_looked_after_loses_and_doubles_nothing",
                points::elsewhere,
            ),
            test(
                "crash::a_clock_that_is_put_forward_and_back_gives_up_and_parks_nothing",
                rough::wrong_clock,
            ),
        ]);
    }
    tests
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

fn test(name: &'static str, run: fn() -> Result<(), Failed>) -> Test {
    Test {
        name,
        needs: None,
        reads: None,
        run,
    }
}

/// Runs a test and says with which seed it failed.
pub(crate) fn report(seed: u64, run: impl FnOnce() -> Result<(), Failed>) -> Result<(), Failed> {
    run().map_err(|error| {
        let message = error.message().unwrap_or_default().to_owned();
        Failed::from(format!("{message} (CRASH_SEED={seed})"))
    })
}
