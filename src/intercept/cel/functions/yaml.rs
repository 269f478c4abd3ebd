//! `parseYAML`: YAML as Go's libraries read it, which is YAML 1.1.
//!
//! In: text. Out: the map that it is after a detour over JSON, as upstream
//! takes it: keys are text, numbers are doubles, dates stay text. The scanner
//! is the one below the crate that reads configuration; what plain words mean
//! is `scalar`'s matter.

mod layout;
mod scalar;

use std::collections::BTreeSet;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};
use serde_json::{Map as JsonMap, Value as Json};

use super::arguments::string;
use super::json;
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::Value;
use layout::Tabs;

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
    let json = read(&text, Scalars::Resolved, context.meter)?;
    json::object(&json, context.meter)?.ok_or_else(|| failed("not a mapping"))
}

/// What scalars become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalars {
    /// What they mean.
    Resolved,
    /// Text, `null` apart: what Go makes of them where it wants texts.
    AsWritten,
}

/// Reads the first document.
pub(super) fn read(text: &str, scalars: Scalars, meter: &mut Meter) -> Result<Json, Fault> {
    let mut builder = Builder::default();
    let mut tabs = Tabs::default();
    let mut end = text.len();
    for event in Parser::new_from_str(text) {
        // Messages of the scanner name places in the text, and none of it.
        let (event, span) = event.map_err(|error| failed(&error.to_string()))?;
        let place = span.byte_range().unwrap_or_default();
        let begins_node = matches!(
            event,
            Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..)
                | Event::Alias(_)
        );
        if begins_node && !builder.in_flow() && is_indented_by_tab(text, &place) {
            return Err(failed(layout::TAB));
        }
        match event {
            Event::DocumentStart(_, Some(version)) if (version.major, version.minor) != (1, 1) => {
                return Err(failed("found incompatible YAML document"));
            }
            Event::DocumentEnd | Event::StreamEnd => {
                end = place.start;
                break;
            }
            Event::Scalar(value, style, anchor, tag) => {
                let source = text.get(place.clone()).unwrap_or("");
                if style == ScalarStyle::DoubleQuoted && layout::has_unknown_escape(source) {
                    return Err(failed("found unknown escape character"));
                }
                let value = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        layout::block_scalar(text, &place, &value)
                    }
                    _ => &value,
                };
                let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
                let plain = style == ScalarStyle::Plain;
                let scalar = scalar::resolve(value, plain, tag.as_deref()).map_err(failed)?;
                let scalar = match scalars {
                    Scalars::Resolved => scalar,
                    Scalars::AsWritten => scalar.written(value),
                };
                builder.scalar(scalar, anchor, meter)?;
                tabs.scalar(style, place);
            }
            event => {
                if let Some(start) = builder.take(event, place.start, meter)? {
                    tabs.flow(start..place.end);
                }
            }
        }
    }
    if tabs.misplaced(text, end) {
        return Err(failed(layout::TAB));
    }
    Ok(builder.document.unwrap_or_default())
}

/// Whether a tab indents a node, at the start of its line or after the dash
/// of an item. YAML 1.1 indents with spaces only.
fn is_indented_by_tab(text: &str, place: &Range<usize>) -> bool {
    let before = text.get(..place.start).unwrap_or("");
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
        /// Fields whose value so far is a number that JSON does not have. They
        /// only count if no later field of the same name takes their place.
        infinite: BTreeSet<String>,
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
    start: usize,
}

#[derive(Default)]
struct Builder {
    open: Vec<(Open, Place)>,
    anchors: Vec<(usize, Json)>,
    document: Option<Json>,
}

impl Builder {
    /// Takes what is no scalar. Tells where a flow collection began that ends
    /// here.
    fn take(
        &mut self,
        event: Event<'_>,
        start: usize,
        meter: &mut Meter,
    ) -> Result<Option<usize>, Fault> {
        match event {
            Event::SequenceStart(style, anchor, _) => {
                self.enter(Open::List(Vec::new()), style, anchor, start)?;
            }
            Event::MappingStart(style, anchor, _) => {
                let map = Open::Map {
                    fields: JsonMap::new(),
                    key: None,
                    infinite: BTreeSet::new(),
                };
                self.enter(map, style, anchor, start)?;
            }
            Event::SequenceEnd | Event::MappingEnd => return self.leave(meter),
            Event::Alias(anchor) => {
                let known = self.anchors.iter().rev().find(|(id, _)| *id == anchor);
                let (_, value) = known.ok_or_else(|| failed("unknown anchor"))?;
                let value = copy(value, meter)?;
                self.add(value, meter)?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn scalar(
        &mut self,
        scalar: scalar::Scalar,
        anchor: usize,
        meter: &mut Meter,
    ) -> Result<(), Fault> {
        if self.expects_key() && anchor == 0 {
            return self.set_key(scalar);
        }
        let value = match (scalar.into_json(), self.open.last_mut()) {
            (Ok(value), _) => value,
            (Err(_), Some((Open::Map { key, infinite, .. }, _)))
                if anchor == 0 && matches!(key, Some(Key::Name(_))) =>
            {
                if let Some(Key::Name(name)) = key.take() {
                    meter.build(name.len())?;
                    infinite.insert(name);
                }
                return Ok(());
            }
            (Err(reason), _) => return Err(failed(reason)),
        };
        self.remember(anchor, &value, meter)?;
        self.add(value, meter)
    }

    fn in_flow(&self) -> bool {
        self.open.last().is_some_and(|(_, place)| place.in_flow)
    }

    fn enter(
        &mut self,
        open: Open,
        style: StructureStyle,
        anchor: usize,
        start: usize,
    ) -> Result<(), Fault> {
        if self.open.len() >= MOST_NESTING {
            return Err(failed("nested too deeply"));
        }
        let in_flow = style == StructureStyle::Flow;
        let place = Place {
            anchor,
            in_flow,
            start,
        };
        self.open.push((open, place));
        Ok(())
    }

    fn leave(&mut self, meter: &mut Meter) -> Result<Option<usize>, Fault> {
        let Some((open, place)) = self.open.pop() else {
            return Ok(None);
        };
        let value = match open {
            Open::List(items) => Json::Array(items),
            Open::Map { infinite, .. } if !infinite.is_empty() => {
                return Err(failed(scalar::NOT_FINITE));
            }
            Open::Map { fields, .. } => Json::Object(fields),
        };
        self.remember(place.anchor, &value, meter)?;
        self.add(value, meter)?;
        Ok(place.in_flow.then_some(place.start))
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
            Some((
                Open::Map {
                    fields,
                    key,
                    infinite,
                },
                _,
            )) => match key.take() {
                // Of equal keys the last stays, as in Go.
                Some(Key::Name(name)) => {
                    infinite.remove(&name);
                    fields.insert(name, value);
                }
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
mod tests;
