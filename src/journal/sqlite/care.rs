//! What people do to a journal beside the gateway: check it, export it, copy it
//! while it is used, and save what can be read of a damaged one.
//!
//! In: the file of a journal. Nothing in here changes it.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::journal::JournalError;

use super::folder;
use super::room::folder_of;

mod backup;
mod check;
mod export;
mod salvage;

pub use backup::backup;
pub use check::{Checked, check};
pub use export::export;
pub use salvage::{Salvaged, salvage};

/// The name of the key that lies beside a journal.
const KEY: &str = "seal.key";

/// Why a journal could not be looked after.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// There is no journal.
    #[error(
        "there is no journal {0}; --data names the gateway's data folder, --journal a file as sqlite:PATH"
    )]
    Missing(PathBuf),
    /// The place for what is made is taken.
    #[error("{0} is there already and is not empty; name a folder that is to be made")]
    Taken(PathBuf),
    /// A gateway works on it.
    #[error("the journal {0} is in use by a gateway; stop that first")]
    InUse(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What the journal itself says.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl CareError {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// A journal that is only read.
struct Opened {
    connection: Connection,
    in_use: bool,
    /// Keeps a gateway from starting where none runs.
    _lock: Option<File>,
}

/// Whether a gateway has the journal at `path`, else what keeps one away.
fn lock(path: &Path) -> Result<Option<File>, CareError> {
    let lock = folder_of(path).join("lock");
    // One that no gateway has ever opened has none, and nobody holds it.
    match File::open(&lock) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Err(CareError::InUse(path.to_owned())),
            Err(fs::TryLockError::Error(error)) => Err(CareError::file(&lock)(error)),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CareError::file(&lock)(error)),
    }
}

fn exists(path: &Path) -> Result<(), CareError> {
    match path.is_file() {
        true => Ok(()),
        false => Err(CareError::Missing(path.to_owned())),
    }
}

/// Opens the journal at `path` for reading, beside a gateway or without one.
fn open(path: &Path) -> Result<Opened, CareError> {
    exists(path)?;
    let (lock, in_use) = match lock(path) {
        Ok(lock) => (lock, false),
        Err(CareError::InUse(_)) => (None, true),
        Err(error) => return Err(error),
    };
    let log = fs::metadata(log_of(path)).map_or(0, |log| log.len());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Where nobody writes and no log is left, nothing is put beside it either.
    let opened = match !in_use && log == 0 {
        true => Connection::open_with_flags(unchanging(path), flags | OpenFlags::SQLITE_OPEN_URI),
        false => Connection::open_with_flags(path, flags),
    };
    let fail = |source| super::cannot_open(path, source);
    let connection = opened.map_err(fail)?;
    let settings = "PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY;";
    connection.execute_batch(settings).map_err(fail)?;
    let format: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(fail)?;
    super::schema::check_format(path, format)?;
    Ok(Opened {
        connection,
        in_use,
        _lock: lock,
    })
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// The address of a file that does not change.
fn unchanging(path: &Path) -> String {
    let mut address = String::from("file:");
    for character in path.to_string_lossy().chars() {
        match character {
            '%' => address.push_str("%25"),
            '?' => address.push_str("%3f"),
            '#' => address.push_str("%23"),
            other => address.push(other),
        }
    }
    address + "?immutable=1"
}

/// Makes the folder for a new journal, its owner's alone. One that is there
/// must be empty.
fn make_folder(path: &Path) -> Result<(), CareError> {
    let fail = CareError::file(path);
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(CareError::Taken(path.to_owned())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(path).map_err(fail)
        }
        Err(error) => Err(fail(error)),
    }
}

/// The file of the journal in a new folder: named as the one it is made of.
fn file_in(folder: &Path, from: &Path) -> PathBuf {
    let name = from.file_name().unwrap_or("journal.db".as_ref());
    folder.join(name)
}

/// Copies the key that lies beside a journal. Whether there was one.
fn copy_key(from: &Path, to: &Path) -> Result<bool, CareError> {
    let (from, to) = (folder_of(from).join(KEY), to.join(KEY));
    let key = match fs::read(&from) {
        Ok(key) => key,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(CareError::file(&from)(error)),
    };
    let written = || -> std::io::Result<()> {
        let mut options = File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&to)?;
        std::io::Write::write_all(&mut file, &key)?;
        file.sync_all()
    };
    written().map_err(CareError::file(&to))?;
    Ok(true)
}

/// Makes durable what was put into a folder.
fn sync(folder: &Path, file: &Path) -> Result<(), CareError> {
    for path in [file, folder] {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(CareError::file(path))?;
    }
    Ok(())
}

/// Makes the file of a new journal, its owner's alone.
fn make_private(path: &Path) -> Result<(), CareError> {
    Ok(folder::make_private(path)?)
}
