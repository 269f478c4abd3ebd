//! The gateway is killed, and what it had accepted is looked for.

use crate::{Program, Test};

mod drain;
mod gateway;
mod kill;
mod trace;

/// The tests of this suite.
pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test {
            name: "crash::sigterm_finishes_what_was_accepted",
            needs: None,
            reads: None,
            run: drain::finishes_what_it_has,
        },
        Test {
            name: "crash::sigterm_ends_within_the_grace_period_and_loses_nothing",
            needs: None,
            reads: None,
            run: drain::gives_back_what_it_cannot_finish,
        },
        Test {
            name: "crash::the_gap_of_one_gateway_is_that_of_its_restart",
            needs: None,
            reads: None,
            run: drain::the_gap_of_one_gateway,
        },
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
    ]
}
