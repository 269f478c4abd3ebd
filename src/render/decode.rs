//! Decodes the inside of a JSON string as Go does it.
//!
//! In: text in which JSON's escapes may stand. Out: what it means, or nothing
//! where it is not the inside of a JSON string. Halves of surrogate pairs,
//! which serde_json refuses, become U+FFFD.

use std::borrow::Cow;
use std::str::Chars;

/// What `text` means between the quotes of a JSON string.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    let is_plain = |letter: char| letter >= ' ' && letter != '"' && letter != '\\';
    let Some(first) = text.find(|letter| !is_plain(letter)) else {
        return Some(Cow::Borrowed(text));
    };
    let (plain, rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len());
    out.push_str(plain);
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.push(escaped(&mut letters)?),
            letter if is_plain(letter) => out.push(letter),
            _ => return None,
        }
    }
    Some(Cow::Owned(out))
}

/// Reads what follows a backslash.
fn escaped(letters: &mut Chars<'_>) -> Option<char> {
    Some(match letters.next()? {
        letter @ ('"' | '\\' | '/') => letter,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => unicode(letters)?,
        _ => return None,
    })
}

/// Four hexadecimal digits, or eight in two escapes where they make a pair.
fn unicode(letters: &mut Chars<'_>) -> Option<char> {
    let first = unit(letters)?;
    let mut ahead = letters.clone();
    if let (0xd800..0xdc00, Some('\\'), Some('u')) = (first, ahead.next(), ahead.next())
        && let Some(second @ 0xdc00..0xe000) = unit(&mut ahead)
    {
        *letters = ahead;
        return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
    }
    Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn unit(letters: &mut Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + letters.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_inside_of_a_json_string_is_decoded() {
        for (text, expected) in [
            ("plain é ✓", Some("plain é ✓")),
            (
                r#"\"q\" \\ \/ \n\r\t\b\f"#,
                Some("\"q\" \\ / \n\r\t\u{8}\u{c}"),
            ),
            (r"\u003cA\u00e9", Some("<Aé")),
            (r"\ud83d\ude00", Some("😀")),
            (r"\uD83D\uDE00", Some("😀")),
            (r"\ud83dx", Some("\u{fffd}x")),
            (r"\ud83d\n", Some("\u{fffd}\n")),
            (r"\ud83d\ud83d\ude00", Some("\u{fffd}😀")),
            (r"\ude00", Some("\u{fffd}")),
            (r#"a"b"#, None),
            ("a\nb", None),
            (r"a\xb", None),
            (r"a\'b", None),
            (r"a\u12", None),
            (r"\ud83d\u12", None),
            ("a\\", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }
}
