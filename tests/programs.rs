//! Suites that run the real binary, and programs beside it.
//!
//! A test whose program is not on this machine is reported as ignored, with a
//! line that says how to get it. Under `CI=true` it fails in place of that: the
//! gate installs programs. Recordings that are not ours to publish it cannot
//! get, so a test that lacks those is ignored there too.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may panic, print and look at the clock"
)]

use std::path::PathBuf;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

mod cluster;
mod crash;
mod nats;

/// What every journal promises.
#[path = "contract/promises.rs"]
mod contract;

/// A program that a test needs.
struct Program {
    name: &'static str,
    how_to_get_it: &'static str,
    /// The folder that it is in, where that is not on the path.
    folder: Option<fn() -> Option<PathBuf>>,
}

impl Program {
    fn is_here(&self) -> bool {
        if let Some(folder) = self.folder {
            return folder().is_some_and(|folder| folder.join(self.name).is_file());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(self.name).is_file())
    }
}

/// Files that a test reads and that are no part of the repository.
#[derive(Clone, Copy)]
struct Data {
    name: &'static str,
    how_to_get_it: &'static str,
    /// Where they are, if anywhere.
    folder: fn() -> Option<PathBuf>,
}

/// A test of this binary.
struct Test {
    name: &'static str,
    needs: Option<Program>,
    reads: Option<Data>,
    run: fn() -> Result<(), Failed>,
}

fn main() {
    let arguments = Arguments::from_args();
    let required = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    let tests = crash::tests().into_iter().chain(cluster::tests());
    let tests = tests.chain(nats::tests());
    let trials = tests.map(|test| trial(test, required));
    let conclusion: Conclusion = libtest_mimic::run(&arguments, trials.collect());
    cluster::shut_down();
    conclusion.exit();
}

fn trial(test: Test, required: bool) -> Trial {
    if let Some(data) = test.reads.filter(|data| (data.folder)().is_none()) {
        let (what, how) = (data.name, data.how_to_get_it);
        return ignored(test.name, &format!("{} reads {what}: {how}", test.name));
    }
    let missing = test.needs.filter(|program| !program.is_here());
    match missing {
        None => Trial::test(test.name, test.run),
        Some(Program {
            name,
            how_to_get_it,
            ..
        }) => {
            let message = format!("{} needs {name}: {how_to_get_it}", test.name);
            if required {
                return Trial::test(test.name, move || Err(Failed::from(message)));
            }
            ignored(test.name, &message)
        }
    }
}

fn ignored(name: &str, why: &str) -> Trial {
    eprintln!("{why}");
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
