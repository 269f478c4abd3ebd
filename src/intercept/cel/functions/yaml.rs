//! `parseYAML`: YAML as Go's libraries read it, which is YAML 1.1.
//!
//! In: text. Out: the map that it is after a detour over JSON, as upstream
//! takes it: keys are text, numbers are doubles, dates stay text. The scanner
//! is the one below the crate that reads configuration; what plain words mean
//! is `scalar`'s matter.

mod scalar;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};
use serde_json::{Map as JsonMap, Value as Json};

use super::arguments::string;
use super::json;
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::Value;

pub(super) const TABLE: &[Row] = &[row("parseYAML", "string.() -> map(string, dyn)", parse)];

/// Deepest nesting that is read.
const MOST_NESTING: usize = 100;

fn failed(reason: &str) -> Fault {
    let message = format!("failed to decode in parseYAML: {reason}");
    fault(ErrorClass::Decode, message)
}

fn parse<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let text = string(args, 0)?;
    context.meter.step(text.len() as u64)?;
    let json = read(&text, context.meter)?;
    json::object(&json, context.meter)?.ok_or_else(|| failed("not a mapping"))
}

/// Reads the first document.
pub(super) fn read(text: &str, meter: &mut Meter) -> Result<Json, Fault> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        // Messages of the scanner name places in the text, and none of it.
        let (event, span) = event.map_err(|error| failed(&error.to_string()))?;
        let begins_node = matches!(
            event,
            Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..)
                | Event::Alias(_)
        );
        if begins_node && !builder.in_flow() && is_indented_by_tab(text, &span) {
            return Err(failed("found character that cannot start any token"));
        }
        match event {
            Event::DocumentStart(_, Some(version)) if (version.major, version.minor) != (1, 1) => {
                return Err(failed("found incompatible YAML document"));
            }
            Event::DocumentEnd | Event::StreamEnd => break,
            event => builder.take(event, meter)?,
        }
    }
    Ok(builder.document.unwrap_or_default())
}

/// Whether a tab indents a node, at the start of its line or after the dash
/// of an item. YAML 1.1 indents with spaces only.
fn is_indented_by_tab(text: &str, span: &Span) -> bool {
    let start = span.byte_range().map_or(0, |range| range.start);
    let before = text.get(..start).unwrap_or("");
    let line = before.rsplit('\n').next().unwrap_or("");
    let indicator = |letter: char| letter.is_whitespace() || matches!(letter, '-' | '?' | ':');
    line.contains('\t') && line.chars().all(indicator)
}

/// A collection that is being read.
enum Open {
    List(Vec<Json>),
    Map {
        fields: JsonMap<String, Json>,
        key: Option<Key>,
    },
}

/// What stands before a colon.
enum Key {
    Name(String),
    /// `<<`: the fields of the value become fields of the map.
    Merge,
}

/// Where a collection that is being read ends up.
struct Place {
    anchor: usize,
    in_flow: bool,
}

#[derive(Default)]
struct Builder {
    open: Vec<(Open, Place)>,
    anchors: Vec<(usize, Json)>,
    document: Option<Json>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, meter: &mut Meter) -> Result<(), Fault> {
        match event {
            Event::SequenceStart(style, anchor, _) => {
                self.enter(Open::List(Vec::new()), style, anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                let map = Open::Map {
                    fields: JsonMap::new(),
                    key: None,
                };
                self.enter(map, style, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(meter),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
                let scalar = scalar::resolve(&text, plain, tag.as_deref()).map_err(failed)?;
                if self.expects_key() && anchor == 0 {
                    return self.set_key(scalar);
                }
                let value = scalar.into_json().map_err(failed)?;
                self.remember(anchor, &value, meter)?;
                self.add(value, meter)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.iter().rev().find(|(id, _)| *id == anchor);
                let (_, value) = known.ok_or_else(|| failed("unknown anchor"))?;
                let value = copy(value, meter)?;
                self.add(value, meter)
            }
            _ => Ok(()),
        }
    }

    fn in_flow(&self) -> bool {
        self.open.last().is_some_and(|(_, place)| place.in_flow)
    }

    fn enter(&mut self, open: Open, style: StructureStyle, anchor: usize) -> Result<(), Fault> {
        if self.open.len() >= MOST_NESTING {
            return Err(failed("nested too deeply"));
        }
        let in_flow = style == StructureStyle::Flow;
        self.open.push((open, Place { anchor, in_flow }));
        Ok(())
    }

    fn leave(&mut self, meter: &mut Meter) -> Result<(), Fault> {
        let Some((open, place)) = self.open.pop() else {
            return Ok(());
        };
        let value = match open {
            Open::List(items) => Json::Array(items),
            Open::Map { fields, .. } => Json::Object(fields),
        };
        self.remember(place.anchor, &value, meter)?;
        self.add(value, meter)
    }

    fn remember(&mut self, anchor: usize, value: &Json, meter: &mut Meter) -> Result<(), Fault> {
        if anchor > 0 {
            self.anchors.push((anchor, copy(value, meter)?));
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some((Open::Map { key: None, .. }, _)))
    }

    fn set_key(&mut self, scalar: scalar::Scalar) -> Result<(), Fault> {
        let name = match scalar {
            scalar::Scalar::Merge => Key::Merge,
            other => Key::Name(other.into_key().map_err(failed)?),
        };
        if let Some((Open::Map { key, .. }, _)) = self.open.last_mut() {
            *key = Some(name);
        }
        Ok(())
    }

    fn add(&mut self, value: Json, meter: &mut Meter) -> Result<(), Fault> {
        meter.build_elements(1)?;
        match self.open.last_mut() {
            None => {
                self.document.get_or_insert(value);
            }
            Some((Open::List(items), _)) => items.push(value),
            Some((Open::Map { fields, key }, _)) => match key.take() {
                // Of equal keys the last stays, as in Go.
                Some(Key::Name(name)) => drop(fields.insert(name, value)),
                Some(Key::Merge) => merge(fields, value)?,
                None => *key = Some(Key::Name(key_text(value)?)),
            },
        }
        Ok(())
    }
}

/// The fields of a mapping, or of each mapping of a list, the first last.
fn merge(fields: &mut JsonMap<String, Json>, value: Json) -> Result<(), Fault> {
    match value {
        Json::Object(merged) => fields.extend(merged),
        Json::Array(maps) => {
            for map in maps.into_iter().rev() {
                let Json::Object(merged) = map else {
                    return Err(failed(
                        "map merge requires map or sequence of maps as the value",
                    ));
                };
                fields.extend(merged);
            }
        }
        _ => {
            return Err(failed(
                "map merge requires map or sequence of maps as the value",
            ));
        }
    }
    Ok(())
}

/// The text of a key that is an alias or an anchored scalar.
fn key_text(value: Json) -> Result<String, Fault> {
    match value {
        Json::String(text) => Ok(text),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Number(number) => Ok(number.to_string()),
        _ => Err(failed("unsupported map key")),
    }
}

/// A copy that is paid for, so that aliases of aliases run out of fuel.
fn copy(value: &Json, meter: &mut Meter) -> Result<Json, Fault> {
    pay(value, meter)?;
    Ok(value.clone())
}

fn pay(value: &Json, meter: &mut Meter) -> Result<(), Fault> {
    meter.build_elements(1)?;
    match value {
        Json::String(text) => meter.build(text.len()),
        Json::Array(items) => items.iter().try_for_each(|item| pay(item, meter)),
        Json::Object(fields) => fields.iter().try_for_each(|(name, field)| {
            meter.build(name.len())?;
            pay(field, meter)
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(text: &str) -> Option<Json> {
        read(text, &mut Meter::default()).ok()
    }

    #[test]
    fn documents_read_as_in_go() {
        for (text, expected) in [
            ("", json!(null)),
            (
                "a: 1\nb: [x, {y: 2}]",
                json!({"a": 1, "b": ["x", {"true": 2}]}),
            ),
            ("a: &x {b: 1}\nc: *x", json!({"a": {"b": 1}, "c": {"b": 1}})),
            (
                "a: &x {b: 1}\nc: {<<: *x, d: 2}",
                json!({"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
            ),
            ("a: 1\na: 2", json!({"a": 2})),
            ("a: 1\n---\nb: 2", json!({"a": 1})),
            (
                "1.5: x\n017: w\ntrue: z",
                json!({"1.5": "x", "15": "w", "true": "z"}),
            ),
            ("? a\n: b", json!({"a": "b"})),
            ("a: # comment\n  b: 1", json!({"a": {"b": 1}})),
            ("a: |\n  x\n  y\n", json!({"a": "x\ny\n"})),
        ] {
            assert_eq!(document(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "\ta: 1",
            "%YAML 1.2\n---\na: 1",
            "a: .inf",
            "a: *x",
            "a: [1",
            "a: !!int x",
            "{a: 1}: 2",
            "~: 1",
        ] {
            assert_eq!(document(text), None, "{text}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_runs_out_of_memory() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            let items = [before.as_str(); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let error = read(&text, &mut Meter::default()).expect_err("too large");
        assert_eq!(error.class(), ErrorClass::Exhausted);
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(document(&"[".repeat(10_000)), None);
        assert_eq!(document(&"{a: ".repeat(10_000)), None);
        assert_eq!(document(&"- ".repeat(10_000)), None);
    }
}
