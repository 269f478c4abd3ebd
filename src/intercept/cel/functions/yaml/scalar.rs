//! What a YAML 1.1 scalar means, by the rules of Go's `yaml.v2`.
//!
//! In: text, whether it stood plain, and its tag. Out: a scalar, and from it
//! the JSON value or the text of a key.

use data_encoding::BASE64;
use serde_json::{Number, Value as Json};

use crate::intercept::cel::functions::numbers;

/// Prefix of YAML's own tags.
const YAML: &str = "tag:yaml.org,2002:";

/// Why a number has no JSON form.
pub(super) const NOT_FINITE: &str = "unsupported value: infinite or NaN";

/// A resolved scalar.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    /// `<<`.
    Merge,
}

impl Scalar {
    /// The value in JSON, which has no infinity.
    pub(super) fn into_json(self) -> Result<Json, &'static str> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Int(value) => Json::from(value),
            Self::Uint(value) => Json::from(value),
            Self::Float(value) => {
                let number = Number::from_f64(value);
                Json::Number(number.ok_or(NOT_FINITE)?)
            }
            Self::Text(text) => Json::String(text),
            Self::Merge => Json::String("<<".to_owned()),
        })
    }

    /// The text that it is written as, where it is more than nothing.
    pub(super) fn written(self, text: &str) -> Self {
        match self {
            Self::Null | Self::Text(_) | Self::Merge => self,
            _ => Self::Text(text.to_owned()),
        }
    }

    /// The text of a key, which Go writes with the precision of a `float32`.
    pub(super) fn into_key(self) -> Result<String, &'static str> {
        Ok(match self {
            Self::Null => return Err("unsupported map key of type null"),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Uint(_) => return Err("unsupported map key of type uint64"),
            Self::Float(value) if value.is_nan() => ".nan".to_owned(),
            Self::Float(value) if value.is_infinite() => {
                if value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
            }
            Self::Float(value) => {
                let short = (value as f32).to_string();
                numbers::general(short.parse().unwrap_or(value))
            }
            Self::Text(text) => text,
            Self::Merge => "<<".to_owned(),
        })
    }
}

/// What `text` means.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Scalar, &'static str> {
    let known = tag.map(|tag| tag.strip_prefix(YAML).unwrap_or(""));
    let text_only = || Scalar::Text(text.to_owned());
    match known {
        None if !plain => Ok(text_only()),
        None => Ok(resolve_plain(text)),
        Some("str") => Ok(text_only()),
        Some("binary") => {
            let bytes = BASE64
                .decode(text.as_bytes())
                .map_err(|_| "!!binary value contains invalid base64 data")?;
            let text = String::from_utf8(bytes);
            Ok(Scalar::Text(text.unwrap_or_else(|error| {
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            })))
        }
        Some(kind @ ("int" | "float" | "bool" | "null")) => match (kind, resolve_plain(text)) {
            ("float", Scalar::Int(value)) => Ok(Scalar::Float(value as f64)),
            ("float", Scalar::Uint(value)) => Ok(Scalar::Float(value as f64)),
            ("int", scalar @ (Scalar::Int(_) | Scalar::Uint(_)))
            | ("float", scalar @ Scalar::Float(_))
            | ("bool", scalar @ Scalar::Bool(_))
            | ("null", scalar @ Scalar::Null) => Ok(scalar),
            _ => Err("cannot decode a value as its tag says"),
        },
        Some("timestamp") => Ok(text_only()),
        Some(_) => Ok(text_only()),
    }
}

fn resolve_plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        "<<" => return Scalar::Merge,
        _ => {}
    }
    let numeric =
        text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'));
    if !numeric || is_date(text) {
        return Scalar::Text(text.to_owned());
    }
    number(&text.replace('_', "")).unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

/// An integer in any of Go's bases, or a decimal number.
fn number(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = base_of(digits);
    let unsigned = digits
        .starts_with(|first: char| first.is_digit(base))
        .then(|| u64::from_str_radix(digits, base).ok())
        .flatten();
    if let Some(size) = unsigned {
        if negative {
            if let Some(value) = 0_i64.checked_sub_unsigned(size) {
                return Some(Scalar::Int(value));
            }
        } else if let Ok(value) = i64::try_from(size) {
            return Some(Scalar::Int(value));
        } else if !text.starts_with('+') {
            return Some(Scalar::Uint(size));
        }
    }
    if !is_decimal(text) {
        return None;
    }
    // A number that is out of range stays text.
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(Scalar::Float(value))
}

fn base_of(digits: &str) -> (u32, &str) {
    let mut letters = digits.chars();
    match (letters.next(), letters.next()) {
        (Some('0'), Some('x' | 'X')) => (16, &digits[2..]),
        (Some('0'), Some('b' | 'B')) => (2, &digits[2..]),
        (Some('0'), Some('o' | 'O')) => (8, &digits[2..]),
        (Some('0'), Some(_)) => (8, &digits[1..]),
        _ => (10, digits),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && mantissa.len() > 1,
        None => digits(mantissa) && !mantissa.is_empty(),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        digits(exponent) && !exponent.is_empty()
    });
    mantissa_fits && exponent_fits
}

/// Whether text begins as a date does, which keeps it text. A date has two
/// hyphens, and no number has.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    digits(parts.next()) && digits(parts.next()) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_and_numbers_follow_yaml_1_1() {
        for (text, expected) in [
            ("yes", Scalar::Bool(true)),
            ("off", Scalar::Bool(false)),
            ("~", Scalar::Null),
            ("1", Scalar::Int(1)),
            ("-9223372036854775808", Scalar::Int(i64::MIN)),
            ("18446744073709551615", Scalar::Uint(u64::MAX)),
            ("99999999999999999999", Scalar::Float(1e20)),
            ("0x1F", Scalar::Int(31)),
            ("017", Scalar::Int(15)),
            ("0o17", Scalar::Int(15)),
            ("0b101", Scalar::Int(5)),
            ("-0b101", Scalar::Int(-5)),
            ("1_000", Scalar::Int(1000)),
            ("08", Scalar::Float(8.0)),
            ("1e3", Scalar::Float(1000.0)),
            (".5", Scalar::Float(0.5)),
            ("2020-01-01", Scalar::Text("2020-01-01".into())),
            ("1.", Scalar::Float(1.0)),
            ("1e400", Scalar::Text("1e400".into())),
            (".", Scalar::Text(".".into())),
            ("1.2.3", Scalar::Text("1.2.3".into())),
            ("0x", Scalar::Text("0x".into())),
            ("-", Scalar::Text("-".into())),
            ("yess", Scalar::Text("yess".into())),
        ] {
            assert_eq!(resolve(text, true, None), Ok(expected), "{text}");
        }
    }

    #[test]
    fn quotes_and_tags_decide() {
        assert_eq!(resolve("1", false, None), Ok(Scalar::Text("1".into())));
        let tagged = |text, kind: &str| resolve(text, true, Some(&format!("{YAML}{kind}")));
        assert_eq!(tagged("1", "str"), Ok(Scalar::Text("1".into())));
        assert_eq!(tagged("1", "float"), Ok(Scalar::Float(1.0)));
        assert_eq!(
            tagged("aGVsbG8=", "binary"),
            Ok(Scalar::Text("hello".into()))
        );
        assert!(tagged("x", "int").is_err());
        assert_eq!(
            resolve("x", true, Some("!foo")),
            Ok(Scalar::Text("x".into()))
        );
    }

    #[test]
    fn keys_print_as_in_go() {
        for (text, expected) in [
            ("1.5", "1.5"),
            ("017", "15"),
            ("no", "false"),
            ("1e10", "1e+10"),
        ] {
            let scalar = resolve(text, true, None).expect("resolves");
            assert_eq!(scalar.into_key().as_deref(), Ok(expected));
        }
        assert!(Scalar::Null.into_key().is_err());
    }
}
