//! Numbers as Go writes and reads them.

use std::fmt::Write;

/// `%g` with the shortest digits: an exponent below 0.0001 and from 1e+06 on.
pub(super) fn general(value: f64) -> String {
    if let Some(word) = not_finite(value, "+Inf", "-Inf") {
        return word.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        scientific_shortest(value)
    } else {
        format!("{value}")
    }
}

/// The form that Go gives a number in JSON.
pub(super) fn json(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = scientific_shortest(value);
        // `e-09` becomes `e-9`; positive exponents stay as they are.
        return text.replace("e-0", "e-");
    }
    format!("{value}")
}

/// All digits, without an exponent.
pub(super) fn plain(value: f64) -> String {
    not_finite(value, "Infinity", "-Infinity").map_or_else(|| format!("{value}"), str::to_owned)
}

/// `%.nf`.
pub(super) fn fixed(value: f64, precision: usize) -> String {
    not_finite(value, "Infinity", "-Infinity")
        .map_or_else(|| format!("{value:.precision$}"), str::to_owned)
}

/// `%.ne`.
pub(super) fn scientific(value: f64, precision: usize) -> String {
    not_finite(value, "Infinity", "-Infinity").map_or_else(
        || with_go_exponent(&format!("{value:.precision$e}")),
        str::to_owned,
    )
}

/// A number as Go reads it: decimal or hexadecimal, underscores between its
/// digits, or a word for infinity or NaN. One that is out of range is refused.
pub(super) fn parse(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let prefix = unsigned.get(..2).unwrap_or("");
    let hexadecimal = prefix.eq_ignore_ascii_case("0x");
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        let word = text.parse().ok();
        return word.filter(|value: &f64| !value.is_nan() || text.len() == unsigned.len());
    }
    let digits = without_underscores(unsigned, hexadecimal)?;
    let size = if hexadecimal {
        parse_hexadecimal(&digits[2..])?
    } else {
        digits.parse().ok()?
    };
    let value = if text.starts_with('-') { -size } else { size };
    value.is_finite().then_some(value)
}

/// The text without its underscores, if each stands between two digits, or
/// between the prefix and a digit.
fn without_underscores(text: &str, hexadecimal: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| {
        bytes.get(at).is_some_and(|byte| match hexadecimal {
            true => byte.is_ascii_hexdigit(),
            false => byte.is_ascii_digit(),
        })
    };
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_') {
        let before = at > 0 && (is_digit(at - 1) || (hexadecimal && at == 2));
        if !before || !is_digit(at + 1) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

/// `1.8p3`: hexadecimal digits, and a power of two that must be there.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut exponent: i32 = exponent.parse().ok()?;
    let mut value: u64 = 0;
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    for (index, digit) in whole.chars().chain(part.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        let in_part = index >= whole.len();
        if value >> 60 == 0 {
            value = value << 4 | digit;
            exponent = exponent.checked_sub(if in_part { 4 } else { 0 })?;
        } else {
            exponent = exponent.checked_add(if in_part { 0 } else { 4 })?;
        }
    }
    // In two steps, so that the power itself cannot overflow.
    let half = exponent.clamp(-2200, 2200) / 2;
    let rest = exponent.clamp(-2200, 2200) - half;
    Some(value as f64 * 2_f64.powi(half) * 2_f64.powi(rest))
}

fn scientific_shortest(value: f64) -> String {
    with_go_exponent(&format!("{value:e}"))
}

/// Rust writes `1e-7`, Go `1e-07`.
fn with_go_exponent(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text.to_owned();
    };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    let mut written = mantissa.to_owned();
    // Writing to a string cannot fail.
    let _ = write!(written, "e{sign}{digits:0>2}");
    written
}

fn not_finite(value: f64, infinity: &'static str, negative: &'static str) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { infinity } else { negative })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_numbers_switch_to_exponents_as_in_go() {
        for (value, expected) in [
            (1e5, "100000"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (12_345_678.0, "1.2345678e+07"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0"),
            (1.5e300, "1.5e+300"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(general(value), expected);
        }
    }

    #[test]
    fn json_numbers_switch_to_exponents_as_in_go() {
        for (value, expected) in [
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (1.25e-10, "1.25e-10"),
            (-0.0, "-0"),
        ] {
            assert_eq!(json(value), expected);
        }
    }

    #[test]
    fn numbers_read_as_in_go() {
        for (text, expected) in [
            ("1.5", Some(1.5)),
            ("+.5", Some(0.5)),
            ("-1e3", Some(-1000.0)),
            ("1_000.5_0", Some(1000.5)),
            ("0x1p4", Some(16.0)),
            ("-0x1.8p1", Some(-3.0)),
            ("0x_1p0", Some(1.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("1e400", None),
            ("0x1", None),
            ("_1", None),
            ("1__0", None),
            ("1_", None),
            ("1_.5", None),
            (".", None),
            ("", None),
            (" 1", None),
            ("+nan", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert!(parse("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn scientific_numbers_have_two_digits_of_exponent() {
        assert_eq!(scientific(1234.5678, 6), "1.234568e+03");
        assert_eq!(scientific(f64::NAN, 6), "NaN");
        assert_eq!(fixed(2.5, 0), "2");
        assert_eq!(plain(1e21), "1000000000000000000000");
    }
}
