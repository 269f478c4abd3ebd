//! A binding value as text and expressions, and how it is put together.
//!
//! In: the value as written, later what its expressions found. Out: the
//! parameter's text. Values from the event are inserted once and never looked
//! at again. Upstream replaces one expression after the other in the whole
//! text, so that an event that carries the text of a later expression gets its
//! value too: that is an injection, and not repeated here. A default is the
//! author's own text, and expressions that follow still count in it.

use std::collections::HashMap;

use super::expression::{Expression, until_unbalanced};

/// A compiled value.
#[derive(Debug)]
pub(super) struct Pattern {
    expressions: Vec<Expression>,
    pieces: Vec<Piece<String>>,
}

/// A part of a value.
#[derive(Debug)]
enum Piece<T> {
    /// Text of the author.
    Text(T),
    /// The value of the expression with this index.
    Slot(usize),
}

impl Pattern {
    /// Reads a value.
    pub(super) fn new(source: &str) -> Self {
        let mut expressions = Vec::new();
        let mut known = HashMap::new();
        let pieces = cut(source, |expression| {
            let slot = known.entry(expression).or_insert_with(|| {
                expressions.push(Expression::new(expression));
                expressions.len() - 1
            });
            Some(*slot)
        });
        let pieces = pieces.into_iter().map(|piece| match piece {
            Piece::Text(text) => Piece::Text(text.to_owned()),
            Piece::Slot(slot) => Piece::Slot(slot),
        });
        Self {
            pieces: pieces.collect(),
            expressions,
        }
    }

    /// Its expressions in the order in which they stand, each once.
    pub(super) fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    /// The text, given the value of each expression or nothing where the
    /// default takes its place; nothing beyond `room` bytes.
    pub(super) fn assemble(
        &self,
        mut values: Vec<Option<String>>,
        default: &str,
        room: usize,
    ) -> Option<String> {
        if values.iter().any(Option::is_none) {
            self.put_defaults(&mut values, default, room)?;
        }
        join(&self.pieces, &values, room)
    }

    /// Puts the default where there is no value. The last one is settled
    /// first, because the others may name it.
    fn put_defaults(
        &self,
        values: &mut [Option<String>],
        default: &str,
        room: usize,
    ) -> Option<()> {
        let sources = self.expressions.iter().map(|e| e.source.as_str());
        let slots: HashMap<&str, usize> = sources.zip(0..).collect();
        let places = self.places();
        let mut work = room;
        for slot in (0..values.len()).rev() {
            if values.get(slot)?.is_some() {
                continue;
            }
            work = work.checked_sub(default.len())?;
            let (first, _) = *places.get(slot)?;
            let pieces = cut(default, |expression| {
                let named = *slots.get(expression)?;
                let (_, last) = *places.get(named)?;
                let counts = last > first && values.get(named)?.is_some();
                counts.then_some(named)
            });
            let text = join(&pieces, values, work)?;
            work -= text.len();
            *values.get_mut(slot)? = Some(text);
        }
        Some(())
    }

    /// For each expression the index of its first piece and of its last.
    fn places(&self) -> Vec<(usize, usize)> {
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(self.expressions.len());
        for (at, piece) in self.pieces.iter().enumerate() {
            let Piece::Slot(slot) = *piece else { continue };
            // Slots are numbered in the order in which they first stand.
            match places.get_mut(slot) {
                Some((_, last)) => *last = at,
                None => places.push((at, at)),
            }
        }
        places
    }
}

/// Cuts `text` at its expressions, as far as `slot_of` knows them.
fn cut<'t>(
    text: &'t str,
    mut slot_of: impl FnMut(&'t str) -> Option<usize>,
) -> Vec<Piece<&'t str>> {
    let mut pieces = Vec::new();
    let mut done = 0;
    for (at, _) in text.match_indices("$(") {
        let start = at + "$(".len();
        let rest = text.get(start..).unwrap_or_default();
        let Some((source, slot)) =
            until_unbalanced(rest).and_then(|source| Some((source, slot_of(source)?)))
        else {
            continue;
        };
        pieces.push(Piece::Text(text.get(done..at).unwrap_or_default()));
        pieces.push(Piece::Slot(slot));
        done = start + source.len() + ")".len();
    }
    pieces.push(Piece::Text(text.get(done..).unwrap_or_default()));
    pieces
}

fn join<T: AsRef<str>>(
    pieces: &[Piece<T>],
    values: &[Option<String>],
    room: usize,
) -> Option<String> {
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.as_ref(),
        Piece::Slot(slot) => values.get(*slot).and_then(Option::as_deref).unwrap_or(""),
    });
    let lengths = texts.clone().map(str::len);
    let bytes = lengths.fold(0_usize, usize::saturating_add);
    (bytes <= room).then(|| {
        let mut out = String::with_capacity(bytes);
        out.extend(texts);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(source: &str, values: &[Option<&str>], default: &str) -> Option<String> {
        let values = values.iter().map(|value| value.map(str::to_owned));
        Pattern::new(source).assemble(values.collect(), default, 1000)
    }

    #[test]
    fn an_expression_ends_at_the_first_parenthesis_without_a_partner() {
        for (value, expected) in [
            ("plain", &[][..]),
            ("$(body.a)", &["body.a"]),
            ("$(a)-$(b)$(a)", &["a", "b"]),
            ("$(a.(b).c))", &["a.(b).c"]),
            ("$($(a))", &["a"]),
            ("$(x$(y)z)", &["y"]),
            ("$(a)-$(never", &["a"]),
            ("$(never-$(b)", &["b"]),
            ("asd)$(asd", &[]),
            ("$())))", &[""]),
            ("$$$(a)", &["a"]),
            ("$ (a) ${b}", &[]),
            ("$(a ')' b)", &["a '"]),
        ] {
            let pattern = Pattern::new(value);
            let sources = pattern.expressions().iter().map(|e| e.source.as_str());
            assert_eq!(sources.collect::<Vec<_>>(), expected, "{value}");
        }
    }

    #[test]
    fn a_value_from_the_event_is_not_looked_at_again() {
        let text = assembled("$(a) $(b)", &[Some("$(b)"), Some("x")], "");
        assert_eq!(text.as_deref(), Some("$(b) x"));
    }

    #[test]
    fn a_default_replaces_one_expression_and_later_ones_count_in_it() {
        for (source, values, default, expected) in [
            ("refs/$(a)", &[None][..], "main", "refs/main"),
            ("$(a) $(b)", &[None, Some("x")], "$(b)", "x x"),
            ("$(a) $(b)", &[Some("x"), None], "$(a)", "x $(a)"),
            ("$(a) $(b)", &[None, None], "$(b)!", "$(b)!! $(b)!"),
            ("$(a) $(b) $(a)", &[Some("x"), None], "$(a)", "x x x"),
            ("$(a)$(a)", &[None], "d", "dd"),
        ] {
            let text = assembled(source, values, default);
            assert_eq!(text.as_deref(), Some(expected), "{source}");
        }
    }

    #[test]
    fn defaults_that_multiply_are_stopped() {
        let source = "$(a)$(b)$(c)$(d)";
        let default = "$(b)$(b)$(b)$(c)$(c)$(c)$(d)$(d)$(d)";
        assert_eq!(assembled(source, &[None; 4], &default.repeat(4)), None);
    }
}
