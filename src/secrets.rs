//! Where secrets come from: manifests among the trigger files, and folders.
//!
//! In: objects, folders. Out: a synchronous view that stages compare with. A
//! value is never logged, and never leaves this process.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use data_encoding::BASE64;
use tokio::sync::mpsc;

use crate::catalog::diagnostic::Diagnostic;
use crate::catalog::objects::Objects;
use crate::model::problem::pointer_token;
use crate::model::secret::{SecretKeyRef, SecretLookup, SecretValue, Secrets};

mod cluster;

pub use cluster::{Told, Watches};

/// Secrets that may be asked for at once.
const DEMANDS: usize = 256;

/// Largest file that is taken for a secret: the API server's own limit.
const SECRET_BYTES: u64 = 1024 * 1024;

/// Namespace of a folder's secrets that stand in no folder of their own.
const DEFAULT_NAMESPACE: &str = "default";

/// Namespace and name of a Secret.
pub type SecretName = (String, String);

type Values = HashMap<SecretName, HashMap<String, SecretValue>>;

/// The secrets that are known, replaced as a whole when they change.
#[derive(Default)]
pub struct SecretStore {
    values: ArcSwapOption<Values>,
    /// Whom to ask for a Secret that nobody has looked up yet, where secrets
    /// are read by name only.
    demand: Option<mpsc::Sender<SecretName>>,
}

impl SecretStore {
    /// A store that has not been read yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A store of secrets that are read by name. One that nobody has read is
    /// not known to be missing: it is asked for through the channel.
    pub fn by_name() -> (Arc<Self>, mpsc::Receiver<SecretName>) {
        let (demand, demands) = mpsc::channel(DEMANDS);
        let store = Self {
            values: ArcSwapOption::default(),
            demand: Some(demand),
        };
        (Arc::new(store), demands)
    }

    /// Takes over a new state.
    pub fn replace(&self, secrets: SecretSet) {
        self.values.store(Some(Arc::new(secrets.values)));
    }
}

impl Secrets for SecretStore {
    fn find(&self, at: &SecretKeyRef) -> SecretLookup {
        let values = self.values.load();
        let Some(values) = values.as_ref() else {
            return SecretLookup::NotSynced;
        };
        let name = (at.namespace.clone(), at.name.clone());
        match (values.get(&name), &self.demand) {
            (None, None) => SecretLookup::NoSecret,
            (None, Some(demand)) => {
                // Where too many are asked for, the next event asks again.
                let _ = demand.try_send(name);
                SecretLookup::NotSynced
            }
            (Some(keys), Some(_)) if keys.is_empty() => SecretLookup::NoSecret,
            (Some(keys), _) => match keys.get(&at.key) {
                None => SecretLookup::NoKey,
                Some(value) => SecretLookup::Found(value.clone()),
            },
        }
    }
}

/// Secrets that were read together.
#[derive(Clone, Default)]
pub struct SecretSet {
    values: Values,
}

impl SecretSet {
    /// Takes over what is known of one Secret; no keys at all where there is
    /// none.
    pub fn put(&mut self, name: SecretName, keys: HashMap<String, SecretValue>) {
        self.values.insert(name, keys);
    }

    /// Forgets what is known of a Secret.
    pub fn forget(&mut self, name: &SecretName) {
        self.values.remove(name);
    }

    /// Adds the Secret manifests of a configuration, and says what is wrong
    /// with them. What is wrong keeps the value that it has in `last`.
    pub fn add_objects(&mut self, objects: &Objects, last: &Self) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for (key, object) in &objects.secrets {
            let mut values = HashMap::new();
            for (name, encoded) in &object.value.data {
                let compact: String = encoded.split_ascii_whitespace().collect();
                match BASE64.decode(compact.as_bytes()) {
                    Ok(bytes) => {
                        values.insert(name.clone(), SecretValue::new(bytes));
                    }
                    Err(_) => {
                        diagnostics.push(object.origin.error(
                            &format!("/data/{}", pointer_token(name)),
                            format!(
                                "{key}: `{name}` is no base64; plain text goes under stringData"
                            ),
                        ));
                        let at = (key.namespace.clone(), key.name.clone());
                        let last = last.values.get(&at).and_then(|keys| keys.get(name));
                        values.extend(last.map(|value| (name.clone(), value.clone())));
                    }
                }
            }
            for (name, text) in &object.value.string_data {
                values.insert(name.clone(), SecretValue::new(text.clone().into_bytes()));
            }
            self.values
                .insert((key.namespace.clone(), key.name.clone()), values);
        }
        diagnostics
    }

    /// Adds a folder of secrets: `NAME/KEY` files, or `NAMESPACE/NAME/KEY`. A
    /// line break at the end of a file is its editor's and no part of the
    /// secret. A Secret of the same name from a manifest is replaced.
    ///
    /// What cannot be read keeps the value that it has in `last`, and is told.
    pub fn add_folder(&mut self, folder: &Path, last: &Self) -> Vec<FolderError> {
        let mut reader = FolderReader {
            into: &mut self.values,
            last: &last.values,
            errors: Vec::new(),
        };
        reader.read(folder);
        reader.errors
    }
}

/// Reads one folder, as far as that can be read.
struct FolderReader<'a> {
    into: &'a mut Values,
    last: &'a Values,
    errors: Vec<FolderError>,
}

impl FolderReader<'_> {
    fn read(&mut self, folder: &Path) {
        let Some((_, folders)) = self.children(folder) else {
            return self.keep(|_, _| true);
        };
        for (name, path) in folders {
            let Some((files, inner)) = self.children(&path) else {
                self.keep(|namespace, secret| {
                    namespace == name || (namespace == DEFAULT_NAMESPACE && secret == name)
                });
                continue;
            };
            if !files.is_empty() {
                self.add(DEFAULT_NAMESPACE, &name, files);
            }
            for (secret, path) in inner {
                match self.children(&path) {
                    Some((files, _)) => self.add(&name, &secret, files),
                    None => self.keep(|namespace, kept| namespace == name && kept == secret),
                }
            }
        }
    }

    fn add(&mut self, namespace: &str, name: &str, files: Named) {
        let at = (namespace.to_owned(), name.to_owned());
        let last = self.last.get(&at);
        let mut keys = HashMap::with_capacity(files.len());
        for (key, path) in files {
            let value = match read_value(&path) {
                Ok(value) => Some(value),
                Err(error) => {
                    self.errors.push(error);
                    last.and_then(|last| last.get(&key)).cloned()
                }
            };
            keys.extend(value.map(|value| (key, value)));
        }
        self.into.insert(at, keys);
    }

    fn children(&mut self, folder: &Path) -> Option<(Named, Named)> {
        let read = children(folder);
        read.map_err(|error| self.errors.push(error)).ok()
    }

    /// Keeps what was known of some secrets, by namespace and name.
    fn keep(&mut self, is_unread: impl Fn(&str, &str) -> bool) {
        for (at, keys) in self.last {
            if is_unread(&at.0, &at.1) && !self.into.contains_key(at) {
                self.into.insert(at.clone(), keys.clone());
            }
        }
    }
}

/// A folder of secrets that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FolderError {
    path: PathBuf,
    source: io::Error,
}

type Named = Vec<(String, PathBuf)>;

/// Files and folders directly below `folder`. Hidden ones are left out: a
/// mounted Secret keeps its older versions there.
fn children(folder: &Path) -> Result<(Named, Named), FolderError> {
    let fail = |source| FolderError {
        path: folder.to_owned(),
        source,
    };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let name = name.into_owned();
        // Follows links: mounted Secrets consist of them.
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => folders.push((name, path)),
            Ok(_) => files.push((name, path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
    }
    Ok((files, folders))
}

fn read_value(path: &Path) -> Result<SecretValue, FolderError> {
    let fail = |source| FolderError {
        path: path.to_owned(),
        source,
    };
    let meta = fs::metadata(path).map_err(fail)?;
    if !meta.is_file() {
        return Err(fail(io::Error::other("this is no file")));
    }
    if meta.len() > SECRET_BYTES {
        let message = format!("larger than {SECRET_BYTES} bytes, which no secret is");
        return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    let mut bytes = fs::read(path).map_err(fail)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(SecretValue::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(namespace: &str, name: &str, key: &str) -> SecretKeyRef {
        SecretKeyRef {
            namespace: namespace.into(),
            name: name.into(),
            key: key.into(),
        }
    }

    fn found(store: &SecretStore, at: &SecretKeyRef) -> Option<Vec<u8>> {
        match store.find(at) {
            SecretLookup::Found(value) => Some(value.expose().to_vec()),
            _ => None,
        }
    }

    #[test]
    fn manifests_give_secrets_in_base64_and_as_text() {
        let mut objects = Objects::default();
        let text = "{apiVersion: v1, kind: Secret, metadata: {name: s}, \
                     data: {a: aHVudGVyMg==, bad: '%'}, stringData: {b: plain}}";
        objects.read_file("s.yaml", text);
        let mut set = SecretSet::default();
        let diagnostics = set.add_objects(&objects, &SecretSet::default());
        assert_eq!(diagnostics.len(), 1);
        assert!(diagnostics[0].message.contains("`bad` is no base64"));
        let store = SecretStore::new();
        store.replace(set);
        assert_eq!(
            found(&store, &at("default", "s", "a")),
            Some(b"hunter2".into())
        );
        assert_eq!(
            found(&store, &at("default", "s", "b")),
            Some(b"plain".into())
        );
        let missing = store.find(&at("default", "s", "c"));
        assert!(matches!(missing, SecretLookup::NoKey));
        let missing = store.find(&at("default", "t", "a"));
        assert!(matches!(missing, SecretLookup::NoSecret));
    }

    #[test]
    fn what_is_spoilt_in_a_manifest_keeps_its_last_value() {
        let set = |data: &str, last: &SecretSet| {
            let mut objects = Objects::default();
            let text = format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {{a: {data}}}}}"
            );
            objects.read_file("s.yaml", &text);
            let mut set = SecretSet::default();
            let diagnostics = set.add_objects(&objects, last);
            (set, diagnostics.len())
        };
        let (good, _) = set("aHVudGVyMg==", &SecretSet::default());
        let (spoilt, mistakes) = set("aHVudGVyMg=", &good);
        assert_eq!(mistakes, 1);
        let store = SecretStore::new();
        store.replace(spoilt);
        assert_eq!(
            found(&store, &at("default", "s", "a")),
            Some(b"hunter2".into())
        );
    }

    #[test]
    fn a_store_that_was_not_read_yet_says_so() {
        let store = SecretStore::new();
        let lookup = store.find(&at("default", "s", "a"));
        assert!(matches!(lookup, SecretLookup::NotSynced));
    }

    #[test]
    fn folders_give_secrets_with_and_without_a_namespace() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("hook/token", "one\n");
        write("ci/hook/token", "two");
        write("ci/hook/.hidden", "old");
        write("ci/hook/lines", "a\n\n");
        let mut set = SecretSet::default();
        assert!(
            set.add_folder(root.path(), &SecretSet::default())
                .is_empty()
        );
        let store = SecretStore::new();
        store.replace(set);
        assert_eq!(
            found(&store, &at("default", "hook", "token")),
            Some(b"one".into())
        );
        assert_eq!(
            found(&store, &at("ci", "hook", "token")),
            Some(b"two".into())
        );
        assert_eq!(
            found(&store, &at("ci", "hook", "lines")),
            Some(b"a\n".into())
        );
        assert_eq!(found(&store, &at("ci", "hook", ".hidden")), None);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let mut set = SecretSet::default();
        let errors = set.add_folder(Path::new("/nowhere/secrets"), &SecretSet::default());
        assert!(
            errors[0].to_string().starts_with("/nowhere/secrets"),
            "{errors:?}"
        );
    }

    #[test]
    fn what_cannot_be_read_keeps_its_last_value_and_hides_nothing() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("token"), "one").unwrap();
        }
        let mut first = SecretSet::default();
        assert!(
            first
                .add_folder(root.path(), &SecretSet::default())
                .is_empty()
        );
        // A file that is too large, whoever runs this test.
        fs::write(root.path().join("a/token"), vec![b'x'; 2 << 20]).unwrap();
        fs::write(root.path().join("b/token"), "two").unwrap();
        let mut second = SecretSet::default();
        assert_eq!(second.add_folder(root.path(), &first).len(), 1);
        fs::remove_dir_all(root.path()).unwrap();
        let mut third = SecretSet::default();
        assert_eq!(third.add_folder(root.path(), &second).len(), 1);
        for set in [second, third] {
            let store = SecretStore::new();
            store.replace(set);
            assert_eq!(
                found(&store, &at("default", "a", "token")),
                Some(b"one".into())
            );
            assert_eq!(
                found(&store, &at("default", "b", "token")),
                Some(b"two".into())
            );
        }
    }
}
