//! The gateway is killed, and what it had accepted is looked for.

use crate::{Program, Test};

mod disk;
mod gateway;
mod kill;
mod trace;

/// What makes a small disk.
const MOUNT: Program = Program {
    name: "mount",
    how_to_get_it: "apt-get install mount",
    folder: None,
};

/// The tests of this suite.
pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test {
            name: "crash::every_202_ends_in_exactly_one_file_through_ten_kills",
            needs: None,
            reads: None,
            run: kill::ten_kills_under_load,
        },
        Test {
            name: "crash::every_202_is_written_after_the_sync_of_its_group",
            needs: Some(Program {
                name: "strace",
                how_to_get_it: "apt-get install strace",
                folder: None,
            }),
            reads: None,
            run: trace::each_202_follows_its_sync,
        },
        Test {
            name: "crash::new_events_are_refused_before_the_disk_is_full",
            needs: Some(MOUNT),
            reads: None,
            run: disk::refused_before_it_is_full,
        },
        Test {
            name: "crash::a_disk_that_is_full_to_the_last_byte_loses_nothing",
            needs: Some(MOUNT),
            reads: None,
            run: disk::full_to_the_last_byte,
        },
        Test {
            name: "crash::a_disk_that_cannot_be_written_loses_nothing",
            needs: Some(Program {
                name: "prlimit",
                how_to_get_it: "apt-get install util-linux",
                folder: None,
            }),
            reads: None,
            run: disk::unwritable,
        },
    ]
}
