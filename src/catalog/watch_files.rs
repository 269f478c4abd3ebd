//! Word of changes in the folders of a configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// How long it must have been quiet before a change is told of: editors and
/// mounts change several files at once.
const QUIET: Duration = Duration::from_millis(150);

/// The longest that a change is held back when it never gets quiet.
const NO_LONGER_THAN: Duration = Duration::from_secs(2);

/// Tells of changes.
pub struct Watch {
    changes: mpsc::Receiver<()>,
    // Watches as long as it lives.
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches the folders at `paths`, and the folders of the files there:
    /// editors replace files, and mounts replace links to folders.
    pub fn new(paths: &[PathBuf]) -> notify::Result<Self> {
        // One word that something has changed is enough.
        let (sender, changes) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let reads = |event: &Event| matches!(event.kind, EventKind::Access(_));
            if !event.as_ref().is_ok_and(reads) {
                let _ = sender.try_send(());
            }
        })?;
        for path in paths {
            let is_folder = path.is_dir();
            let folder = match path.parent() {
                _ if is_folder => path.as_path(),
                Some(parent) if parent != Path::new("") => parent,
                _ => Path::new("."),
            };
            let mode = if is_folder {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
            };
            watcher.watch(folder, mode)?;
        }
        Ok(Self {
            changes,
            _watcher: watcher,
        })
    }

    /// Waits for a change, and until it is quiet again.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            return std::future::pending().await;
        }
        let quiet = async {
            while tokio::time::timeout(QUIET, self.changes.recv())
                .await
                .is_ok()
            {}
        };
        let _ = tokio::time::timeout(NO_LONGER_THAN, quiet).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_file_a_replaced_one_and_one_in_a_new_folder_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(&[root.path().into()]).unwrap();
        let patience = Duration::from_secs(10);
        std::fs::write(root.path().join("a.yaml"), "a: 1").unwrap();
        tokio::time::timeout(patience, watch.changed())
            .await
            .unwrap();
        let other = root.path().join(".new");
        std::fs::write(&other, "a: 2").unwrap();
        std::fs::rename(&other, root.path().join("a.yaml")).unwrap();
        tokio::time::timeout(patience, watch.changed())
            .await
            .unwrap();
        std::fs::create_dir(root.path().join("sub")).unwrap();
        tokio::time::timeout(patience, watch.changed())
            .await
            .unwrap();
        std::fs::write(root.path().join("sub/b.yaml"), "b: 1").unwrap();
        tokio::time::timeout(patience, watch.changed())
            .await
            .unwrap();
    }
}
