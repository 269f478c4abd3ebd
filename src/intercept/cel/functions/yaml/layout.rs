//! What YAML 1.1 says of the text around and inside scalars, where the scanner
//! goes by YAML 1.2.
//!
//! In: a document and the places of its scalars and flow collections. Out:
//! whether Go would have read it, and a block scalar as Go reads it.

use std::ops::Range;

use granit_parser::ScalarStyle;

/// A tab where only spaces may indent.
pub(super) const TAB: &str = "found character that cannot start any token";

/// Whether a double-quoted scalar has the escape `\/`, which YAML 1.1 lacks.
pub(super) fn has_unknown_escape(scalar: &str) -> bool {
    let mut letters = scalar.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && letters.next() == Some('/') {
            return true;
        }
    }
    false
}

/// A block scalar at `place`. Its last line break is read where it stands in
/// the text, and not added where the text ends without one.
pub(super) fn block_scalar<'s>(text: &str, place: &Range<usize>, scalar: &'s str) -> &'s str {
    let last_line = text.rsplit(['\n', '\r']).next().unwrap_or("");
    let unbroken = place.end >= text.len() && !last_line.trim().is_empty();
    match scalar.strip_suffix('\n') {
        Some(without) if unbroken => without,
        _ => scalar,
    }
}

/// Where in a document tabs may stand at the start of a line.
#[derive(Default)]
pub(super) struct Tabs {
    /// Scalars with lines of their own, and flow collections.
    free: Vec<Range<usize>>,
    /// Plain scalars: a tab may continue them, though not at once.
    plain: Vec<Range<usize>>,
}

impl Tabs {
    pub(super) fn scalar(&mut self, style: ScalarStyle, place: Range<usize>) {
        match style {
            ScalarStyle::Plain => self.plain.push(place),
            _ => self.free.push(place),
        }
    }

    pub(super) fn flow(&mut self, place: Range<usize>) {
        self.free.push(place);
    }

    /// Whether a line before `end` begins with a tab where none may stand.
    /// Places are in the order of the text, but for nested flow collections.
    pub(super) fn misplaced(&self, text: &str, end: usize) -> bool {
        let text = text.get(..end).unwrap_or(text);
        if !text.contains('\t') {
            return false;
        }
        let (mut free, mut plain) = (self.free.clone(), self.plain.clone());
        free.sort_unstable_by_key(|place| place.start);
        plain.retain(|place| !place.is_empty());
        let (mut free, mut plain) = (free.iter().peekable(), plain.iter().peekable());
        let mut covered = 0;
        let mut last_plain = 0;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let blanks = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
            let tab = blanks.clone().position(|byte| byte == b'\t');
            if let Some(column) = tab {
                let at = start + column;
                while let Some(place) = free.next_if(|place| place.start <= at) {
                    covered = covered.max(place.end);
                }
                while let Some(place) = plain.next_if(|place| place.start <= at) {
                    last_plain = place.end;
                }
                let continues = last_plain > at
                    || (last_plain > 0
                        && text
                            .get(last_plain..at)
                            .is_some_and(|between| between.trim().is_empty()));
                if at >= covered && (column == 0 || !continues) {
                    return true;
                }
            }
            start += line.len();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_escaped_slash_is_unknown() {
        assert!(has_unknown_escape(r#""a\/b""#));
        assert!(!has_unknown_escape(r#""a/b\\/c""#));
    }

    #[test]
    fn a_block_scalar_has_the_line_break_that_stands_in_the_text() {
        for (text, expected) in [
            ("x: |\n  a", "a"),
            ("x: |\n  a\n", "a\n"),
            ("x: |\n  a\n  ", "a\n"),
        ] {
            let place = 3..text.len();
            assert_eq!(block_scalar(text, &place, "a\n"), expected, "{text:?}");
        }
        assert_eq!(block_scalar("x: |\n  a\ny: b", &(3..9), "a\n"), "a\n");
    }
}
