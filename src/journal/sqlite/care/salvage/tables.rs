//! Which table a row is of. Its page may not be reachable from any, so the row
//! itself has to say: no two tables have rows of the same kinds of values.

use rusqlite::types::{Type, Value};
use rusqlite::{Connection, params_from_iter};

use super::record::Row;

/// The tables of a journal, and whether their rows have numbers.
const TABLES: [(&str, bool); 6] = [
    ("events", true),
    ("deliveries", true),
    ("deferrals", true),
    ("revisions", false),
    ("attempts", false),
    ("dedupe", false),
];

/// Largest number of a row that is believed. Larger ones come of flipped bits,
/// and no number after them could be given.
pub(super) const LARGEST: i64 = 1 << 53;

/// A table of the new journal.
pub(super) struct Table {
    pub(super) name: &'static str,
    is_numbered: bool,
    columns: Vec<Column>,
    /// Columns that every row has had.
    needed: usize,
}

struct Column {
    name: String,
    kind: Type,
    may_be_null: bool,
    /// Whether it is the number of the row, which stands beside the values.
    is_number: bool,
}

impl Table {
    /// The tables as the new journal has them.
    pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        let tables = TABLES.iter();
        tables
            .map(|(name, is_numbered)| Self::read(connection, name, *is_numbered))
            .collect()
    }

    fn read(
        connection: &Connection,
        name: &'static str,
        is_numbered: bool,
    ) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(&format!("PRAGMA table_info({name})"))?;
        let described = statement.query_map([], |row| {
            let kind: String = row.get("type")?;
            let is_key: i64 = row.get("pk")?;
            let default: Option<String> = row.get("dflt_value")?;
            let not_null: bool = row.get("notnull")?;
            let column = Column {
                name: row.get("name")?,
                kind: match &*kind {
                    "INTEGER" => Type::Integer,
                    "BLOB" => Type::Blob,
                    _ => Type::Text,
                },
                may_be_null: !not_null && (is_numbered || is_key == 0),
                is_number: is_numbered && is_key == 1,
            };
            Ok((column, not_null && default.is_none()))
        })?;
        let described: Vec<(Column, bool)> = described.collect::<Result<_, _>>()?;
        let needed = described.iter().rposition(|(_, needed)| *needed);
        Ok(Self {
            name,
            is_numbered,
            needed: needed.map_or(0, |last| last + 1),
            columns: described.into_iter().map(|(column, _)| column).collect(),
        })
    }

    /// Whether the row is one of this table.
    pub(super) fn has(&self, row: &Row) -> bool {
        let fits = |(column, value): (&Column, &Value)| match value {
            Value::Null => column.is_number || column.may_be_null,
            value => !column.is_number && value.data_type() == column.kind,
        };
        self.is_numbered == row.number.is_some()
            && row
                .number
                .is_none_or(|number| (1..LARGEST).contains(&number))
            && (self.needed..=self.columns.len()).contains(&row.values.len())
            && self.columns.iter().zip(&row.values).all(fits)
    }

    /// Puts a row into the new journal. Of two with one key the one that knows
    /// more stays: the other is an older version of it. Whether it is there.
    pub(super) fn insert(&self, connection: &Connection, row: Row) -> rusqlite::Result<bool> {
        let given = &self.columns[..row.values.len()];
        let names: Vec<&str> = given.iter().map(|column| &*column.name).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let newer = match self.name {
            "deliveries" => {
                let set: Vec<String> = names
                    .iter()
                    .map(|n| format!("{n} = excluded.{n}"))
                    .collect();
                format!(
                    "ON CONFLICT (id) DO UPDATE SET {} WHERE excluded.updated_ms > updated_ms
                     OR (excluded.updated_ms = updated_ms AND excluded.attempts > attempts)",
                    set.join(", ")
                )
            }
            _ => "ON CONFLICT DO NOTHING".to_owned(),
        };
        let statement = format!(
            "INSERT INTO {} ({}) VALUES ({marks}) {newer}",
            self.name,
            names.join(", ")
        );
        let number = row.number;
        let values =
            given
                .iter()
                .zip(row.values)
                .map(|(column, value)| match (column.is_number, number) {
                    (true, Some(number)) => Value::Integer(number),
                    _ => value,
                });
        let changed = connection
            .prepare_cached(&statement)?
            .execute(params_from_iter(values))?;
        Ok(changed > 0)
    }
}
