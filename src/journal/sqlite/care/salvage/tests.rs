//! What is saved of a journal, whatever part of it is damaged.

use std::collections::HashSet;
use std::sync::OnceLock;

use proptest::prelude::*;
use rusqlite::types::Value;

use super::*;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::sqlite::schema::PAGE_SIZE;

/// A row of the journal before it is damaged.
struct Known {
    table: &'static str,
    number: Option<i64>,
    values: Vec<Value>,
    pages: Vec<u32>,
}

/// A journal with rows of every table, and with pages that are free.
fn journal() -> &'static (Vec<u8>, Vec<Known>) {
    static JOURNAL: OnceLock<(Vec<u8>, Vec<Known>)> = OnceLock::new();
    JOURNAL.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let connection = Connection::open(&path).unwrap();
        schema::prepare(&connection, &path).unwrap();
        connection.execute_batch(FILL).unwrap();
        connection.close().unwrap();
        let known = known(&path, &folder.path().join("none"));
        (std::fs::read(&path).unwrap(), known)
    })
}

const FILL: &str = "
    BEGIN;
    INSERT INTO revisions VALUES ('r1', '{}'), ('r2', '{\"a\":1}');
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
    INSERT INTO events (id, event_id, listener_namespace, listener_name, received_ms, method,
                        url, headers, body)
    SELECT i, randomblob(16), 'default', 'hook', i, 'POST', '/', '[]',
           randomblob((i * 7919) % 40000) FROM n;
    INSERT INTO deliveries (event, trigger_id, revision, state, attempts, accepted_ms, due_ms,
                            updated_ms, extensions, findings, params, manifests)
    SELECT id, 'default/hook#push', iif(id % 2, 'r1', 'r2'), iif(id % 3, 'done', 'pending'), 1,
           id, id, id, '{}', '[]', '[]', hex(randomblob((id * 613) % 9000)) FROM events;
    INSERT INTO attempts SELECT id, 1, id, id + 1, NULL, NULL FROM deliveries;
    INSERT INTO dedupe SELECT hex(randomblob(20)), trigger_id, id, randomblob(16), 100000 + id
    FROM deliveries;
    INSERT INTO deferrals (event_id, verified, listener_namespace, listener_name, triggers,
                           received_ms, method, url, sealed_headers, body)
    SELECT event_id, 1, 'default', 'hook', '[]', id, 'POST', '/', randomblob(90), body
    FROM events WHERE id % 10 = 0;
    COMMIT;
    BEGIN;
    DELETE FROM attempts WHERE delivery BETWEEN 40 AND 90;
    DELETE FROM deliveries WHERE id BETWEEN 40 AND 90;
    DELETE FROM events WHERE id BETWEEN 40 AND 90;
    COMMIT;";

fn known(path: &Path, log: &Path) -> Vec<Known> {
    let memory = Connection::open_in_memory().unwrap();
    schema::prepare(&memory, path).unwrap();
    let tables = Table::all(&memory).unwrap();
    let pages = Pages::open(path, log).unwrap();
    let free = pages.free();
    let mut known = Vec::new();
    for page in (1..=pages.count()).filter(|page| !free.contains(page)) {
        for row in record::rows(&pages, page).0 {
            if let Some(table) = tables.iter().find(|table| table.has(&row)) {
                known.push(Known {
                    table: table.name,
                    number: row.number,
                    values: row.values,
                    pages: row.pages,
                });
            }
        }
    }
    known
}

/// A row as something that can be looked up.
fn key(row: &Known) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    for value in &row.values {
        match value {
            Value::Blob(bytes) => bytes.hash(&mut hash),
            Value::Text(text) => text.hash(&mut hash),
            other => format!("{other:?}").hash(&mut hash),
        }
    }
    format!("{} {:?}", name(row), hash.finish())
}

/// Whether a delivery, or what belongs to one, can be used without rows that
/// are damaged.
fn stands(row: &Known, whole: &HashSet<String>) -> bool {
    let needs = |name: String| whole.contains(&name);
    match (row.table, &row.values[..]) {
        ("deliveries", [_, Value::Integer(event), _, Value::Text(revision), ..]) => {
            needs(format!("events {event}")) && needs(format!("revisions {revision}"))
        }
        ("attempts" | "dedupe", values) => {
            let delivery = values.iter().find_map(|value| match value {
                Value::Integer(number) => Some(*number),
                _ => None,
            });
            // A key may outlive its delivery, and an attempt may not.
            let delivery = delivery.unwrap_or_default();
            row.table == "dedupe" && (40..=90).contains(&delivery)
                || needs(format!("deliveries {delivery}"))
        }
        _ => true,
    }
}

fn name(row: &Known) -> String {
    match (row.number, row.values.first()) {
        (Some(number), _) => format!("{} {number}", row.table),
        (None, Some(Value::Text(key))) => format!("{} {key}", row.table),
        _ => row.table.to_owned(),
    }
}

/// Damages the journal and checks that every whole row is saved.
fn check(damaged: &[u8], hit: &HashSet<u32>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    std::fs::write(&path, damaged).unwrap();
    // Whatever it is, it is opened or refused.
    let copy = folder.path().join("opened/journal.db");
    std::fs::create_dir(folder.path().join("opened")).unwrap();
    std::fs::write(&copy, damaged).unwrap();
    drop(SqliteJournal::open(&copy));
    let salvaged = salvage(&path, &folder.path().join("new")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), damaged, "it is not touched");
    let saved = known(&salvaged.file, &log_of(&salvaged.file));
    let saved: HashSet<String> = saved.iter().map(key).collect();
    let (_, known) = journal();
    let is_whole = |row: &&Known| row.pages.iter().all(|page| !hit.contains(page));
    let mut whole: HashSet<String> = known
        .iter()
        .filter(is_whole)
        .filter(|row| matches!(row.table, "events" | "revisions"))
        .map(name)
        .collect();
    let deliveries = known.iter().filter(is_whole);
    let deliveries = deliveries.filter(|row| row.table == "deliveries" && stands(row, &whole));
    let deliveries: Vec<String> = deliveries.map(name).collect();
    whole.extend(deliveries);
    for row in known
        .iter()
        .filter(is_whole)
        .filter(|row| stands(row, &whole))
    {
        let text = key(row);
        assert!(saved.contains(&text), "{}", &text[..text.len().min(200)]);
    }
    let new = SqliteJournal::open(&salvaged.file);
    assert!(new.is_ok(), "{:?}", new.err());
}

#[test]
fn all_of_a_whole_journal_is_saved() {
    let (bytes, known) = journal();
    let tables: HashSet<&str> = known.iter().map(|row| row.table).collect();
    assert_eq!(tables.len(), 6, "{tables:?}");
    check(bytes, &HashSet::new());
}

#[test]
fn what_only_the_log_has_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let connection = Connection::open(&path).unwrap();
    schema::prepare(&connection, &path).unwrap();
    connection.execute_batch(FILL).unwrap();
    // As a killed process leaves it.
    let copy = folder.path().join("killed");
    std::fs::create_dir(&copy).unwrap();
    for file in [&path, &log_of(&path)] {
        std::fs::copy(file, copy.join(file.file_name().unwrap())).unwrap();
    }
    let salvaged = salvage(&copy.join("journal.db"), &folder.path().join("new")).unwrap();
    let events = salvaged.rows.iter().find(|(table, _)| *table == "events");
    assert_eq!(events, Some(&("events", 99)));
    assert_eq!((salvaged.torn, salvaged.orphans.len()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_damaged_every_whole_row_is_saved(
        holes in prop::collection::vec((0.0..1.0f64, 1usize..20_000, any::<u8>()), 1..4),
        cut in prop::option::weighted(0.3, 0.0..1.0f64),
    ) {
        let (bytes, _) = journal();
        let mut damaged = bytes.clone();
        let mut hit = HashSet::new();
        let place = |part: f64| (part * bytes.len() as f64) as usize;
        let page = |at: usize| (at / PAGE_SIZE) as u32 + 1;
        for (start, length, salt) in holes {
            let start = place(start);
            let end = (start + length).min(bytes.len());
            for (index, byte) in damaged[start..end].iter_mut().enumerate() {
                *byte = (index as u8).wrapping_mul(salt);
            }
            hit.extend(page(start)..=page(end - 1));
        }
        if let Some(cut) = cut {
            damaged.truncate(place(cut));
            hit.extend(page(place(cut))..=page(bytes.len()));
        }
        check(&damaged, &hit);
    }
}
