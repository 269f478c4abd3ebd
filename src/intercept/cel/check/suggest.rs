//! The name that a misspelt one was perhaps meant to be.

use super::super::registry::{self, Overload};
use super::types::Type;

/// Names that are no functions.
const NAMES: [&str; 10] = [
    "body",
    "header",
    "extensions",
    "requestURL",
    "true",
    "false",
    "null",
    "int",
    "string",
    "double",
];

/// Functions that are macros, and so not in the table.
const MACROS: [&str; 9] = [
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "sortBy",
    "math.greatest",
    "math.least",
];

/// Most ways of calling a function that are shown.
const MOST_USAGES: usize = 3;

/// The variable or literal closest to `name`.
pub(super) fn name(name: &str) -> Option<String> {
    closest(name, NAMES.into_iter())
}

/// The function closest to `name`.
pub(super) fn function(name: &str) -> Option<String> {
    closest(name, registry::names().chain(MACROS))
}

/// How a function is called; nothing for operators, which everybody knows.
pub(super) fn usage(overloads: &[Overload]) -> Option<String> {
    let named = |overload: &&Overload| overload.name.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut calls: Vec<String> = overloads.iter().filter(named).map(call).collect();
    calls.dedup();
    let more = calls.len() > MOST_USAGES;
    calls.truncate(MOST_USAGES);
    let calls = calls.join(" or ");
    match (calls.is_empty(), more) {
        (true, _) => None,
        (false, true) => Some(format!("{calls} or otherwise")),
        (false, false) => Some(calls),
    }
}

fn call(overload: &Overload) -> String {
    let types = overload.parameters.iter();
    let mut types = types.map(|of| of.replace(&mut |_| Type::Dyn).to_string());
    let target = if overload.member { types.next() } else { None };
    let target = target.map_or(String::new(), |of| format!("{of}."));
    let arguments: Vec<String> = types.collect();
    format!("{target}{}({})", overload.name, arguments.join(", "))
}

/// The candidate that takes the fewest edits, if it takes few. Of equally
/// close ones the first in the alphabet, so that messages do not change.
fn closest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<String> {
    let most = (name.chars().count() / 3).clamp(1, 3);
    let wanted = name.to_ascii_lowercase();
    candidates
        .map(|candidate| (edits(&wanted, &candidate.to_ascii_lowercase()), candidate))
        .filter(|&(edits, candidate)| edits <= most && candidate != name)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// How many insertions, deletions, replacements and swaps of neighbours turn
/// one name into the other.
fn edits(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(64).collect();
    let other: Vec<char> = other.chars().take(64).collect();
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(left != right);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == other[j - 1] && one[i - 1] == *right {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_suggested_and_far_ones_are_not() {
        for (given, expected) in [("boyd", "body"), ("headers", "header"), ("Body", "body")] {
            assert_eq!(name(given).as_deref(), Some(expected), "{given}");
        }
        for (given, expected) in [
            ("lowerAscci", "lowerAscii"),
            ("startswith", "startsWith"),
            ("parseJson", "parseJSON"),
            ("exist", "exists"),
        ] {
            assert_eq!(function(given).as_deref(), Some(expected), "{given}");
        }
        assert_eq!(name("undeclared"), None);
        assert_eq!(function("decodeb64"), None);
    }
}
