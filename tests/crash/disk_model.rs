//! A disk that keeps what was synced, and of the rest what chance gives.
//!
//! A name is kept once its folder was synced, and what a file holds once the
//! file was: no filesystem promises more, and most keep more. Of names that
//! were not synced the first few are kept, as journals of filesystems have
//! them in their order; of bytes that were not, any sectors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

use super::random::Random;
use super::strace::Call;

/// What a disk writes whole.
const SECTOR: usize = 512;

/// Everything below a folder.
#[derive(Default)]
pub(crate) struct Disk {
    root: PathBuf,
    files: Vec<File>,
    /// As programs see it.
    names: BTreeMap<PathBuf, Node>,
    /// What a power failure leaves.
    synced_names: BTreeMap<PathBuf, Node>,
    pending_names: Vec<Naming>,
    named: usize,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Clone, Debug)]
struct Naming {
    /// How many there were before it.
    number: usize,
    path: PathBuf,
    /// What is there now; nothing where it was removed.
    node: Option<Node>,
}

#[derive(Default)]
struct File {
    synced: Vec<u8>,
    pending: Vec<Change>,
    /// Changes that were pending once.
    done: usize,
    length: usize,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

impl Disk {
    /// The disk below `root` when line `moment` of the trace was written.
    pub(crate) fn at(root: &Path, calls: &[Call], moment: usize) -> Result<Self, Failed> {
        let mut disk = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        // What a sync covers is what was there when it began.
        let mut steps: Vec<(usize, bool, &Call)> = Vec::new();
        for call in calls.iter().filter(|call| call.result >= 0) {
            if call.is_sync() {
                steps.push((call.began, true, call));
            }
            steps.push((call.ended, false, call));
        }
        steps.sort_by_key(|(line, begins, _)| (*line, !begins));
        let mut covered: BTreeMap<usize, usize> = BTreeMap::new();
        for (line, begins, call) in steps {
            if line > moment {
                break;
            }
            match begins {
                true => drop(covered.insert(call.began, disk.pending_of(call))),
                false if call.is_sync() => {
                    disk.sync(call, covered.remove(&call.began).unwrap_or(0));
                }
                false => disk.change(call)?,
            }
        }
        Ok(disk)
    }

    fn is_inside(&self, path: &Path) -> bool {
        path.starts_with(self.root.join("new"))
    }

    /// How many changes a sync that begins now covers, from the first one on.
    fn pending_of(&self, call: &Call) -> usize {
        let Some(path) = call.file() else { return 0 };
        match self.names.get(&path) {
            Some(Node::File(file)) => self.files[*file].done + self.files[*file].pending.len(),
            _ => self.named,
        }
    }

    fn sync(&mut self, call: &Call, covered: usize) {
        let Some(path) = call.file() else { return };
        if let Some(Node::File(file)) = self.names.get(&path) {
            let file = &mut self.files[*file];
            // Another sync, which began later, may have returned before.
            let covered = covered.saturating_sub(file.done);
            for change in file.pending.drain(..covered) {
                change.apply(&mut file.synced);
            }
            file.done += covered;
            return;
        }
        let pending = std::mem::take(&mut self.pending_names);
        for naming in pending {
            match naming.number < covered && naming.path.parent() == Some(&path) {
                true => naming.apply(&mut self.synced_names),
                false => self.pending_names.push(naming),
            }
        }
    }

    fn change(&mut self, call: &Call) -> Result<(), Failed> {
        match call.name.as_str() {
            "mkdir" => self.name(call.named(0), Some(Node::Folder)),
            "openat" if call.has("O_CREAT") => self.open(call),
            "pwrite64" | "write" | "ftruncate" => self.write(call)?,
            "rename" => {
                let node = call
                    .named(0)
                    .and_then(|from| self.names.get(&from))
                    .copied();
                self.name(call.named(0), None);
                self.name(call.named(1), node);
            }
            "link" | "linkat" => {
                let node = call
                    .named(0)
                    .and_then(|from| self.names.get(&from))
                    .copied();
                self.name(call.named(1), node);
            }
            "unlink" | "unlinkat" => self.name(call.named(0), None),
            _ => {}
        }
        Ok(())
    }

    fn name(&mut self, path: Option<PathBuf>, node: Option<Node>) {
        let Some(path) = path.filter(|path| self.is_inside(path)) else {
            return;
        };
        let number = self.named;
        self.named += 1;
        let naming = Naming { number, path, node };
        naming.clone().apply(&mut self.names);
        self.pending_names.push(naming);
    }

    fn open(&mut self, call: &Call) {
        let Some(path) = call.file_opened().filter(|path| self.is_inside(path)) else {
            return;
        };
        match self.names.get(&path) {
            Some(Node::File(file)) if call.has("O_TRUNC") => {
                let file = &mut self.files[*file];
                file.pending.push(Change::Cut(0));
                file.length = 0;
            }
            Some(_) => {}
            None => {
                self.files.push(File::default());
                self.name(Some(path), Some(Node::File(self.files.len() - 1)));
            }
        }
    }

    fn write(&mut self, call: &Call) -> Result<(), Failed> {
        let Some(path) = call.file().filter(|path| self.is_inside(path)) else {
            return Ok(());
        };
        let Some(Node::File(file)) = self.names.get(&path) else {
            return Err(format!("nobody has opened {}", path.display()).into());
        };
        let file = &mut self.files[*file];
        if call.name == "ftruncate" {
            file.length = call.last_number().ok_or("no length")?;
            file.pending.push(Change::Cut(file.length));
            return Ok(());
        }
        let mut bytes = call.bytes.first().ok_or("no bytes")?.clone();
        let written = usize::try_from(call.result)?;
        if bytes.len() < written {
            return Err("the tracer has cut off what was written".into());
        }
        bytes.truncate(written);
        let at = match call.name.as_str() {
            "write" => file.length,
            _ => call.last_number().ok_or("no place")?,
        };
        file.length = file.length.max(at + written);
        file.pending.push(Change::Write { at, bytes });
        Ok(())
    }

    /// Writes what a power failure leaves below another folder.
    pub(crate) fn write_to(&self, folder: &Path, random: &mut Random) -> Result<(), Failed> {
        let mut names = self.synced_names.clone();
        let more = match random.percent(50) {
            true => 0,
            false => usize::try_from(random.between(0, self.pending_names.len() as u64 + 1))?,
        };
        for naming in &self.pending_names[..more] {
            naming.clone().apply(&mut names);
        }
        // Parents come before what is in them, and without one nothing is.
        for (path, node) in &names {
            let to = folder.join(path.strip_prefix(&self.root)?);
            let has_parent = to.parent().is_some_and(Path::is_dir);
            match node {
                _ if !has_parent => {}
                Node::Folder => std::fs::create_dir(to)?,
                // What is shared in memory is gone.
                Node::File(_) if path.to_string_lossy().ends_with("-shm") => {}
                Node::File(file) => std::fs::write(to, self.files[*file].left(random))?,
            }
        }
        Ok(())
    }
}

impl Naming {
    fn apply(self, names: &mut BTreeMap<PathBuf, Node>) {
        match self.node {
            Some(node) => drop(names.insert(self.path, node)),
            None => drop(names.remove(&self.path)),
        }
    }
}

impl File {
    fn left(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.pending {
            match random.between(0, 3) {
                0 => {}
                1 => change.clone().apply(&mut bytes),
                _ => change.apply_torn(&mut bytes, random),
            }
        }
        bytes
    }
}

impl Change {
    fn apply(self, to: &mut Vec<u8>) {
        match self {
            Self::Cut(length) => to.resize(length, 0),
            Self::Write { at, bytes } => put(to, at, &bytes),
        }
    }

    /// Some sectors of it.
    fn apply_torn(&self, to: &mut Vec<u8>, random: &mut Random) {
        let Self::Write { at, bytes } = self else {
            return;
        };
        let mut start = 0;
        while start < bytes.len() {
            let end = ((at + start) / SECTOR + 1) * SECTOR - at;
            let end = end.min(bytes.len());
            if random.percent(50) {
                put(to, at + start, &bytes[start..end]);
            }
            start = end;
        }
    }
}

fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if to.len() < at + bytes.len() {
        to.resize(at + bytes.len(), 0);
    }
    to[at..at + bytes.len()].copy_from_slice(bytes);
}
