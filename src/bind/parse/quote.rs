//! Takes the quotes and escapes off a text in a path, as Go does it.
//!
//! In: the text with its quotes. Out: what it means, or nothing where it cannot
//! be read. Single quotes may hold any number of characters.

/// The meaning of a quoted text.
pub(super) fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        if letter == quote {
            return None;
        }
        if letter == '\\' {
            escape(&mut letters, quote, &mut bytes)?;
        } else {
            push(&mut bytes, letter);
        }
    }
    // `\xff` may leave bytes that are no text; Go prints them so as well.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads what follows a backslash.
fn escape(letters: &mut std::str::Chars<'_>, quote: char, bytes: &mut Vec<u8>) -> Option<()> {
    let letter = letters.next()?;
    match letter {
        'a' => bytes.push(0x07),
        'b' => bytes.push(0x08),
        'f' => bytes.push(0x0c),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(0x0b),
        '\\' => bytes.push(b'\\'),
        '\'' | '"' if letter == quote => bytes.push(letter as u8),
        'x' => bytes.push(u8::try_from(digits(letters, 2, 16, 0)?).ok()?),
        'u' => push(bytes, char::from_u32(digits(letters, 4, 16, 0)?)?),
        'U' => push(bytes, char::from_u32(digits(letters, 8, 16, 0)?)?),
        '0'..='7' => {
            let code = digits(letters, 2, 8, letter.to_digit(8)?)?;
            bytes.push(u8::try_from(code).ok()?);
        }
        _ => return None,
    }
    Some(())
}

/// `count` more digits behind what was read already.
fn digits(letters: &mut std::str::Chars<'_>, count: usize, radix: u32, read: u32) -> Option<u32> {
    (0..count).try_fold(read, |number, _| {
        let digit = letters.next()?.to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}

fn push(bytes: &mut Vec<u8>, letter: char) {
    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        for (text, expected) in [
            (r"'plain'", Some("plain")),
            (r#""double""#, Some("double")),
            (r"''", Some("")),
            (r"'a\nb\tc\\d'", Some("a\nb\tc\\d")),
            (r"'it\'s'", Some("it's")),
            (r#"'\"'"#, None),
            (r"'\x41\u0042\U00000043\104'", Some("ABCD")),
            (r"'\xff'", Some("\u{fffd}")),
            (r"'\x4'", None),
            (r"'\ud800'", None),
            (r"'\400'", None),
            (r"'\q'", None),
            (r"'a'b'", None),
            ("'", None),
            ("x", None),
        ] {
            assert_eq!(unquote(text).as_deref(), expected, "{text}");
        }
    }
}
