//! Texts in quotes, as Go's `%q` writes them.

use std::fmt::Write;

/// A text in double quotes; what cannot be seen is escaped.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => escape(&mut quoted, 'x', 2, c),
            _ if is_seen(c) => quoted.push(c),
            '\0'..='\u{ffff}' => escape(&mut quoted, 'u', 4, c),
            _ => escape(&mut quoted, 'U', 8, c),
        }
    }
    quoted.push('"');
    quoted
}

fn escape(quoted: &mut String, letter: char, width: usize, c: char) {
    // Writing to a text does not fail.
    let _ = write!(quoted, "\\{letter}{:0width$x}", u32::from(c));
}

/// Letters, marks, numbers, punctuation, symbols, and of spaces ASCII's alone.
fn is_seen(c: char) -> bool {
    let is_hidden = matches!(
        c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
    );
    !is_hidden && (c == ' ' || !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        for (text, expected) in [
            ("a b", r#""a b""#),
            ("\"\\", r#""\"\\""#),
            ("\n\u{1}\u{7f}", r#""\n\x01\x7f""#),
            ("é\u{a0}\u{2028}", r#""é\u00a0\u2028""#),
        ] {
            assert_eq!(quote(text), expected);
        }
    }
}
