//! What every journal promises.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use libtest_mimic::Failed;
use tripline::journal::jetstream::{Access, JetStreamJournal, Settings};

use super::server::{Release, Servers};
use crate::contract::{Opened, PROMISES, Place};

/// Streams on a server.
pub(crate) struct Streams<'a> {
    pub(crate) access: Access,
    pub(crate) settings: Settings,
    pub(crate) folder: &'a Path,
}

impl<'a> Streams<'a> {
    pub(crate) fn new(servers: &Servers, prefix: &str, folder: &'a Path) -> Self {
        Self {
            access: Access {
                servers: servers.url(),
                ..Access::default()
            },
            settings: Settings {
                prefix: prefix.to_owned(),
                replicas: if servers.servers.len() > 1 { 3 } else { 1 },
                max_bytes: -1,
                history_max_bytes: -1,
                retention: Duration::from_secs(3600),
                dedupe_kept_for: Duration::from_secs(3600),
            },
            folder,
        }
    }
}

impl Place for Streams<'_> {
    fn open_history(&self) -> Pin<Box<dyn Future<Output = Opened> + '_>> {
        Box::pin(async {
            let seal = self.folder.join("seal.key");
            let opened = JetStreamJournal::open(&self.access, &self.settings, &seal).await;
            Opened::of(opened.unwrap())
        })
    }
}

/// A runtime for one scenario.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    let built = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    Ok(built?)
}

pub(super) fn every_promise(release: Release) -> Result<(), Failed> {
    let servers = Servers::one(release, "")?;
    let folder = tempfile::tempdir()?;
    let runtime = runtime()?;
    for (name, promise) in PROMISES {
        println!("{name}");
        let streams = Streams::new(&servers, name, folder.path());
        runtime.block_on(promise(&streams));
    }
    println!("{} promises kept", super::promised());
    Ok(())
}
