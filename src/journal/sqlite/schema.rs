//! The tables, and how a file of an older format becomes one of this format.

use std::path::Path;

use rusqlite::Connection;

use crate::failpoint::{self, Point};
use crate::journal::JournalError;

use super::cannot_open;

/// One step for each format; the format of a file is how many it has taken.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// What `PRAGMA auto_vacuum` says of a file that gives pages back when told to.
const INCREMENTAL: i64 = 2;

/// Pages of an old file that is made anew when it is opened: 256 MiB.
const REBUILT_PAGES: i64 = 32 * 1024;

/// Bytes of a page, of every journal that there has been.
pub(super) const PAGE_SIZE: usize = 8192;

/// Sets the connection up and brings the file to the newest format.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let fail = |source| cannot_open(path, source);
    // The page size, and that pages can be given back, must come before the
    // first table, the rest before any write.
    connection
        .execute_batch(
            "PRAGMA page_size = 8192;
             PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA busy_timeout = 5000;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -8192;
             PRAGMA foreign_keys = ON;",
        )
        .map_err(fail)?;
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(fail)?;
    check_format(path, found)?;
    let taken = usize::try_from(found).unwrap_or_default();
    for (index, step) in MIGRATIONS.iter().enumerate().skip(taken) {
        let format = index + 1;
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {step} PRAGMA user_version = {format};"
            ))
            .map_err(fail)?;
        failpoint::reach(Point::Migration);
        connection.execute_batch("COMMIT").map_err(fail)?;
    }
    if found > 0 {
        let_shrink(connection);
    }
    Ok(())
}

/// The newest format.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Refuses a file of a format that this version does not know.
pub(super) fn check_format(path: &Path, found: i64) -> Result<(), JournalError> {
    let known = newest();
    match found > known {
        false => Ok(()),
        true => Err(JournalError::TooNew {
            path: path.to_owned(),
            found,
            known,
        }),
    }
}

/// Lets a file shrink that was made when files did not. Where that fails, or
/// would take long, it stays as it is, and its room is used again.
fn let_shrink(connection: &Connection) {
    let ask = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let can = ask("PRAGMA auto_vacuum").is_ok_and(|mode| mode == INCREMENTAL);
    if !can && ask("PRAGMA page_count").is_ok_and(|pages| pages <= REBUILT_PAGES) {
        let _ = connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;");
    }
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    let fail = |source| cannot_open(path, source);
    let connection = Connection::open(path).map_err(fail)?;
    let settings = "PRAGMA query_only = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -2048;";
    connection.execute_batch(settings).map_err(fail)?;
    Ok(connection)
}

/// Writes something that changes nothing.
pub(super) fn touch(connection: &Connection) -> Result<(), JournalError> {
    let format = MIGRATIONS.len();
    connection.execute_batch(&format!("PRAGMA user_version = {format}"))?;
    Ok(())
}
