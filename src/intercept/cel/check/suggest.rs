//! The name that a misspelt one was perhaps meant to be.

use super::super::registry;

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

/// The variable or literal closest to `name`.
pub(super) fn name(name: &str) -> Option<String> {
    closest(name, NAMES.into_iter())
}

/// The function closest to `name`.
pub(super) fn function(name: &str) -> Option<String> {
    closest(name, registry::names().chain(MACROS))
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
