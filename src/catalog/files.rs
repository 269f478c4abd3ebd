//! The files of a configuration: folders read to their depths, and files
//! named one by one.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Severity};
use super::load::SourceFile;

/// Largest file that is read, in bytes.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Deepest folder that is looked into.
const DEPTH: usize = 32;

/// The files of a configuration, as far as they could be read.
#[derive(Clone, Debug, Default)]
pub struct ReadFiles {
    /// Their texts.
    pub files: Vec<SourceFile>,
    /// Files and folders that could not be read. What they hold is not gone.
    pub unread: Vec<PathBuf>,
    /// Why not.
    pub diagnostics: Vec<Diagnostic>,
}

impl From<Vec<SourceFile>> for ReadFiles {
    fn from(files: Vec<SourceFile>) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }
}

/// Reads the YAML files at `paths`, sorted by name within a folder. Hidden
/// files and folders are left out: mounted ConfigMaps keep older versions in
/// those.
pub fn read(paths: &[PathBuf]) -> ReadFiles {
    let mut reader = Reader::default();
    for path in paths {
        reader.read_named(path);
    }
    let mut read = reader.read;
    // One path may lead into another.
    let mut seen = HashSet::new();
    read.files.retain(|file| {
        let real = fs::canonicalize(&file.name);
        seen.insert(real.unwrap_or_else(|_| file.name.clone().into()))
    });
    read
}

#[derive(Default)]
struct Reader {
    read: ReadFiles,
    /// Folders that were read: links may lead to one again and again.
    visited: HashSet<PathBuf>,
}

impl Reader {
    fn read_named(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => self.read_folder(path, DEPTH),
            Ok(_) => self.read_file(path),
            Err(error) => self.fail(path, &error),
        }
    }

    fn read_folder(&mut self, folder: &Path, depth: usize) {
        let real = fs::canonicalize(folder);
        if !self.visited.insert(real.unwrap_or_else(|_| folder.into())) {
            return;
        }
        let entries = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect());
        let mut entries: Vec<PathBuf> = match entries {
            Ok(entries) => entries,
            Err(error) => return self.fail(folder, &error),
        };
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => match depth.checked_sub(1) {
                    Some(depth) => self.read_folder(&path, depth),
                    None => self.fail(&path, &io::Error::other("the folder is too deep")),
                },
                Ok(_) if is_yaml(&path) => self.read_file(&path),
                Ok(_) => {}
                // It went away while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.fail(&path, &error),
            }
        }
    }

    fn read_file(&mut self, path: &Path) {
        let text = fs::metadata(path).and_then(|meta| {
            if meta.len() > FILE_BYTES {
                return Err(io::Error::other(format!("larger than {FILE_BYTES} bytes")));
            }
            // A pipe would be read for ever.
            if !meta.is_file() {
                return Err(io::Error::other("this is no file"));
            }
            fs::read_to_string(path)
        });
        match text {
            Ok(text) => self.read.files.push(SourceFile {
                name: path.display().to_string(),
                text,
            }),
            Err(error) => self.fail(path, &error),
        }
    }

    fn fail(&mut self, path: &Path, error: &io::Error) {
        self.read.unread.push(path.to_owned());
        self.read.diagnostics.push(Diagnostic {
            file: path.display().to_string(),
            place: None,
            severity: Severity::Error,
            message: error.to_string(),
            pointer: String::new(),
        });
    }
}

/// Whether a file is one of a configuration, by its name.
pub(super) fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_to_their_depths_in_order() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "b.yaml",
            "a/c.yml",
            "a/readme.md",
            ".hidden/x.yaml",
            "a/.x.yaml",
            "a/d.json",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a: 1").unwrap();
        }
        let ReadFiles {
            files, diagnostics, ..
        } = read(&[root.path().into()]);
        let prefix = format!("{}/", root.path().display());
        let names: Vec<&str> = files
            .iter()
            .map(|f| f.name.strip_prefix(&prefix).unwrap())
            .collect();
        assert_eq!(names, ["a/c.yml", "a/d.json", "b.yaml"]);
        assert_eq!(diagnostics, []);
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_are_followed_once() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.yaml"), "a: 1").unwrap();
        for name in ["one", "two"] {
            std::os::unix::fs::symlink(root.path(), root.path().join(name)).unwrap();
        }
        let read = read(&[root.path().into()]);
        assert_eq!((read.files.len(), read.diagnostics.len()), (1, 0));
    }

    #[test]
    fn what_cannot_be_read_is_reported_and_hides_nothing() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.yaml"), [0xff]).unwrap();
        fs::write(root.path().join("b.yaml"), "a: 1").unwrap();
        let read = read(&[root.path().into(), "/nowhere.yaml".into()]);
        assert_eq!(read.files.len(), 1);
        let unread = [root.path().join("a.yaml"), "/nowhere.yaml".into()];
        assert_eq!(read.unread, unread);
        assert!(
            read.diagnostics[1]
                .to_string()
                .starts_with("/nowhere.yaml: ")
        );
    }
}
