//! Objects as files: `FOLDER/NAMESPACE/KIND/NAME.yaml`.
//!
//! A file appears whole or not at all, and only where there is none of its
//! name yet, as an API server would have it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::failpoint::{self, Point};
use crate::model::manifest::Manifest;

use super::path::ObjectPath;
use super::{ActError, Action, Actor, Effect, Performing, same_origin};

/// Longest name of a file, as most filesystems have it.
const FILE_NAME_BYTES: usize = 255;

/// A folder that objects are written to.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Writes below `root`, which is made when the first object comes.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where the file of `manifest` is, or will be.
    pub fn path_of(&self, manifest: &Manifest) -> Result<PathBuf, ActError> {
        let ObjectPath {
            namespace,
            kind,
            name,
        } = ObjectPath::of(manifest)?;
        let file = format!("{name}.yaml");
        if file.len() > FILE_NAME_BYTES {
            let message = format!("`{name}` is too long for the name of a file");
            return Err(ActError::Invalid(message));
        }
        Ok(self.root.join(namespace).join(kind).join(file))
    }

    fn write(&self, manifest: &Manifest) -> Result<Effect, ActError> {
        let path = self.path_of(manifest)?;
        let shown = path.display().to_string();
        let text = serde_saphyr::to_string(&manifest.0)
            .map_err(|error| ActError::Invalid(format!("{shown}: {error}")))?;
        let unavailable = |source| ActError::Unavailable {
            what: shown.clone(),
            source,
        };
        match create(&path, text.as_bytes()) {
            Ok(()) => Ok(Effect::Created(shown)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                match read(&path).map_err(unavailable)? {
                    Some(there) if same_origin(&there, manifest) => {
                        // The attempt that made it may have ended before this.
                        sync_folder_of(&path).map_err(unavailable)?;
                        Ok(Effect::AlreadyThere(shown))
                    }
                    _ => Err(ActError::NameTaken(shown)),
                }
            }
            Err(error) => Err(unavailable(error)),
        }
    }
}

impl Action for Folder {
    fn perform<'a>(&'a self, manifest: &'a Manifest, _: Actor<'a>) -> Performing<'a> {
        let (folder, manifest) = (self.clone(), manifest.clone());
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || folder.write(&manifest)).await;
            written.unwrap_or_else(|error| {
                Err(ActError::Unavailable {
                    what: "writing the file".into(),
                    source: io::Error::other(error),
                })
            })
        })
    }

    fn describe(&self) -> String {
        format!("files in {}", self.root.display())
    }
}

/// Writes a file that must not be there, so that after a power failure it is
/// there whole or not at all.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    make_folder(folder)?;
    // One name for all attempts at the same object, so that nothing stays
    // behind; another one for every other object.
    let digest = HEXLOWER.encode(&Sha256::digest(bytes)[..8]);
    let temporary = folder.join(format!(".{digest}.part"));
    // A new file, because what is left behind may be linked to `path` already.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    // A link, because a rename would replace what is there.
    let linked = fs::hard_link(&temporary, path);
    failpoint::reach(Point::AfterLink);
    fs::remove_file(&temporary)?;
    linked?;
    sync_folder_of(path)
}

/// Makes a folder where it is not there, so that it is still there after a
/// power failure.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| *parent != Path::new(""));
    if let Some(parent) = parent {
        make_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => {}
        // Somebody else was faster, and may not have got to the next line.
        Err(_) if folder.is_dir() => {}
        Err(error) => return Err(error),
    }
    sync_folder_of(folder)
}

/// Makes the name of a file or folder durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| *parent != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The object in a file; nothing where it is none.
fn read(path: &Path) -> io::Result<Option<Manifest>> {
    let Ok(text) = String::from_utf8(fs::read(path)?) else {
        return Ok(None);
    };
    let parsed: Result<Value, _> = serde_saphyr::from_str(&text);
    Ok(parsed.ok().map(Manifest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::act::Patience;

    const NOBODY: Actor<'_> = Actor {
        namespace: "ci",
        account: "default",
    };

    fn manifest(event: &str, data: &str) -> Manifest {
        Manifest(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "a",
                "namespace": "ci",
                "annotations": {
                    "tripline.dev/event-id": event,
                    "tripline.dev/trigger": "ci/t",
                    "tripline.dev/index": "0",
                },
            },
            "data": {"text": data},
        }))
    }

    fn files(root: &Path) -> Vec<String> {
        let folder = fs::read_dir(root.join("ci/ConfigMap")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.collect()
    }

    #[tokio::test]
    async fn an_object_becomes_a_file_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("out"));
        let wanted = manifest("1", "no\n: [}\t\u{1F680}");
        let effect = folder.perform(&wanted, NOBODY).await.unwrap();
        assert!(
            matches!(&effect, Effect::Created(path) if path.ends_with("out/ci/ConfigMap/a.yaml"))
        );
        assert_eq!(files(&root.path().join("out")), ["a.yaml"]);
        let there = read(&folder.path_of(&wanted).unwrap()).unwrap();
        assert_eq!(there, Some(wanted));
    }

    #[tokio::test]
    async fn the_same_object_again_is_there_already() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().into());
        folder
            .perform(&manifest("1", "first"), NOBODY)
            .await
            .unwrap();
        let again = folder
            .perform(&manifest("1", "first"), NOBODY)
            .await
            .unwrap();
        assert!(matches!(again, Effect::AlreadyThere(_)));
        assert_eq!(files(root.path()), ["a.yaml"]);
    }

    #[tokio::test]
    async fn a_name_that_another_event_has_is_taken_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().into());
        folder
            .perform(&manifest("1", "first"), NOBODY)
            .await
            .unwrap();
        let error = folder
            .perform(&manifest("2", "second"), NOBODY)
            .await
            .unwrap_err();
        assert!(matches!(error, ActError::NameTaken(_)));
        let there = read(&root.path().join("ci/ConfigMap/a.yaml")).unwrap();
        assert_eq!(there, Some(manifest("1", "first")));
        assert_eq!(files(root.path()), ["a.yaml"]);
    }

    #[tokio::test]
    async fn what_a_broken_attempt_left_behind_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().into());
        let wanted = manifest("1", "x");
        let path = folder.path_of(&wanted).unwrap();
        folder.perform(&wanted, NOBODY).await.unwrap();
        // As a process leaves it that ends between writing and linking.
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let digest = HEXLOWER.encode(&Sha256::digest(&text)[..8]);
        let left = path.with_file_name(format!(".{digest}.part"));
        fs::write(left, "half").unwrap();
        folder.perform(&wanted, NOBODY).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), text);
        assert_eq!(files(root.path()), ["a.yaml"]);
        // Or between linking and removing: what is there already stays.
        let left = path.with_file_name(format!(".{digest}.part"));
        fs::hard_link(&path, &left).unwrap();
        let open = File::open(&path).unwrap();
        folder.perform(&wanted, NOBODY).await.unwrap();
        assert_eq!(open.metadata().unwrap().len(), text.len() as u64);
        assert_eq!(files(root.path()), ["a.yaml"]);
    }

    #[tokio::test]
    async fn a_file_that_is_no_object_has_its_name() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().into());
        let path = folder.path_of(&manifest("1", "x")).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for bytes in [&b"\xff\xfe"[..], b"{", b"- 1"] {
            fs::write(&path, bytes).unwrap();
            let error = folder
                .perform(&manifest("1", "x"), NOBODY)
                .await
                .unwrap_err();
            assert!(matches!(error, ActError::NameTaken(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_name_that_no_file_can_have_is_no_obstacle_for_ever() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().into());
        for (length, fits) in [(250, true), (251, false), (253, false)] {
            let mut wanted = manifest("1", "x");
            wanted.0["metadata"]["name"] = "n".repeat(length).into();
            let performed = folder.perform(&wanted, NOBODY).await;
            assert_eq!(performed.is_ok(), fits, "{length}: {performed:?}");
            assert!(
                performed
                    .err()
                    .is_none_or(|error| error.patience() == Patience::None)
            );
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_may_be_tried_again() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Folder::new(file)
            .perform(&manifest("1", "x"), NOBODY)
            .await
            .unwrap_err();
        assert!(error.patience() == Patience::Long, "{error}");
    }
}
