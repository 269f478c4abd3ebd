//! The gateway in a cluster: real etcd, real kube-apiserver, real kubectl, the
//! real binary with the rights that `deploy/` gives it.

use std::path::PathBuf;

use crate::{Data, Program, Test};

/// Fails with what was seen where something is not as it should be.
macro_rules! ensure {
    ($condition:expr, $($seen:tt)*) => {
        if !$condition {
            return Err(libtest_mimic::Failed::from(format!($($seen)*)));
        }
    };
}

pub(crate) mod api_server;
mod examples;
mod gateway;
mod once;
mod pairs;
mod roll_back;
mod scenarios;
mod services;
mod stand_in;
mod webhook;

/// What the tests of this suite need.
pub(crate) const API_SERVER: Program = Program {
    name: "kube-apiserver",
    how_to_get_it: "tests/cluster/assets/build builds it with Go; or set KUBEBUILDER_ASSETS",
    folder: Some(assets),
};

/// The tests of this suite.
pub(crate) fn tests() -> Vec<Test> {
    let own = scenarios::ALL.iter().chain(&services::ALL);
    let own = own
        .chain(&roll_back::ALL)
        .chain(&once::ALL)
        .chain(&pairs::ALL)
        .map(|scenario| (scenario, None));
    let recorded = Data {
        name: "recorded cases of Tekton Triggers",
        how_to_get_it: "they are no part of the repository; CONFORMANCE_CASES names their folder",
        folder: examples::folder,
    };
    let recorded = examples::ALL
        .iter()
        .map(|scenario| (scenario, Some(recorded)));
    own.chain(recorded)
        .map(|((name, run), reads)| Test {
            name,
            needs: Some(API_SERVER),
            reads,
            run: *run,
        })
        .collect()
}

/// Ends the servers that tests have started.
pub(crate) fn shut_down() {
    api_server::shut_down();
}

/// The folder with kube-apiserver, etcd and kubectl, where it is there.
fn assets() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS") {
        return Some(folder.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let folder = cache.join("tripline/kubernetes").join(hash()?);
    folder.is_dir().then_some(folder)
}

/// The name that `assets/build` gives its folder.
fn hash() -> Option<String> {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    for file in ["go.mod", "go.sum", "build"] {
        hasher.update(std::fs::read(PathBuf::from("tests/cluster/assets").join(file)).ok()?);
    }
    Some(data_encoding::HEXLOWER.encode(&hasher.finalize()))
}
