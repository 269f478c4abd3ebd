//! One text of a template: a string or a key with `$(tt.params.x)` and
//! `$(uid)` in it.
//!
//! In: the author's text, once; parameters, for each event. Out: the text with
//! values in it. Upstream replaces in the JSON text of the whole template and
//! parses that, so values are JSON-escaped text, and bindings produce them so.
//! A leaf does the same within its own quotes: it is kept as JSON text, values
//! are inserted, and the result is decoded as one JSON string. Where that fails
//! (upstream's `invalid_json`: a whole object, a quote or line break in a
//! static value or a default), each value is decoded by itself, or taken
//! literally. Either way a value stays inside its leaf, and an inserted value is
//! never searched for expressions.

use std::borrow::Cow;

use crate::model::limits::MANIFEST_BYTES;

use super::decode::decode;
use super::values::Values;

const PARAM: &str = "$(tt.params.";
const UID: &str = "$(uid)";

/// Most bytes of JSON text a leaf may have before it is decoded: an escape is
/// at most six bytes for one.
const LEAF_BYTES: usize = 6 * MANIFEST_BYTES;

/// How long the name of a parameter may be, and how many closing parentheses it
/// may run over.
const NAME_BYTES: usize = 1024;
const NAME_ENDS: usize = 8;

/// A text with expressions.
#[derive(Debug)]
pub(super) struct Leaf {
    /// The author's text, escaped as JSON.
    text: String,
    marks: Vec<Mark>,
}

/// Where an expression begins.
#[derive(Debug)]
struct Mark {
    at: usize,
    what: Target,
}

#[derive(Debug)]
enum Target {
    Uid,
    /// Every place where the name may end: a name may hold parentheses, and
    /// only the parameters that an event brings tell which are part of it.
    Param {
        ends: Vec<usize>,
    },
}

/// A leaf, cut up for one event.
enum Part<'a> {
    /// JSON text of the author.
    Text(&'a str),
    /// A value, as the binding gave it.
    Value(&'a str),
    Uid,
}

/// A leaf grew beyond any manifest.
pub(super) struct TooLarge;

impl Leaf {
    /// A leaf, where the text has expressions.
    pub(super) fn new(text: &str) -> Option<Self> {
        let quoted = serde_json::Value::from(text).to_string();
        let text = quoted.get(1..quoted.len() - 1)?.to_owned();
        let mut marks = Vec::new();
        for (at, _) in text.match_indices("$(") {
            let rest = text.get(at..)?;
            if rest.starts_with(UID) {
                marks.push(Mark {
                    at,
                    what: Target::Uid,
                });
            } else if rest.starts_with(PARAM) {
                let reach = rest.bytes().take(PARAM.len() + NAME_BYTES + 1).enumerate();
                let ends = reach.filter(|&(_, byte)| byte == b')');
                let ends = ends.map(|(end, _)| at + end).take(NAME_ENDS).collect();
                let what = Target::Param { ends };
                marks.push(Mark { at, what });
            }
        }
        (!marks.is_empty()).then_some(Self { text, marks })
    }

    /// The text for one event.
    pub(super) fn render(&self, values: &Values<'_>) -> Result<String, TooLarge> {
        let parts = self.parts(values);
        let mut text = String::with_capacity(self.text.len());
        for part in &parts {
            let part = match part {
                Part::Text(text) => Cow::Borrowed(*text),
                Part::Value(value) => values.as_json_text(value),
                Part::Uid => Cow::Borrowed(values.uid()),
            };
            if text.len() + part.len() > LEAF_BYTES {
                return Err(TooLarge);
            }
            text.push_str(&part);
        }
        if let Some(decoded) = decode(&text) {
            return Ok(decoded.into_owned());
        }
        let each = parts.iter().map(|part| match part {
            Part::Text(text) => decode(text).unwrap_or(Cow::Borrowed(text)),
            Part::Value(value) => values.by_itself(value),
            Part::Uid => Cow::Borrowed(values.uid()),
        });
        Ok(each.collect())
    }

    fn parts<'a>(&'a self, values: &'a Values<'_>) -> Vec<Part<'a>> {
        let mut parts = Vec::with_capacity(2 * self.marks.len() + 1);
        let mut done = 0;
        let text = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        for Mark { at, what } in &self.marks {
            if *at < done {
                continue;
            }
            let found = match what {
                Target::Uid => Some((Part::Uid, at + UID.len())),
                Target::Param { ends } => ends.iter().find_map(|&end| {
                    let value = values.get(text(at + PARAM.len(), end))?;
                    Some((Part::Value(value), end + 1))
                }),
            };
            if let Some((part, end)) = found {
                parts.extend([Part::Text(text(done, *at)), part]);
                done = end;
            }
        }
        parts.push(Part::Text(text(done, self.text.len())));
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::params::Param;

    fn rendered(text: &str, params: &[(&str, &str)], escape_quotes: bool) -> String {
        let params: Vec<_> = params
            .iter()
            .map(|&(name, value)| Param {
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .collect();
        let values = Values::new(&params, &[], "UID".to_owned(), escape_quotes);
        match Leaf::new(text) {
            Some(leaf) => leaf.render(&values).ok().expect("is small"),
            None => text.to_owned(),
        }
    }

    #[test]
    fn expressions_are_replaced_and_everything_else_stays() {
        let params = [
            ("a", "1"),
            ("a.b", "2"),
            ("p)", "3"),
            ("(q)", "4"),
            ("a", "no"),
        ];
        for (text, expected) in [
            ("plain", "plain"),
            ("$(tt.params.a)-$(tt.params.a)", "1-1"),
            ("$(tt.params.a.b)", "2"),
            ("$(tt.params.p))", "3"),
            ("$(tt.params.(q))", "4"),
            ("$$(tt.params.a)", "$1"),
            ("$(tt.params.$(tt.params.a))", "$(tt.params.1)"),
            ("$($(uid)$(tt.params.a)", "$(UID1"),
            ("$(tt.params.unset)", "$(tt.params.unset)"),
            ("$(tt.params.a", "$(tt.params.a"),
            (
                "$( tt.params.a) $(tt.params.a ) $(params.a)",
                "$( tt.params.a) $(tt.params.a ) $(params.a)",
            ),
            ("\"\\\n$(tt.params.a)é", "\"\\\n1é"),
        ] {
            assert_eq!(rendered(text, &params, false), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_json_text_where_it_can_be() {
        for (value, expected) in [
            (r"v\r\n", "v\r\n"),
            (r#"say \"hi\""#, r#"say "hi""#),
            (r"\u003ca\u003e", "<a>"),
            (r"\\", r"\"),
            // What upstream cannot take stands as it is.
            (r#"{"a":"q\"x"}"#, r#"{"a":"q\"x"}"#),
            ("two\nlines", "two\nlines"),
            (r"C:\x", r"C:\x"),
            ("\\", "\\"),
        ] {
            let text = rendered("<$(tt.params.p)>", &[("p", value)], false);
            assert_eq!(text, format!("<{expected}>"), "{value}");
        }
    }

    #[test]
    fn a_value_that_breaks_the_text_does_not_change_how_another_one_is_read() {
        let params = [("object", r#"{"a":1}"#), ("text", r"x\ny")];
        let text = rendered("\"$(tt.params.object) $(tt.params.text)\"", &params, false);
        assert_eq!(text, "\"{\"a\":1} x\ny\"");
    }

    #[test]
    fn nothing_in_a_value_is_an_expression() {
        for (value, expected) in [
            ("$(uid)", "$$(uid)"),
            ("$(tt.params.q)", "$$(tt.params.q)"),
            ("$$(x)", "$$$(x)"),
            (r#"$(x) ""#, r#"$$(x) ""#),
        ] {
            let params = [("p", value), ("q", "Q")];
            assert_eq!(
                rendered("$(tt.params.p)", &params, false),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn old_templates_have_their_quotes_escaped() {
        for (value, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r"x\ny", "x\ny"),
            // Upstream escapes these twice and fails.
            (r#"say \"hi\""#, r#"say "hi""#),
        ] {
            assert_eq!(
                rendered("$(tt.params.p)", &[("p", value)], true),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_leaf_beyond_any_manifest_is_refused() {
        let params = [Param {
            name: "p".into(),
            value: "x".repeat(MANIFEST_BYTES),
        }];
        let values = Values::new(&params, &[], String::new(), false);
        let leaf = Leaf::new(&"$(tt.params.p)".repeat(7)).expect("has expressions");
        assert!(leaf.render(&values).is_err());
    }
}
