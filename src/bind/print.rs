//! Writes what an expression found, byte for byte as upstream does.
//!
//! In: nodes. Out: text. One result is written as JSON, a text without its
//! quotes; several, or none, as a JSON list. JSON is Go's: keys sorted, `<`,
//! `>`, `&` and the line separators U+2028 and U+2029 as `\u` escapes, every
//! number a 64-bit float.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Scope;
use super::error::PathError;
use super::node::Node;
use super::walk::Found;

/// Deepest nesting that is written. Bodies are parsed less deep than this.
const DEPTH: usize = 512;

/// The text for what was found, or `Exhausted` beyond `room` bytes.
pub(super) fn print(
    found: &Found<'_>,
    scope: &Scope<'_>,
    room: usize,
) -> Result<String, PathError> {
    let mut printer = Printer {
        scope,
        out: String::new(),
        room,
    };
    match found {
        Found::Loop => {}
        Found::Nodes(nodes) => match nodes.as_slice() {
            [one] => match one.text() {
                Some(text) => printer.escaped(text)?,
                None => printer.node(one)?,
            },
            more => printer.list(more, Printer::node)?,
        },
    }
    Ok(printer.out)
}

struct Printer<'s, 'a> {
    scope: &'s Scope<'a>,
    out: String,
    room: usize,
}

impl<'a> Printer<'_, 'a> {
    fn node(&mut self, node: &Node<'a>) -> Result<(), PathError> {
        match node {
            Node::Event => self.named(["header", "body", "extensions", "context"], node),
            Node::Context => self.named(["eventID"], node),
            Node::Headers => {
                let names: Vec<_> = self.scope.headers.iter().map(|(name, _)| name).collect();
                self.named(names, node)
            }
            Node::Map(map) => self.object(map, 0),
            Node::Json(value) => self.value(value, 0),
            Node::Text(text) => self.quoted(text),
            Node::Int(whole) => self.push(&whole.to_string()),
            Node::Float(float) => self.push(&number(*float)),
            Node::Bool(truth) => self.push(if *truth { "true" } else { "false" }),
        }
    }

    /// An object whose members are fields of `node`, in this order.
    fn named<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n str>,
        node: &Node<'a>,
    ) -> Result<(), PathError> {
        let scope = self.scope;
        let members = names.into_iter().filter_map(|name| {
            let value = node.field(name, scope)?;
            Some((name, value))
        });
        self.members(members, |printer, value| printer.node(&value))
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), PathError> {
        if depth > DEPTH {
            return Err(PathError::Exhausted);
        }
        match value {
            Value::Null => self.push("null"),
            Value::Bool(truth) => self.push(if *truth { "true" } else { "false" }),
            Value::Number(float) => self.push(&number(float.as_f64().unwrap_or(f64::NAN))),
            Value::String(text) => self.quoted(text),
            Value::Array(items) => self.list(items, |printer, item| printer.value(item, depth + 1)),
            Value::Object(map) => self.object(map, depth),
        }
    }

    fn object(&mut self, map: &Map<String, Value>, depth: usize) -> Result<(), PathError> {
        let members = map.iter().map(|(name, value)| (name.as_str(), value));
        self.members(members, |printer, value| printer.value(value, depth + 1))
    }

    fn list<T>(
        &mut self,
        items: &[T],
        mut print: impl FnMut(&mut Self, &T) -> Result<(), PathError>,
    ) -> Result<(), PathError> {
        let mut before = "[";
        for item in items {
            self.push(before)?;
            print(self, item)?;
            before = ",";
        }
        self.push(if items.is_empty() { "[]" } else { "]" })
    }

    fn members<'n, V>(
        &mut self,
        members: impl Iterator<Item = (&'n str, V)>,
        mut print: impl FnMut(&mut Self, V) -> Result<(), PathError>,
    ) -> Result<(), PathError> {
        let mut before = "";
        self.push("{")?;
        for (name, value) in members {
            self.push(before)?;
            self.quoted(name)?;
            self.push(":")?;
            print(self, value)?;
            before = ",";
        }
        self.push("}")
    }

    fn quoted(&mut self, text: &str) -> Result<(), PathError> {
        self.push("\"")?;
        self.escaped(text)?;
        self.push("\"")
    }

    /// The inside of a JSON string.
    fn escaped(&mut self, text: &str) -> Result<(), PathError> {
        let mut plain = 0;
        for (at, letter) in text
            .char_indices()
            .filter(|&(_, letter)| is_escaped(letter))
        {
            self.push(text.get(plain..at).unwrap_or_default())?;
            self.escape(letter);
            plain = at + letter.len_utf8();
        }
        self.push(text.get(plain..).unwrap_or_default())
    }

    fn escape(&mut self, letter: char) {
        match letter {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\u{8}' => self.out.push_str("\\b"),
            '\u{c}' => self.out.push_str("\\f"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            // Writing to a String cannot fail.
            _ => _ = write!(self.out, "\\u{:04x}", u32::from(letter)),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), PathError> {
        if self.out.len().saturating_add(text.len()) > self.room {
            return Err(PathError::Exhausted);
        }
        self.out.push_str(text);
        Ok(())
    }
}

fn is_escaped(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\x1f' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'
    )
}

/// A float as Go's encoding/json writes it: plain between 1e-6 and 1e21, with
/// an exponent beyond.
fn number(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return float.to_string();
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_floats() {
        for (float, expected) in [
            (42.0, "42"),
            (-7.5, "-7.5"),
            (0.0, "0"),
            (-0.0, "-0"),
            (9_007_199_254_740_993_u64 as f64, "9007199254740992"),
            (i64::MAX as f64, "9223372036854776000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-10, "1.5e-10"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(number(float), expected);
        }
    }
}
