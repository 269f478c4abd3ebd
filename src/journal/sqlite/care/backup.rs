//! A copy of a journal that a gateway may be using.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CareError, copy_key, file_in, make_folder, make_private, open, sync};
use crate::journal::sqlite::cannot_open;

/// Copies the journal at `path`, as it is at one moment, into a new folder, and
/// its key with it unless that is not wanted. Gives the copy's file.
///
/// It reads through a connection of its own, so that no commit waits for it;
/// meanwhile the log of the journal grows, because it cannot be begun anew.
/// The copy has no unused pages and has been read back.
pub fn backup(path: &Path, folder: &Path, with_key: bool) -> Result<PathBuf, CareError> {
    let opened = open(path)?;
    make_folder(folder)?;
    let copy = file_in(folder, path);
    // Under its name it is whole.
    let part = copy.with_extension("part");
    make_private(&part)?;
    let copied = opened
        .connection
        .execute("VACUUM INTO ?1", [part.to_string_lossy()])
        .and_then(|_| read_back(&part));
    if let Err(source) = copied {
        let _ = fs::remove_file(&part);
        return Err(cannot_open(path, source).into());
    }
    if with_key {
        copy_key(path, folder)?;
    }
    sync(folder, &part)?;
    fs::rename(&part, &copy).map_err(CareError::file(&copy))?;
    sync(folder, &copy)?;
    Ok(copy)
}

fn read_back(copy: &Path) -> rusqlite::Result<()> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(copy, flags)?;
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match &*said {
        "ok" => Ok(()),
        _ => Err(rusqlite::Error::ToSqlConversionFailure(
            format!("the copy cannot be read back: {said}").into(),
        )),
    }
}
