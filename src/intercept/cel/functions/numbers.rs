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
    fn scientific_numbers_have_two_digits_of_exponent() {
        assert_eq!(scientific(1234.5678, 6), "1.234568e+03");
        assert_eq!(scientific(f64::NAN, 6), "NaN");
        assert_eq!(fixed(2.5, 0), "2");
        assert_eq!(plain(1e21), "1000000000000000000000");
    }
}
