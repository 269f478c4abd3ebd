//! Reading the configuration again when something has changed.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::catalog::diagnostic::{Diagnostic, Severity};
use crate::catalog::watch_files::{Watch, Watched};
use crate::catalog::{Catalog, Loader, Snapshot, SourceFile, files};
use crate::console::Health;
use crate::secrets::{SecretSet, SecretStore};
use crate::telemetry::Metrics;
use crate::telemetry::happening::{ConfigFailed, ConfigLoaded, ConfigMistake, Happening};

/// Where triggers come from.
#[derive(Clone, Debug)]
pub enum Triggers {
    /// Folders and files, watched.
    Paths(Vec<PathBuf>),
    /// Files inside the binary.
    Shipped(Vec<SourceFile>),
    /// Objects of a cluster, watched.
    Cluster,
}

/// What is read again when something changes.
pub(super) struct Reloader {
    pub triggers: Triggers,
    pub secret_dirs: Vec<PathBuf>,
    pub loader: Loader,
    /// The secrets that were read last.
    pub last: SecretSet,
    pub installer: Installer,
}

/// Puts a configuration in force, wherever it comes from.
pub(super) struct Installer {
    pub default_listener: Option<String>,
    pub catalog: Arc<Catalog>,
    pub secrets: Arc<SecretStore>,
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
}

/// Something that is wrong, for people.
pub(super) struct Mistake {
    text: String,
    is_error: bool,
}

impl Mistake {
    pub(super) fn of(diagnostic: &Diagnostic) -> Self {
        Self {
            text: diagnostic.to_string(),
            is_error: diagnostic.severity == Severity::Error,
        }
    }

    fn error(text: impl ToString) -> Self {
        Self {
            text: text.to_string(),
            is_error: true,
        }
    }
}

impl Reloader {
    /// Watches what can change.
    pub(super) fn watch(&self) -> anyhow::Result<Option<Watch>> {
        let secrets = self.secret_dirs.iter().map(|path| Watched {
            path: path.clone(),
            every_file: true,
        });
        let triggers = self.trigger_paths().iter().map(|path| Watched {
            path: path.clone(),
            every_file: false,
        });
        let watched: Vec<Watched> = secrets.chain(triggers).collect();
        if watched.is_empty() {
            return Ok(None);
        }
        Watch::new(watched)
            .map(Some)
            .context("watching the trigger files")
    }

    fn trigger_paths(&self) -> &[PathBuf] {
        match &self.triggers {
            Triggers::Paths(paths) => paths,
            Triggers::Shipped(_) | Triggers::Cluster => &[],
        }
    }

    /// Reads everything again and puts it in force. Secrets come first, so
    /// that no trigger is in force without its secrets.
    pub(super) fn reload(&mut self) {
        let began = Instant::now();
        let files = match &self.triggers {
            Triggers::Paths(paths) => files::read(paths),
            Triggers::Shipped(files) => files.clone().into(),
            Triggers::Cluster => Vec::new().into(),
        };
        let loaded = self.loader.load(&files);
        let mut secrets = SecretSet::default();
        let mut diagnostics = loaded.diagnostics;
        diagnostics.extend(secrets.add_objects(&loaded.objects, &self.last));
        let mut mistakes: Vec<Mistake> = diagnostics.iter().map(Mistake::of).collect();
        for folder in &self.secret_dirs {
            let errors = secrets.add_folder(folder, &self.last);
            mistakes.extend(errors.iter().map(Mistake::error));
        }
        self.last = secrets.clone();
        self.installer.secrets.replace(secrets);
        self.installer.install(loaded.snapshot, mistakes, began);
        // A single file is like a single object; where a whole folder cannot
        // be read, nobody can say what this gateway is for.
        let paths = self.trigger_paths();
        if !files
            .unread
            .iter()
            .any(|path| paths.contains(path) || path.is_dir())
        {
            self.installer.health.loaded();
        }
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
                if let Some(Err(error)) = watch.as_mut().map(Watch::renew) {
                    self.installer
                        .failed(&format!("the trigger files cannot be watched: {error}"));
                }
                if std::panic::catch_unwind(AssertUnwindSafe(|| self.reload())).is_err() {
                    self.installer.failed("reading the configuration panicked");
                }
                (self, watch)
            });
            match reloaded.await {
                Ok(reloaded) => (self, watch) = reloaded,
                Err(_) => return,
            }
        }
    }
}

impl Installer {
    /// Puts a snapshot in force and tells what is wrong with it.
    pub(super) fn install(
        &self,
        snapshot: Arc<Snapshot>,
        mut mistakes: Vec<Mistake>,
        began: Instant,
    ) {
        mistakes.extend(self.default_listener_missing(&snapshot));
        let listeners = snapshot.listeners().count();
        let triggers = snapshot.listeners().map(|l| l.triggers.len()).sum();
        let texts = mistakes.iter().map(|mistake| mistake.text.clone());
        self.catalog.replace(snapshot, texts.collect());
        for Mistake { text, is_error } in &mistakes {
            let (diagnostic, is_error) = (text.as_str(), *is_error);
            let mistake = ConfigMistake {
                diagnostic,
                is_error,
            };
            mistake.emit(&self.metrics);
        }
        let loaded = ConfigLoaded {
            listeners,
            triggers,
            errors: mistakes.iter().filter(|mistake| mistake.is_error).count(),
            warnings: mistakes.iter().filter(|mistake| !mistake.is_error).count(),
            took: began.elapsed(),
        };
        loaded.emit(&self.metrics);
    }

    fn default_listener_missing(&self, snapshot: &Snapshot) -> Option<Mistake> {
        let path = self.default_listener.as_deref()?;
        let missing = snapshot.listener(path).is_none();
        missing
            .then(|| Mistake::error(format!("defaultListener: there is no EventListener {path}")))
    }

    pub(super) fn failed(&self, message: &str) {
        ConfigFailed { message }.emit(&self.metrics);
    }
}
