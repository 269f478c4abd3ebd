//! The functions and operators, in a file for each library.
//!
//! In: values. Out: a value or a fault. A function pays the meter for what it
//! walks and builds, and never panics, whatever it is given.

mod arguments;
mod arithmetic;
pub(super) mod collections;
mod comparisons;
mod conversions;
mod encoders;
pub(super) mod format;
mod headers;
mod json;
mod lists;
mod math;
mod numbers;
pub(super) mod regex;
mod secret;
mod sets;
mod strings;
mod time;
mod url;
mod yaml;

pub(super) use secret::COMPARE_SECRET;

use super::error::Fault;
use super::meter::Meter;
use super::registry::Row;

/// Reads YAML as `parseYAML` does, whatever it holds, with each scalar as the
/// text that stands there.
pub(super) fn read_yaml_texts(text: &str) -> Result<serde_json::Value, Fault> {
    let mut meter = Meter::default();
    meter.walk(text.len())?;
    yaml::read(text, yaml::Scalars::AsWritten, &mut meter)
}

/// Writes a number as Go's `%g` does.
pub(super) fn general_number(value: f64) -> String {
    numbers::general(value)
}

/// All tables. The order of the rows of one function is that in which its
/// overloads are tried.
pub(super) const TABLES: &[&[Row]] = &[
    arithmetic::TABLE,
    comparisons::LOGIC,
    comparisons::ORDERINGS,
    collections::TABLE,
    conversions::TABLE,
    time::TABLE,
    regex::TABLE,
    strings::TABLE,
    format::TABLE,
    encoders::TABLE,
    lists::TABLE,
    lists::SORTS,
    sets::TABLE,
    math::EXTREMES,
    math::TABLE,
    headers::TABLE,
    secret::TABLE,
    json::TABLE,
    yaml::TABLE,
    url::TABLE,
];
