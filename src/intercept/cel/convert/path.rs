//! Where an overlay puts its value: sjson's paths.
//!
//! In: the key of an overlay, and the extensions so far. Out: the extensions
//! with the value in its place. `a.b` nests, `\.` is a dot, a number indexes a
//! list, `-1` appends to one, and `:1` is a key that only looks like a number.

use std::borrow::Cow;

use serde_json::{Map as JsonMap, Value as Json};

/// Highest index of a list that a key may name; the elements before it become
/// null, so it bounds what one overlay can build.
const LARGEST_INDEX: usize = 10_000;

/// Deepest key.
const MOST_PARTS: usize = 64;

/// A key, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    parts: Vec<Part>,
    /// Has one of sjson's wildcards: replaces what is there, adds nothing.
    matching: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: String,
    /// Never an index of a new list.
    forced: bool,
    /// Was written with a backslash, so that it finds no element of a list.
    escaped: bool,
}

impl Part {
    /// The index that the part is. Nothing at all counts as the first.
    fn index(&self) -> Option<usize> {
        self.number().filter(|_| !self.forced)
    }

    fn number(&self) -> Option<usize> {
        if !self.name.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if self.name.is_empty() {
            return Some(0);
        }
        Some(self.name.parse().unwrap_or(usize::MAX))
    }

    fn appends(&self) -> bool {
        !self.forced && self.name == "-1"
    }
}

impl Path {
    /// Reads a key.
    pub(crate) fn parse(key: &str) -> Result<Self, Cow<'static, str>> {
        if key.is_empty() {
            return Err(Cow::Borrowed("path cannot be empty"));
        }
        let mut path = Self {
            parts: Vec::new(),
            matching: false,
        };
        let mut characters = key.chars().peekable();
        loop {
            let forced = characters.next_if_eq(&':').is_some();
            let (mut name, mut escaped) = (String::new(), false);
            let mut ended = true;
            while let Some(character) = characters.next() {
                match character {
                    '.' => {
                        ended = false;
                        break;
                    }
                    '\\' => {
                        escaped = true;
                        name.extend(characters.next());
                    }
                    '|' | '#' | '@' | '*' | '?' => {
                        path.matching = true;
                        name.push(character);
                    }
                    other => name.push(other),
                }
            }
            let part = Part {
                name,
                forced,
                escaped,
            };
            if part.index().is_some_and(|index| index > LARGEST_INDEX) {
                return Err(Cow::Owned(format!("index is above {LARGEST_INDEX}")));
            }
            path.parts.push(part);
            if path.parts.len() > MOST_PARTS {
                return Err(Cow::Owned(format!("more than {MOST_PARTS} parts")));
            }
            if ended {
                return Ok(path);
            }
        }
    }

    /// Puts `value` in its place.
    pub(crate) fn set(
        &self,
        into: &mut JsonMap<String, Json>,
        value: Json,
    ) -> Result<(), Cow<'static, str>> {
        let mut root = Json::Object(std::mem::take(into));
        let result = if self.matching {
            replace_matching(&mut root, &self.parts, value);
            Ok(())
        } else {
            set(&mut root, &self.parts, value)
        };
        if let Json::Object(fields) = root {
            *into = fields;
        }
        result
    }
}

fn set(at: &mut Json, parts: &[Part], value: Json) -> Result<(), Cow<'static, str>> {
    let Some((part, rest)) = parts.split_first() else {
        *at = value;
        return Ok(());
    };
    if !at.is_object() && !at.is_array() {
        *at = match part.index() {
            Some(_) => Json::Array(Vec::new()),
            None => Json::Object(JsonMap::new()),
        };
    }
    match at {
        Json::Array(items) => set_item(items, part, rest, value),
        Json::Object(fields) => match fields.get_mut(&part.name) {
            Some(field) => set(field, rest, value),
            None => {
                fields.insert(part.name.clone(), build(rest, value));
                Ok(())
            }
        },
        _ => Ok(()),
    }
}

fn set_item(
    items: &mut Vec<Json>,
    part: &Part,
    rest: &[Part],
    value: Json,
) -> Result<(), Cow<'static, str>> {
    // No element has an empty index, so it appends as well.
    if part.appends() || part.index().is_some_and(|_| part.name.is_empty()) {
        items.push(build(rest, value));
        return Ok(());
    }
    let found = part
        .number()
        .filter(|_| !part.escaped && !part.name.is_empty());
    if let Some(item) = found.and_then(|index| items.get_mut(index)) {
        return set(item, rest, value);
    }
    let Some(index) = part.index() else {
        return Err(Cow::Owned(format!(
            "cannot set array element for non-numeric key '{}'",
            part.name
        )));
    };
    if items.len() < index {
        items.resize(index, Json::Null);
    }
    items.push(build(rest, value));
    Ok(())
}

/// What a path adds where nothing is yet.
fn build(parts: &[Part], value: Json) -> Json {
    let Some((part, rest)) = parts.split_first() else {
        return value;
    };
    let inner = build(rest, value);
    if part.appends() {
        return Json::Array(vec![inner]);
    }
    match part.index() {
        Some(index) => {
            let mut items = vec![Json::Null; index];
            items.push(inner);
            Json::Array(items)
        }
        None => Json::Object([(part.name.clone(), inner)].into_iter().collect()),
    }
}

/// Replaces the first field that each part matches.
fn replace_matching(at: &mut Json, parts: &[Part], value: Json) {
    let Some((part, rest)) = parts.split_first() else {
        *at = value;
        return;
    };
    let found = match at {
        Json::Object(fields) => fields
            .iter_mut()
            .find(|(name, _)| matches(&part.name, name))
            .map(|(_, field)| field),
        Json::Array(items) if !part.name.is_empty() => {
            part.index().and_then(|index| items.get_mut(index))
        }
        _ => None,
    };
    if let Some(field) = found {
        replace_matching(field, rest, value);
    }
}

/// Whether `*` and `?` in a pattern make it the name.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&character) if character == '?' || character == name[n] => {
                p += 1;
                n += 1;
            }
            // The last star takes one character more.
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&character| character == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set_all(keys: &[(&str, Json)]) -> Result<Json, Cow<'static, str>> {
        let mut extensions = JsonMap::new();
        for (key, value) in keys {
            Path::parse(key)?.set(&mut extensions, value.clone())?;
        }
        Ok(Json::Object(extensions))
    }

    #[test]
    fn keys_nest_index_append_and_escape() {
        for (keys, expected) in [
            (
                vec![("a.b", json!(1)), ("a.c", json!(2))],
                json!({"a": {"b": 1, "c": 2}}),
            ),
            (vec![("a.b", json!(1)), ("a", json!(2))], json!({"a": 2})),
            (
                vec![("a", json!(2)), ("a.b", json!(1))],
                json!({"a": {"b": 1}}),
            ),
            (vec![(r"a\.b", json!(1))], json!({"a.b": 1})),
            (vec![(r"a\\.b", json!(1))], json!({"a\\": {"b": 1}})),
            (vec![(".", json!(1))], json!({"": [1]})),
            (vec![("a..b", json!(1))], json!({"a": [{"b": 1}]})),
            (
                vec![("0", json!(1)), ("-1", json!(2))],
                json!({"0": 1, "-1": 2}),
            ),
            (
                vec![("a.2", json!(1)), ("a.0", json!(2))],
                json!({"a": [2, null, 1]}),
            ),
            (
                vec![("a", json!([1])), ("a.-1", json!(9))],
                json!({"a": [1, 9]}),
            ),
            (vec![("a.-1.b", json!(9))], json!({"a": [{"b": 9}]})),
            (
                vec![("a", json!([1])), (r"a.\0", json!(2)), (r"a.\1", json!(3))],
                json!({"a": [1, 2, 3]}),
            ),
            (
                vec![("a", json!([1, 2])), ("a.:1.b", json!(9))],
                json!({"a": [1, {"b": 9}]}),
            ),
            (vec![("a.:1.b", json!(1))], json!({"a": {"1": {"b": 1}}})),
            (vec![("a.01", json!(1))], json!({"a": [null, 1]})),
            (vec![("a?", json!(1)), ("@this", json!(1))], json!({})),
            (vec![("ab", json!(1)), ("a?", json!(2))], json!({"ab": 2})),
        ] {
            assert_eq!(set_all(&keys), Ok(expected), "{keys:?}");
        }
    }

    #[test]
    fn keys_that_fit_nowhere_are_errors() {
        for keys in [
            vec![("", json!(1))],
            vec![("a", json!([])), ("a.b", json!(1))],
            vec![("a", json!([])), ("a.:0", json!(1))],
            vec![("a.99999999999999999999", json!(1))],
            vec![("a.20000", json!(1))],
        ] {
            assert!(set_all(&keys).is_err(), "{keys:?}");
        }
    }
}
