//! A new journal of what can be read of a damaged one.
//!
//! The pages are read without the database, which gives up a whole table where
//! one page of it is damaged. Whatever row is whole is saved, wherever it is.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use uuid::Uuid;

use super::{CareError, copy_key, exists, file_in, lock, log_of, make_folder, make_private, sync};
use crate::journal::sqlite::{cannot_open, schema};

mod pages;
mod record;
mod tables;

use pages::Pages;
use tables::{LARGEST, Table};

/// Pages whose rows are written in one transaction.
const PAGES_PER_COMMIT: u32 = 1024;

/// What was saved, and what was not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The new journal.
    pub file: PathBuf,
    /// Rows of each table that are in it.
    pub rows: Vec<(&'static str, u64)>,
    /// Rows that cannot be read.
    pub torn: usize,
    /// Events whose deliveries cannot be read: their ids.
    pub lonely: Vec<Uuid>,
    /// Deliveries whose event or trigger cannot be read, so that nobody could
    /// perform them: number, trigger, state.
    pub orphans: Vec<(i64, String, String)>,
    /// Whether the key was there.
    pub has_key: bool,
}

/// Saves what can be read of the journal at `path` in a new folder, with its
/// key. The damaged one is not touched.
pub fn salvage(path: &Path, folder: &Path) -> Result<Salvaged, CareError> {
    exists(path)?;
    let _lock = lock(path)?;
    let pages = Pages::open(path, &log_of(path)).map_err(CareError::file(path))?;
    make_folder(folder)?;
    let file = file_in(folder, path);
    make_private(&file)?;
    let connection = Connection::open(&file).map_err(|source| cannot_open(&file, source))?;
    schema::prepare(&connection, &file)?;
    let mut salvaged = save(&pages, &connection).map_err(|source| cannot_open(&file, source))?;
    connection
        .close()
        .map_err(|(_, source)| cannot_open(&file, source))?;
    salvaged.has_key = copy_key(path, folder)?;
    sync(folder, &file)?;
    salvaged.file = file;
    Ok(salvaged)
}

fn save(pages: &Pages, to: &Connection) -> rusqlite::Result<Salvaged> {
    // Rows come in the order of their pages, and not of what they refer to.
    to.execute_batch("PRAGMA foreign_keys = OFF")?;
    let tables = Table::all(to)?;
    let free = pages.free();
    let mut torn = pages.torn;
    let mut last_number = 0;
    to.execute_batch("BEGIN IMMEDIATE")?;
    for page in 1..=pages.count() {
        if free.contains(&page) {
            continue;
        }
        let (rows, unreadable) = record::rows(pages, page);
        torn += unreadable;
        for row in rows {
            if let Some(table) = tables.iter().find(|table| table.has(&row)) {
                if table.name == "deliveries" {
                    last_number = row.number.unwrap_or_default().max(last_number);
                }
                table.insert(to, row)?;
            }
        }
        if page % PAGES_PER_COMMIT == 0 {
            to.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
        }
    }
    let orphans = take_orphans(to)?;
    never_again(to, last_number)?;
    to.execute_batch("COMMIT; PRAGMA foreign_keys = ON;")?;
    let count = |table: &Table| {
        let question = format!("SELECT count(*) FROM {}", table.name);
        let count: i64 = to.query_row(&question, [], |row| row.get(0))?;
        Ok((table.name, u64::try_from(count).unwrap_or_default()))
    };
    Ok(Salvaged {
        rows: tables.iter().map(count).collect::<rusqlite::Result<_>>()?,
        torn,
        lonely: lonely(to)?,
        orphans,
        ..Salvaged::default()
    })
}

/// Takes out deliveries that nobody could perform, and what belongs to them
/// alone.
fn take_orphans(to: &Connection) -> rusqlite::Result<Vec<(i64, String, String)>> {
    let mut statement = to.prepare(
        "SELECT id, trigger_id, state FROM deliveries
         WHERE event NOT IN (SELECT id FROM events)
            OR revision NOT IN (SELECT revision FROM revisions) ORDER BY id",
    )?;
    let orphans = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let orphans: Vec<(i64, String, String)> = orphans.collect::<Result<_, _>>()?;
    drop(statement);
    for (id, ..) in &orphans {
        to.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?
            .execute([id])?;
        // Their senders may send them again.
        to.prepare_cached("DELETE FROM dedupe WHERE delivery = ?1")?
            .execute([id])?;
    }
    to.execute_batch("DELETE FROM attempts WHERE delivery NOT IN (SELECT id FROM deliveries)")?;
    Ok(orphans)
}

/// Events without a delivery. They are kept for somebody to look at.
fn lonely(to: &Connection) -> rusqlite::Result<Vec<Uuid>> {
    let mut statement =
        to.prepare("SELECT event_id FROM events WHERE id NOT IN (SELECT event FROM deliveries)")?;
    let ids = statement.query_map([], |row| row.get::<_, [u8; 16]>(0).map(Uuid::from_bytes))?;
    // One whose id is damaged cannot be named.
    Ok(ids.filter_map(Result::ok).collect())
}

/// Numbers of deliveries are never given twice, lost ones included: keys refer
/// to them.
fn never_again(to: &Connection, last: i64) -> rusqlite::Result<()> {
    let of_keys: Option<i64> = to.query_row(
        "SELECT max(delivery) FROM dedupe WHERE delivery < ?1",
        [LARGEST],
        |row| row.get(0),
    )?;
    let last = of_keys.unwrap_or_default().max(last);
    to.execute("DELETE FROM sqlite_sequence WHERE name = 'deliveries'", [])?;
    to.execute(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('deliveries', ?1)",
        [last],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
