//! Whether a journal is what it should be.

use std::path::Path;

use rusqlite::Connection;

use super::{CareError, KEY, open};
use crate::journal::seal::Seal;
use crate::journal::sqlite::room::folder_of;
use crate::journal::sqlite::{cannot_open, deferral, delivery, schema};
use crate::journal::{Counts, JournalError};

/// Mistakes of one kind that are told.
const TOLD: usize = 100;

/// Columns that hold JSON.
const JSON: [(&str, &str); 7] = [
    ("events", "headers"),
    ("deliveries", "extensions"),
    ("deliveries", "findings"),
    ("deliveries", "params"),
    ("deliveries", "manifests"),
    ("deferrals", "triggers"),
    ("revisions", "source"),
];

/// What was found.
#[derive(Debug)]
pub struct Checked {
    /// Whether a gateway uses it. It was looked at as it was at one moment.
    pub in_use: bool,
    /// Its format, and the newest that this version knows.
    pub format: (i64, i64),
    /// What it holds.
    pub counts: Counts,
    /// What is wrong with it, a sentence each.
    pub problems: Vec<String>,
}

/// Looks through the whole journal at `path` and changes nothing. An error
/// where it cannot even be opened.
pub fn check(path: &Path) -> Result<Checked, CareError> {
    let opened = open(path)?;
    let connection = &opened.connection;
    let fail = |source| CareError::from(cannot_open(path, source));
    // All of it as it is at one moment.
    connection.execute_batch("BEGIN").map_err(fail)?;
    let format = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(fail)?;
    let mut problems = Vec::new();
    for what in [structure, references] {
        match what(connection) {
            Ok(mut found) => problems.append(&mut found),
            Err(error) => problems.push(error.to_string()),
        }
    }
    let newest = schema::newest();
    let mut counts = Counts::default();
    // An older one has other columns.
    if format == newest {
        match delivery::counts(connection) {
            Ok(counted) => counts = counted,
            Err(error) => problems.push(error.to_string()),
        }
        problems.append(&mut records(connection, path));
    }
    problems.truncate(TOLD);
    Ok(Checked {
        in_use: opened.in_use,
        format: (format, newest),
        counts,
        problems,
    })
}

/// What the database says of its own pages and indexes.
fn structure(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({TOLD})"))?;
    let said = statement.query_map([], |row| row.get::<_, String>(0))?;
    let said: Vec<String> = said.collect::<Result<_, _>>()?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}

/// Rows that refer to others that are not there.
fn references(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let broken = statement.query_map([], |row| {
        let (table, to): (String, String) = (row.get(0)?, row.get(2)?);
        let row: Option<i64> = row.get(1)?;
        let row = row.map_or_else(|| "a row".to_owned(), |row| format!("row {row}"));
        Ok(format!(
            "{row} of {table} refers to {to} that are not there"
        ))
    })?;
    broken.take(TOLD).collect()
}

/// Rows that the gateway could not read back.
fn records(connection: &Connection, path: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for (table, column) in JSON {
        match torn(connection, table, column) {
            Ok(mut found) => problems.append(&mut found),
            Err(error) => problems.push(error.to_string()),
        }
    }
    match sealed(connection, path) {
        Ok(mut found) => problems.append(&mut found),
        Err(error) => problems.push(error.to_string()),
    }
    problems
}

fn torn(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<Vec<String>> {
    let key = if table == "revisions" {
        "revision"
    } else {
        "id"
    };
    let mut statement = connection.prepare(&format!(
        "SELECT {key} FROM {table} WHERE {column} IS NOT NULL AND NOT json_valid({column})
         LIMIT {TOLD}"
    ))?;
    let torn = statement.query_map([], |row| {
        let id: rusqlite::types::Value = row.get(0)?;
        let id = match id {
            rusqlite::types::Value::Integer(id) => id.to_string(),
            other => format!("{other:?}"),
        };
        Ok(format!("`{column}` of row {id} of {table} cannot be read"))
    })?;
    torn.collect()
}

/// Whether what is sealed can be opened with the key that is there.
fn sealed(connection: &Connection, path: &Path) -> Result<Vec<String>, JournalError> {
    let file = folder_of(path).join(KEY);
    let mut sealed = Vec::new();
    for table in ["deliveries", "deferrals"] {
        let mut statement = connection.prepare(&format!(
            "SELECT id, sealed_headers FROM {table} WHERE sealed_headers IS NOT NULL"
        ))?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        for row in rows {
            let (id, headers) = row?;
            sealed.push((table, id, headers));
        }
    }
    let seal = match Seal::read(&file) {
        Ok(Some(seal)) => seal,
        Ok(None) if sealed.is_empty() => return Ok(Vec::new()),
        Ok(None) => {
            let (file, count) = (file.display(), sealed.len());
            return Ok(vec![format!(
                "{file} is not there, and {count} rows were sealed with it"
            )]);
        }
        Err(error) => return Ok(vec![format!("{}: {error}", file.display())]),
    };
    let unreadable = sealed.iter().filter_map(|(table, id, headers)| {
        let error = deferral::unsealed(&seal, *id, headers).err()?;
        Some(format!("{table}: {error}"))
    });
    Ok(unreadable.collect())
}
