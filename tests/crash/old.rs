//! Journals as earlier versions wrote them.

use std::path::Path;

use libtest_mimic::Failed;
use rusqlite::Connection;

const FIRST_FORMAT: &str = include_str!("../../src/journal/sqlite/schema/1.sql");

/// Makes a journal of the first format of one of the newest, with what that
/// format had a place for. Gives how many steps there are between them.
pub(crate) fn put_back(journal: &Path) -> Result<u64, Failed> {
    let old = journal.with_file_name("old.db");
    let connection = Connection::open(&old)?;
    connection.execute_batch(&format!(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; {FIRST_FORMAT}
         PRAGMA user_version = 1;"
    ))?;
    let path = journal.to_str().ok_or("the folder's name is no text")?;
    connection.execute("ATTACH ?1 AS newest", [path])?;
    let format: u32 = connection.query_row("PRAGMA newest.user_version", [], |row| row.get(0))?;
    for table in [
        "events",
        "revisions",
        "deliveries",
        "attempts",
        "dedupe",
        "deferrals",
    ] {
        let columns = columns(&connection, table)?;
        connection.execute(
            &format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newest.{table}"),
            [],
        )?;
    }
    connection.execute_batch("DETACH newest")?;
    drop(connection);
    for suffix in ["-wal", "-shm"] {
        let beside = journal.with_file_name(format!("journal.db{suffix}"));
        if beside.exists() {
            std::fs::remove_file(beside)?;
        }
    }
    std::fs::rename(old, journal)?;
    Ok(u64::from(format) - 1)
}

fn columns(connection: &Connection, table: &str) -> Result<String, Failed> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info(?1, 'main') ORDER BY cid")?;
    let names: Result<Vec<String>, _> = statement.query_map([table], |row| row.get(0))?.collect();
    Ok(names?.join(", "))
}
