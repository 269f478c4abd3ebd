//! Word of changes in the folders of a configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{CreateKind, ModifyKind, RemoveKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::files::is_yaml;

/// How long it must have been quiet before a change is told of: editors and
/// mounts change several files at once.
const QUIET: Duration = Duration::from_millis(150);

/// The longest that a change is held back when it never gets quiet.
const NO_LONGER_THAN: Duration = Duration::from_secs(2);

/// A folder or file whose changes matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Where it is.
    pub path: PathBuf,
    /// Whether every file in the folder matters, and not YAML alone.
    pub every_file: bool,
}

/// Tells of changes.
pub struct Watch {
    watched: Arc<[Watched]>,
    /// Replaced as a whole: a folder that was replaced by another one is no
    /// longer the one that is watched.
    watcher: RecommendedWatcher,
    sender: mpsc::Sender<()>,
    changes: mpsc::Receiver<()>,
}

impl Watch {
    /// Watches these folders and files.
    pub fn new(mut watched: Vec<Watched>) -> notify::Result<Self> {
        // Changes are told of by absolute paths.
        for watched in &mut watched {
            watched.path = std::path::absolute(&watched.path)?;
        }
        // One word that something has changed is enough.
        let (sender, changes) = mpsc::channel(1);
        let watched: Arc<[Watched]> = watched.into();
        let watcher = watcher(&watched, sender.clone())?;
        Ok(Self {
            watched,
            watcher,
            sender,
            changes,
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

    /// Watches what is there now under the same paths. To be called before
    /// what has changed is read, so that no later change is missed.
    pub fn renew(&mut self) -> notify::Result<()> {
        self.watcher = watcher(&self.watched, self.sender.clone())?;
        Ok(())
    }
}

/// Watches each path, and the folder that it is in: editors replace files,
/// and mounts replace links to folders.
fn watcher(
    watched: &Arc<[Watched]>,
    sender: mpsc::Sender<()>,
) -> notify::Result<RecommendedWatcher> {
    let known = Arc::clone(watched);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if matters(&event, &known) {
            let _ = sender.try_send(());
        }
    })?;
    for Watched { path, .. } in watched.iter() {
        let is_folder = path.is_dir();
        if is_folder {
            watcher.watch(path, RecursiveMode::Recursive)?;
        }
        let above = path.parent().unwrap_or(path);
        if above.is_dir() || !is_folder {
            watcher.watch(above, RecursiveMode::NonRecursive)?;
        }
    }
    Ok(watcher)
}

fn matters(event: &notify::Result<Event>, watched: &[Watched]) -> bool {
    let Ok(event) = event else {
        // Something was missed.
        return true;
    };
    let is_read = matches!(event.kind, EventKind::Access(_));
    // A folder comes or goes under any name, and a rename does not say of what.
    let any_name = matches!(
        event.kind,
        EventKind::Create(CreateKind::Folder)
            | EventKind::Remove(RemoveKind::Folder)
            | EventKind::Modify(ModifyKind::Name(_))
    );
    let matters = |path: &PathBuf| {
        let mut watched = watched.iter();
        watched.any(|watched| watched.is_about(path, any_name))
    };
    !is_read && (event.need_rescan() || event.paths.iter().any(matters))
}

impl Watched {
    /// Whether a change at `path` may change what is read.
    fn is_about(&self, path: &Path, any_name: bool) -> bool {
        if path == self.path {
            return true;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Mounted ConfigMaps and Secrets are links to `..data`, which is
        // replaced.
        let is_mount = name.starts_with("..");
        if path.starts_with(&self.path) {
            let is_folder = path.extension().is_none();
            return is_mount || any_name || self.every_file || is_folder || is_yaml(path);
        }
        is_mount && path.parent() == self.path.parent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn folder(path: &Path) -> Watched {
        Watched {
            path: path.into(),
            every_file: false,
        }
    }

    async fn is_told(watch: &mut Watch) {
        let told = tokio::time::timeout(PATIENCE, watch.changed());
        told.await.unwrap();
    }

    #[tokio::test]
    async fn a_new_file_a_replaced_one_and_one_in_a_new_folder_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(vec![folder(root.path())]).unwrap();
        std::fs::write(root.path().join("a.yaml"), "a: 1").unwrap();
        is_told(&mut watch).await;
        let other = root.path().join(".new");
        std::fs::write(&other, "a: 2").unwrap();
        std::fs::rename(&other, root.path().join("a.yaml")).unwrap();
        is_told(&mut watch).await;
        std::fs::create_dir(root.path().join("sub")).unwrap();
        is_told(&mut watch).await;
        std::fs::write(root.path().join("sub/b.yaml"), "b: 1").unwrap();
        is_told(&mut watch).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_replaced_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let (here, there) = (root.path().join("triggers"), root.path().join("next"));
        std::fs::create_dir(&here).unwrap();
        std::fs::create_dir(&there).unwrap();
        let mut watch = Watch::new(vec![folder(&here)]).unwrap();
        std::fs::rename(&here, root.path().join("old")).unwrap();
        std::fs::rename(&there, &here).unwrap();
        is_told(&mut watch).await;
        watch.renew().unwrap();
        std::fs::write(here.join("a.yaml"), "a: 1").unwrap();
        is_told(&mut watch).await;
    }

    #[tokio::test]
    async fn folders_of_any_name_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        let (here, aside) = (root.path().join("triggers"), root.path().join("aside"));
        std::fs::create_dir(&here).unwrap();
        std::fs::create_dir_all(aside.join("v1.2")).unwrap();
        let mut watch = Watch::new(vec![folder(&here)]).unwrap();
        std::fs::rename(aside.join("v1.2"), here.join("v1.2")).unwrap();
        is_told(&mut watch).await;
        std::fs::rename(here.join("v1.2"), aside.join("v1.2")).unwrap();
        is_told(&mut watch).await;
    }

    #[tokio::test]
    async fn a_relative_path_is_watched_like_any_other() {
        let here = std::env::current_dir().unwrap();
        let target = here.join("target");
        std::fs::create_dir_all(&target).unwrap();
        let root = tempfile::tempdir_in(&target).unwrap();
        let relative = root.path().strip_prefix(&here).unwrap();
        let file = relative.join("a.yaml");
        let mut watch = Watch::new(vec![folder(relative)]).unwrap();
        std::fs::write(&file, "a: 1").unwrap();
        is_told(&mut watch).await;
        let mut watch = Watch::new(vec![folder(&file)]).unwrap();
        std::fs::write(&file, "a: 2").unwrap();
        is_told(&mut watch).await;
    }

    #[test]
    fn only_what_is_read_matters() {
        let watched = |path: &str, every_file| Watched {
            path: path.into(),
            every_file,
        };
        let triggers = watched("/etc/triggers", false);
        for (path, matters) in [
            ("/etc/triggers", true),
            ("/etc/triggers/a.yaml", true),
            ("/etc/triggers/sub", true),
            ("/etc/triggers/..data", true),
            ("/etc/triggers/.a.yaml.swp", false),
            ("/etc/triggers/out/x.log", false),
            ("/etc/other.yaml", false),
        ] {
            assert_eq!(triggers.is_about(Path::new(path), false), matters, "{path}");
        }
        let file = watched("/etc/t/a.yaml", false);
        assert!(file.is_about(Path::new("/etc/t/a.yaml"), false));
        assert!(file.is_about(Path::new("/etc/t/..data"), false));
        assert!(!file.is_about(Path::new("/etc/t/b.yaml"), true));
        assert!(watched("/s", true).is_about(Path::new("/s/hook/token.txt"), false));
    }
}
