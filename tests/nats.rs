//! The journal that gateways share, on real NATS servers: the one that Debian
//! has and a current one.

use std::path::PathBuf;

use libtest_mimic::Failed;

use crate::contract::PROMISES;
use crate::{Program, Test};

mod access;
mod gateways;
mod promises;
mod server;

use server::Release;

/// A scenario on each of the releases.
type Scenario = (
    &'static str,
    fn() -> Result<(), Failed>,
    fn() -> Result<(), Failed>,
);

macro_rules! scenario {
    ($name:literal, $run:path) => {
        ($name, || $run(Release::Packaged), || $run(Release::Current))
    };
}

const SCENARIOS: [Scenario; 7] = [
    scenario!("keeps_every_promise_of_a_journal", promises::every_promise),
    scenario!(
        "loses_and_doubles_nothing_when_gateways_are_killed",
        gateways::killed_in_turn
    ),
    scenario!(
        "loses_and_doubles_nothing_when_it_is_killed",
        gateways::server_killed
    ),
    scenario!(
        "loses_and_doubles_nothing_as_one_of_three",
        gateways::one_of_three_lost
    ),
    scenario!(
        "refuses_what_does_not_fit",
        access::refuses_what_does_not_fit
    ),
    scenario!(
        "is_used_over_tls_with_a_password",
        access::over_tls_with_a_password
    ),
    scenario!(
        "gives_what_a_held_gateway_had_to_another",
        gateways::held_for_long
    ),
];

/// The tests of this suite.
pub(crate) fn tests() -> Vec<Test> {
    let test = |name: String, folder: Option<fn() -> Option<PathBuf>>, run| Test {
        name: name.leak(),
        needs: Some(Program {
            name: "nats-server",
            how_to_get_it: match folder {
                None => "apt-get install nats-server",
                Some(_) => "tests/nats/assets/build builds it with Go",
            },
            folder,
        }),
        reads: None,
        run,
    };
    SCENARIOS
        .iter()
        .flat_map(|(name, packaged, built)| {
            [
                test(format!("nats::packaged_{name}"), None, *packaged),
                test(format!("nats::current_{name}"), Some(current), *built),
            ]
        })
        .collect()
}

/// The folder of the current release, where it has been built.
fn current() -> Option<PathBuf> {
    use sha2::Digest;
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let mut hasher = sha2::Sha256::new();
    for file in ["go.mod", "go.sum", "build"] {
        hasher.update(std::fs::read(PathBuf::from("tests/nats/assets").join(file)).ok()?);
    }
    let hash = data_encoding::HEXLOWER.encode(&hasher.finalize());
    Some(cache.join("tripline/nats").join(hash))
}

/// The number of promises, for whoever reads the log.
fn promised() -> usize {
    PROMISES.len()
}
