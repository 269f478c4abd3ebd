//! Everything that a journal holds, as JSON lines.

use std::io::Write;
use std::path::Path;

use data_encoding::BASE64;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{CareError, open};
use crate::journal::sqlite::cannot_open;

/// The tables, and what a line of each says it is.
const TABLES: [(&str, &str); 6] = [
    ("revisions", "revision"),
    ("events", "event"),
    ("deliveries", "delivery"),
    ("attempts", "attempt"),
    ("dedupe", "key"),
    ("deferrals", "waiting"),
];

/// Columns that hold credentials. They are left out.
const SEALED: &str = "sealed_headers";

/// Columns that hold JSON.
const JSON: [&str; 8] = [
    "headers",
    "extensions",
    "findings",
    "params",
    "manifests",
    "triggers",
    "proven",
    "source",
];

/// Writes the journal at `path`, as it is at one moment, one JSON object a line.
/// What is sealed is left out, and values of rendered Secrets are replaced by
/// their hashes. How many lines it was.
pub fn export(path: &Path, out: &mut dyn Write) -> Result<u64, CareError> {
    let opened = open(path)?;
    let fail = |source| CareError::from(cannot_open(path, source));
    let connection = &opened.connection;
    connection.execute_batch("BEGIN").map_err(fail)?;
    let mut lines = 0;
    for (table, kind) in TABLES {
        lines += match table_lines(connection, table, kind, out) {
            Ok(lines) => lines,
            Err(Failed::Database(source)) => return Err(fail(source)),
            Err(Failed::Out(source)) => {
                let path = "the output".into();
                return Err(CareError::File { path, source });
            }
        };
    }
    Ok(lines)
}

enum Failed {
    Database(rusqlite::Error),
    Out(std::io::Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

fn table_lines(
    connection: &Connection,
    table: &str,
    kind: &str,
    out: &mut dyn Write,
) -> Result<u64, Failed> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let names = statement.column_names();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([])?;
    let mut lines = 0;
    while let Some(row) = rows.next()? {
        let mut line = Map::new();
        line.insert("kind".into(), kind.into());
        for (index, name) in names.iter().enumerate().filter(|(_, name)| *name != SEALED) {
            add(&mut line, name, row.get_ref(index)?);
        }
        writeln!(out, "{}", Value::Object(line)).map_err(Failed::Out)?;
        lines += 1;
    }
    Ok(lines)
}

/// Puts a column into a line.
fn add(line: &mut Map<String, Value>, name: &str, value: ValueRef<'_>) {
    let value = match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            match JSON.contains(&name).then(|| serde_json::from_str(&text)) {
                Some(Ok(value)) if name == "manifests" => without_secrets(value),
                Some(Ok(value)) => value,
                _ => text.into_owned().into(),
            }
        }
        ValueRef::Blob(bytes) if name == "body" => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => {
                line.insert("bodyBase64".into(), BASE64.encode(bytes).into());
                return;
            }
        },
        ValueRef::Blob(bytes) => match Uuid::from_slice(bytes) {
            Ok(id) => id.to_string().into(),
            Err(_) => BASE64.encode(bytes).into(),
        },
    };
    line.insert(camel(name), value);
}

/// The name of a column as JSON has it.
fn camel(name: &str) -> String {
    if name == "event_id" {
        return "eventID".into();
    }
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, rest) = word.split_at(word.len().min(1));
        name + &head.to_ascii_uppercase() + rest
    })
}

/// Values of Secrets as hashes.
fn without_secrets(mut manifests: Value) -> Value {
    for manifest in manifests.as_array_mut().into_iter().flatten() {
        if manifest["kind"] != "Secret" {
            continue;
        }
        for field in ["data", "stringData"] {
            let values = manifest.get_mut(field).and_then(Value::as_object_mut);
            for value in values.into_iter().flat_map(|map| map.values_mut()) {
                let hash = Sha256::digest(value.to_string().as_bytes());
                let hash = data_encoding::HEXLOWER.encode(&hash);
                *value = format!("sha256:{hash}").into();
            }
        }
    }
    manifests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_not_shown() {
        let manifests = json!([
            {"kind": "Secret", "data": {"a": "Y2FuYXJ5"}, "stringData": {"b": "canary"}},
            {"kind": "ConfigMap", "data": {"a": "shown"}}
        ]);
        let text = without_secrets(manifests).to_string();
        assert!(!text.contains("canary") && !text.contains("Y2FuYXJ5"));
        assert!(text.contains("shown"));
        assert_eq!(text.matches("sha256:").count(), 2);
    }

    #[test]
    fn columns_are_named_as_json_has_them() {
        assert_eq!(camel("event_id"), "eventID");
        assert_eq!(camel("listener_namespace"), "listenerNamespace");
        assert_eq!(camel("body"), "body");
    }
}
