//! The data folder: one process at a time, on a disk of this machine.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::journal::JournalError;

/// Filesystems whose locks and syncs cannot be relied on, by the magic number
/// that statfs(2) gives them.
const NETWORK_FILESYSTEMS: [(i64, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0102_1997, "9P"),
];

/// Makes the folder where it is not there and claims it for this process, as
/// long as the file that it gives is open.
pub(super) fn claim(folder: &Path) -> Result<File, JournalError> {
    let fail = |message: String| JournalError::Folder {
        path: folder.to_owned(),
        message,
    };
    let io = |error: std::io::Error| fail(error.to_string());
    make(folder).map_err(io)?;
    let filesystem = rustix::fs::statfs(folder).map_err(|error| fail(error.to_string()))?;
    // The type's width differs between platforms.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let magic = filesystem.f_type as i64 & 0xffff_ffff;
    if let Some((_, name)) = NETWORK_FILESYSTEMS
        .iter()
        .find(|(known, _)| *known == magic)
    {
        return Err(fail(format!(
            "it is on a network filesystem ({name}), whose locks and syncs cannot be relied on; use a local disk"
        )));
    }
    let path = folder.join("lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| fail(format!("{}: {error}", path.display())))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Makes the folder where it is not there, so that after a power failure it is
/// still there, with what was synced in it.
fn make(folder: &Path) -> std::io::Result<()> {
    let parent = folder.parent().filter(|parent| *parent != Path::new(""));
    if folder.is_dir() {
        // Whoever made it may have ended before this. Where the parent cannot
        // be opened, somebody else has made it, long ago.
        let _ = sync(parent);
        return Ok(());
    }
    if let Some(parent) = parent {
        make(parent)?;
    }
    // Events have what their senders would not tell everybody.
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if !folder.is_dir() => return Err(error),
        _ => {}
    }
    sync(parent)
}

/// Makes the names in a folder durable.
fn sync(folder: Option<&Path>) -> std::io::Result<()> {
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes the journal's file where it is not there, its owner's alone. The
/// files that SQLite puts beside it get the same rights.
pub(super) fn make_private(path: &Path) -> Result<(), JournalError> {
    let made = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|error| JournalError::Folder {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_process_s_at_a_time() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("new/data");
        let first = claim(&folder).unwrap();
        assert!(matches!(claim(&folder), Err(JournalError::InUse(_))));
        drop(first);
        assert!(claim(&folder).is_ok());
    }

    #[test]
    fn what_is_made_is_its_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("data");
        let _lock = claim(&folder).unwrap();
        make_private(&folder.join("journal.db")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("journal.db")), 0o600);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        let error = claim(&file.join("data")).unwrap_err().to_string();
        assert!(error.contains("file/data"), "{error}");
    }
}
