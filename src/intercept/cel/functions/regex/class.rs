//! Character classes and escapes of RE2's syntax.

use super::input::Input;
use super::re2::{INVALID_ESCAPE, Reason, TRAILING_BACKSLASH, push_literal};
use super::unicode::{self, INVALID_RANGE};

const MISSING_BRACKET: Reason = "missing closing ]";

/// Names that may stand between `[:` and `:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Reads a class after its `[`.
pub(super) fn translate(input: &mut Input<'_>, output: &mut String) -> Result<(), Reason> {
    output.push('[');
    if input.take('^') {
        output.push('^');
    }
    let mut first = true;
    loop {
        match input.peek() {
            None => return Err(MISSING_BRACKET),
            Some(']') if !first => {
                input.next();
                output.push(']');
                return Ok(());
            }
            Some('[') if posix(input, output)? => {}
            Some('\\') => {
                input.next();
                if !named(input, output, true)? {
                    let low = character_escape(input)?;
                    range(low, input, output)?;
                }
            }
            Some(low) => {
                input.next();
                range(low, input, output)?;
            }
        }
        first = false;
    }
}

/// A character, or a range from it.
fn range(low: char, input: &mut Input<'_>, output: &mut String) -> Result<(), Reason> {
    push_literal(output, low);
    let mut ahead = input.clone();
    if !ahead.take('-') || matches!(ahead.peek(), None | Some(']')) {
        return Ok(());
    }
    *input = ahead;
    let high = match input.next() {
        Some('\\') => character_escape(input)?,
        Some(high) => high,
        None => return Err(MISSING_BRACKET),
    };
    if high < low {
        return Err(INVALID_RANGE);
    }
    output.push('-');
    push_literal(output, high);
    Ok(())
}

/// `[:name:]`. Without its end it is nothing special.
fn posix(input: &mut Input<'_>, output: &mut String) -> Result<bool, Reason> {
    let mut ahead = input.clone();
    if !ahead.take_all("[:") {
        return Ok(false);
    }
    let Some(name) = ahead.take_until(":]") else {
        return Ok(false);
    };
    if !POSIX.contains(&name.strip_prefix('^').unwrap_or(&name)) {
        return Err(INVALID_RANGE);
    }
    output.push_str(&format!("[:{name}:]"));
    *input = ahead;
    Ok(true)
}

/// `\d`, `\pL` and the like, after the backslash. Classes named by a letter
/// hold ASCII only.
pub(super) fn named(
    input: &mut Input<'_>,
    output: &mut String,
    in_brackets: bool,
) -> Result<bool, Reason> {
    let (negated, members) = match input.peek() {
        Some('d') => (false, "0-9"),
        Some('D') => (true, "0-9"),
        Some('s') => (false, r"\t\n\f\r "),
        Some('S') => (true, r"\t\n\f\r "),
        Some('w') => (false, "0-9A-Za-z_"),
        Some('W') => (true, "0-9A-Za-z_"),
        Some('p' | 'P') => {
            unicode_class(input, output)?;
            return Ok(true);
        }
        _ => return Ok(false),
    };
    input.next();
    match (negated, in_brackets) {
        (true, _) => output.push_str(&format!("[^{members}]")),
        (false, true) => output.push_str(members),
        (false, false) => output.push_str(&format!("[{members}]")),
    }
    Ok(true)
}

/// `\pL`, `\p{Greek}`, `\P{Lu}`, `\p{^Lu}`.
fn unicode_class(input: &mut Input<'_>, output: &mut String) -> Result<(), Reason> {
    let mut negated = input.next() == Some('P');
    let name = if input.take('{') {
        let name = input.take_until("}").ok_or(INVALID_RANGE)?;
        match name.strip_prefix('^') {
            Some(name) => {
                negated = !negated;
                name.to_owned()
            }
            None => name,
        }
    } else {
        input.next().ok_or(INVALID_RANGE)?.to_string()
    };
    output.push_str(&unicode::class(&name, negated)?);
    Ok(())
}

/// The character that an escape stands for, after the backslash.
pub(super) fn character_escape(input: &mut Input<'_>) -> Result<char, Reason> {
    let escaped = input.next().ok_or(TRAILING_BACKSLASH)?;
    match escaped {
        'a' => Ok('\u{7}'),
        'f' => Ok('\u{c}'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        'v' => Ok('\u{b}'),
        'x' => hexadecimal(input),
        '0' => octal(0, input),
        // One digit alone would be a reference to a group.
        '1'..='7' if input.peek().is_some_and(|next| ('0'..='7').contains(&next)) => {
            octal(escaped as u32 - '0' as u32, input)
        }
        _ if escaped.is_ascii() && !escaped.is_ascii_alphanumeric() => Ok(escaped),
        _ => Err(INVALID_ESCAPE),
    }
}

fn octal(mut value: u32, input: &mut Input<'_>) -> Result<char, Reason> {
    for _ in 0..2 {
        let Some(digit) = input.peek().and_then(|next| next.to_digit(8)) else {
            break;
        };
        input.next();
        value = value * 8 + digit;
    }
    char::from_u32(value).ok_or(INVALID_ESCAPE)
}

fn hexadecimal(input: &mut Input<'_>) -> Result<char, Reason> {
    let digits = if input.take('{') {
        input.take_until("}").ok_or(INVALID_ESCAPE)?
    } else {
        let two = [input.next(), input.next()].into_iter().flatten();
        let two: String = two.collect();
        // One digit alone is none, and neither is a character of two bytes.
        two.chars().nth(1).map_or(String::new(), |_| two)
    };
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !valid {
        return Err(INVALID_ESCAPE);
    }
    u32::from_str_radix(&digits, 16)
        .ok()
        .and_then(char::from_u32)
        .ok_or(INVALID_ESCAPE)
}
