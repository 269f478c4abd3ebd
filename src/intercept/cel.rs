//! CEL, as Tekton Triggers speaks it: filters and overlays over an event.
//!
//! In: expressions from triggers, and the event with its headers, extensions
//! and secrets. Out: values, decisions and extensions, as cel-go gives them.
//! The source is parsed with the `cel` crate's parser; from there four passes
//! are our own: `check` (names and types), `lower` (to code), `evaluate` (over
//! the event, by reference) and `convert` (to JSON).
//!
//! Nothing here reads a clock, a file or the network, and no input makes it
//! panic or run on: source, tree, steps and memory are bounded by
//! `model::limits`.

mod check;
mod convert;
mod error;
mod evaluate;
mod expand;
mod filter;
mod functions;
mod ir;
mod lower;
mod meter;
mod overlay;
mod params;
mod parse;
mod program;
mod reads;
#[cfg(test)]
mod properties;
mod registry;
mod report;
mod scan;
mod syntax;
#[cfg(test)]
mod testing;
mod value;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::model::headers::Headers;
use crate::model::secret::Secrets;

pub use error::{CompileError, ErrorClass, EvalError, MissingSecret, OverlayError, Stage};
pub use filter::{Filter, FilterOutcome, compile_filter, compile_filters};
pub use overlay::{Overlay, compile_overlay};
pub use params::Params;
pub use program::{Program, compile, compile_all};
pub use reads::Credential;

/// What an expression sees of an event.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `body`: the parsed body, an object.
    pub body: &'a Value,
    /// `header`.
    pub headers: &'a Headers,
    /// `extensions`: what interceptors before this one added.
    pub extensions: &'a Map<String, Value>,
    /// `requestURL`: path and query.
    pub request_url: &'a str,
    /// Where `compareSecret` looks.
    pub secrets: &'a dyn Secrets,
    /// The trigger's namespace: the only one that `compareSecret` reads.
    pub namespace: &'a str,
}

/// Puts a value where an overlay of this key would.
pub(super) fn set_at(
    key: &str,
    into: &mut Map<String, Value>,
    value: Value,
) -> Result<(), Cow<'static, str>> {
    convert::path::Path::parse(key)?.set(into, value)
}

/// Reads YAML as `parseYAML` does, whatever it holds.
pub(super) fn read_yaml_texts(text: &str) -> Result<Value, String> {
    functions::read_yaml_texts(text).map_err(|fault| fault.to_string())
}

/// Writes a number as Go's `%g` does.
pub(super) fn general_number(value: f64) -> String {
    functions::general_number(value)
}

/// What is wrong with the syntax of an expression, if anything is.
pub(super) fn syntax(source: &str) -> Option<String> {
    let parse = || parse::parse(source).err().map(|error| error.to_string());
    if parse::is_shallow(source) {
        return parse();
    }
    match parse::with_parser_stack(parse) {
        Ok(fault) => fault,
        Err(error) => Some(error.to_string()),
    }
}
