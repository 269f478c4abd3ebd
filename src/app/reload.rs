//! Reading the configuration again when something has changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::catalog::watch_files::Watch;
use crate::catalog::{Catalog, Loader, SourceFile, files};
use crate::secrets::{SecretSet, SecretStore};
use crate::telemetry::Metrics;
use crate::telemetry::happening::{ConfigLoaded, ConfigMistake, Happening};

/// Where triggers come from.
#[derive(Clone, Debug)]
pub enum Triggers {
    /// Folders and files, watched.
    Paths(Vec<PathBuf>),
    /// Files inside the binary.
    Shipped(Vec<SourceFile>),
}

/// What is read again when something changes.
pub(super) struct Reloader {
    pub triggers: Triggers,
    pub secret_dirs: Vec<PathBuf>,
    pub loader: Loader,
    pub catalog: Arc<Catalog>,
    pub secrets: Arc<SecretStore>,
    pub metrics: Arc<Metrics>,
}

impl Reloader {
    /// Watches what can change.
    pub(super) fn watch(&self) -> anyhow::Result<Option<Watch>> {
        let mut paths = self.secret_dirs.clone();
        if let Triggers::Paths(triggers) = &self.triggers {
            paths.extend(triggers.iter().cloned());
        }
        if paths.is_empty() {
            return Ok(None);
        }
        Watch::new(&paths)
            .map(Some)
            .context("watching the trigger files")
    }

    /// Reads everything again and puts it in force. Secrets come first, so
    /// that no trigger is in force without its secrets.
    pub(super) fn reload(&mut self) {
        let began = Instant::now();
        let (files, mut diagnostics) = match &self.triggers {
            Triggers::Paths(paths) => files::read(paths),
            Triggers::Shipped(files) => (files.clone(), Vec::new()),
        };
        let loaded = self.loader.load(&files);
        diagnostics.extend(loaded.diagnostics);
        let mut secrets = SecretSet::default();
        diagnostics.extend(secrets.add_objects(&loaded.objects));
        let mut mistakes: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        for folder in &self.secret_dirs {
            if let Err(error) = secrets.add_folder(folder) {
                mistakes.push(error.to_string());
            }
        }
        self.secrets.replace(secrets);
        let listeners = loaded.snapshot.listeners().count();
        let triggers = loaded.snapshot.listeners().map(|l| l.triggers.len()).sum();
        self.catalog.replace(loaded.snapshot);
        for diagnostic in &mistakes {
            ConfigMistake { diagnostic }.emit(&self.metrics);
        }
        let loaded = ConfigLoaded {
            listeners,
            triggers,
            errors: mistakes.len(),
            took: began.elapsed(),
        };
        loaded.emit(&self.metrics);
    }

    /// Reloads on every change, and on SIGHUP, until `stop`.
    pub(super) async fn run(mut self, mut watch: Option<Watch>, stop: CancellationToken) {
        let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
        else {
            return;
        };
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => {}
                () = changed => {}
            }
            let reloaded = tokio::task::spawn_blocking(move || {
                self.reload();
                self
            });
            match reloaded.await {
                Ok(reloader) => self = reloader,
                Err(_) => return,
            }
        }
    }
}
