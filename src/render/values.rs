//! The values of one event, and the forms in which they enter a template.
//!
//! In: parameters, the template's defaults, `$(uid)`. Out: a value by name, as
//! JSON text or by itself.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::model::params::{Param, ParamSpec};

use super::decode::decode;

/// What can be inserted.
pub(super) struct Values<'a> {
    by_name: HashMap<&'a str, &'a str>,
    longest_name: usize,
    uid: String,
    escape_quotes: bool,
}

impl<'a> Values<'a> {
    /// Params over defaults. Of several params of one name the first counts,
    /// and of several defaults the last, as upstream.
    pub(super) fn new(
        params: &'a [Param],
        declared: &'a [ParamSpec],
        uid: String,
        escape_quotes: bool,
    ) -> Self {
        let defaults = declared.iter().filter_map(|spec| {
            let default = spec.default.as_deref()?;
            Some((spec.name.as_str(), default))
        });
        let given = params.iter().rev();
        let given = given.map(|param| (param.name.as_str(), param.value.as_str()));
        let by_name: HashMap<_, _> = defaults.chain(given).collect();
        Self {
            longest_name: by_name.keys().map(|name| name.len()).max().unwrap_or(0),
            by_name,
            uid,
            escape_quotes,
        }
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        // Names that a leaf tries may run far; do not hash them for nothing.
        if name.len() > self.longest_name {
            return None;
        }
        self.by_name.get(name).copied()
    }

    /// The value of `$(uid)`.
    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// A value as upstream puts it into JSON text: `$(` made harmless to
    /// Tekton, and quotes escaped where the template asks for that.
    pub(super) fn as_json_text<'v>(&self, value: &'v str) -> Cow<'v, str> {
        if self.escape_quotes && value.contains('"') {
            return Cow::Owned(value.replace('"', "\\\"").replace("$(", "$$("));
        }
        harmless(value)
    }

    /// A value that does not fit into JSON text together with what is around
    /// it: decoded if it can be, else literally. Quotes need no escape here.
    pub(super) fn by_itself<'v>(&self, value: &'v str) -> Cow<'v, str> {
        match harmless(value) {
            Cow::Borrowed(value) => decode(value).unwrap_or(Cow::Borrowed(value)),
            Cow::Owned(value) => Cow::Owned(match decode(&value) {
                Some(decoded) => decoded.into_owned(),
                None => value,
            }),
        }
    }
}

/// `$(` in a value is text, and Tekton takes `$$(` for that.
fn harmless(value: &str) -> Cow<'_, str> {
    if value.contains("$(") {
        Cow::Owned(value.replace("$(", "$$("))
    } else {
        Cow::Borrowed(value)
    }
}
