//! A binding value as text and expressions, and how it is put together.
//!
//! In: the value as written, later what its expressions found. Out: the
//! parameter's text. Values from the event are inserted once and never looked
//! at again. Upstream replaces one expression after the other in the whole
//! text, so that an event that carries the text of a later expression gets its
//! value too: that is an injection, and not repeated here. A default is the
//! author's own text, and expressions that follow still count in it.

use super::expression::{Expression, find};

/// A compiled value.
#[derive(Debug)]
pub(super) struct Template {
    source: String,
    expressions: Vec<Expression>,
    pieces: Vec<Piece>,
}

/// A part of a value.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// Text of the author, in which later expressions are still replaced.
    Text(String),
    /// The value of the expression with this index.
    Slot(usize),
}

impl Template {
    /// Reads a value.
    pub(super) fn new(source: &str) -> Self {
        let expressions = find(source);
        let slots = (0..expressions.len()).map(Piece::Slot);
        let pieces = fill(source, &expressions, slots);
        Self {
            source: source.to_owned(),
            expressions,
            pieces,
        }
    }

    /// Its expressions.
    pub(super) fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    /// The text, given the value of each expression or nothing where the
    /// default takes its place; nothing beyond `room` bytes.
    pub(super) fn assemble(
        &self,
        values: &[Option<String>],
        default: &str,
        room: usize,
    ) -> Option<String> {
        if values.iter().all(Option::is_some) {
            return join(&self.pieces, values, room);
        }
        let mut pieces = vec![Piece::Text(self.source.clone())];
        for (slot, (expression, value)) in self.expressions.iter().zip(values).enumerate() {
            let with = match value {
                Some(_) => Piece::Slot(slot),
                None => Piece::Text(default.to_owned()),
            };
            pieces = replace(pieces, &expression.whole(), &with);
            // Defaults that hold expressions can multiply.
            if size(&pieces) > room {
                return None;
            }
        }
        join(&pieces, values, room)
    }
}

/// Replaces each expression in turn.
fn fill(
    source: &str,
    expressions: &[Expression],
    slots: impl Iterator<Item = Piece>,
) -> Vec<Piece> {
    let start = vec![Piece::Text(source.to_owned())];
    expressions
        .iter()
        .zip(slots)
        .fold(start, |pieces, (expression, slot)| {
            replace(pieces, &expression.whole(), &slot)
        })
}

/// Puts `with` wherever the author's text says `what`.
fn replace(pieces: Vec<Piece>, what: &str, with: &Piece) -> Vec<Piece> {
    let mut out = Vec::with_capacity(pieces.len() + 2);
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                for (index, part) in text.split(what).enumerate() {
                    if index > 0 {
                        append(&mut out, with.clone());
                    }
                    append(&mut out, Piece::Text(part.to_owned()));
                }
            }
            slot @ Piece::Slot(_) => out.push(slot),
        }
    }
    out
}

/// Texts that meet become one: they may spell an expression together.
fn append(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
        (_, Piece::Text(text)) if text.is_empty() => {}
        (_, piece) => pieces.push(piece),
    }
}

fn size(pieces: &[Piece]) -> usize {
    let sizes = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.len(),
        Piece::Slot(_) => 0,
    });
    sizes.sum()
}

fn join(pieces: &[Piece], values: &[Option<String>], room: usize) -> Option<String> {
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.as_str(),
        Piece::Slot(slot) => values.get(*slot).and_then(Option::as_deref).unwrap_or(""),
    });
    let bytes = texts
        .clone()
        .fold(0_usize, |sum, text| sum.saturating_add(text.len()));
    if bytes > room {
        return None;
    }
    let mut out = String::with_capacity(bytes);
    out.extend(texts);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(source: &str, values: &[Option<&str>], default: &str) -> String {
        let values: Vec<_> = values.iter().map(|v| v.map(str::to_owned)).collect();
        let template = Template::new(source);
        template.assemble(&values, default, 1000).expect("fits")
    }

    #[test]
    fn a_value_from_the_event_is_not_looked_at_again() {
        let text = assembled("$(a) $(b)", &[Some("$(b)"), Some("x")], "");
        assert_eq!(text, "$(b) x");
    }

    #[test]
    fn a_default_replaces_one_expression_and_later_ones_count_in_it() {
        for (source, values, default, expected) in [
            ("refs/$(a)", &[None][..], "main", "refs/main"),
            ("$(a) $(b)", &[None, Some("x")], "$(b)", "x x"),
            ("$(a) $(b)", &[Some("x"), None], "$(a)", "x $(a)"),
            ("$(a) $(b)", &[None, None], "$(b)!", "$(b)!! $(b)!"),
            ("$(a)$(a)", &[None], "d", "dd"),
        ] {
            assert_eq!(assembled(source, values, default), expected, "{source}");
        }
    }

    #[test]
    fn defaults_that_multiply_are_stopped() {
        let source = "$(a)$(b)$(c)$(d)";
        let default = "$(b)$(b)$(c)$(c)$(d)$(d)".repeat(10);
        let template = Template::new(source);
        let out = template.assemble(&[None, None, None, None], &default, 10_000);
        assert_eq!(out, None);
    }
}
