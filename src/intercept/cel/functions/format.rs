//! `string.format`: what each clause takes and writes.
//!
//! The same walk over a format string serves the evaluator and, where both
//! the string and its list are literals, the checker.

use super::arguments::{list, string};
use super::numbers;
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::{Kind, List, Map, Text, Value, duration_text};

pub(super) const TABLE: &[Row] = &[row("format", "string.(list(dyn)) -> string", format)];

/// Digits after the point where a clause does not say.
const DEFAULT_PRECISION: usize = 6;

/// Most digits after the point.
const MOST_PRECISION: usize = 100;

/// A clause of a format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    Text,
    Decimal,
    Fixed(usize),
    Scientific(usize),
    Binary,
    Hexadecimal { upper: bool },
    Octal,
}

impl Clause {
    /// Whether the clause takes values of this kind.
    pub(crate) fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Text => true,
            Self::Decimal | Self::Fixed(_) | Self::Scientific(_) => {
                matches!(kind, Kind::Int | Kind::Uint | Kind::Double)
            }
            Self::Binary => matches!(kind, Kind::Bool | Kind::Int | Kind::Uint),
            Self::Hexadecimal { .. } => {
                matches!(kind, Kind::Int | Kind::Uint | Kind::Text | Kind::Bytes)
            }
            Self::Octal => matches!(kind, Kind::Int | Kind::Uint),
        }
    }

    /// What to say where it does not.
    pub(crate) fn mismatch(self, kind: &str) -> String {
        let what = match self {
            Self::Text => {
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
            }
            Self::Decimal => "decimal clause can only be used on ints, uints, and doubles",
            Self::Fixed(_) => "fixed-point clause can only be used on ints, uints, and doubles",
            Self::Scientific(_) => "scientific clause can only be used on ints, uints, and doubles",
            Self::Binary => "only ints, uints, and bools can be formatted as binary",
            Self::Hexadecimal { .. } => {
                "only ints, uints, bytes, and strings can be formatted as hex"
            }
            Self::Octal => "octal clause can only be used on ints and uints",
        };
        format!("error during formatting: {what}, was given {kind}")
    }
}

/// A piece of a format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    Literal(&'t str),
    /// A clause; the next argument is for it.
    Clause(Clause),
}

/// Takes a format string apart, and stops at the first error.
pub(crate) struct Pieces<'t> {
    rest: &'t str,
}

impl<'t> Pieces<'t> {
    pub(crate) fn of(format: &'t str) -> Self {
        Self { rest: format }
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Result<Piece<'t>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(clause) = self.rest.strip_prefix('%') else {
            let end = self.rest.find('%').unwrap_or(self.rest.len());
            let (literal, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Ok(Piece::Literal(literal)));
        };
        if let Some(rest) = clause.strip_prefix('%') {
            self.rest = rest;
            return Some(Ok(Piece::Literal("%")));
        }
        let read = read_clause(clause);
        self.rest = read.as_ref().map_or("", |(_, rest)| rest);
        Some(read.map(|(clause, _)| Piece::Clause(clause)))
    }
}

/// Reads what follows a `%`.
fn read_clause(text: &str) -> Result<(Clause, &str), String> {
    let failed = |reason: String| format!("could not parse formatting clause: {reason}");
    if text.is_empty() {
        return Err("unexpected end of string".to_owned());
    }
    let (precision, rest) = read_precision(text)
        .map_err(|reason| failed(format!("error while parsing precision: {reason}")))?;
    let mut letters = rest.chars();
    let letter = letters.next().unwrap_or_default();
    let clause = match letter {
        's' => Clause::Text,
        'd' => Clause::Decimal,
        'f' => Clause::Fixed(precision),
        'e' => Clause::Scientific(precision),
        'b' => Clause::Binary,
        'x' => Clause::Hexadecimal { upper: false },
        'X' => Clause::Hexadecimal { upper: true },
        'o' => Clause::Octal,
        other => {
            return Err(failed(format!(
                "unrecognized formatting clause \"{other}\""
            )));
        }
    };
    Ok((clause, letters.as_str()))
}

fn read_precision(text: &str) -> Result<(usize, &str), String> {
    let Some(after) = text.strip_prefix('.') else {
        return Ok((DEFAULT_PRECISION, text));
    };
    let length = after.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = after.split_at(length);
    if rest.is_empty() {
        return Err("could not find end of precision specifier".to_owned());
    }
    let precision = digits
        .parse()
        .map_err(|_| "error while converting precision to integer".to_owned())?;
    if precision > MOST_PRECISION {
        return Err(format!(
            "precision {precision} exceeds maximum allowed precision {MOST_PRECISION}"
        ));
    }
    Ok((precision, rest))
}

fn format<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (format, values) = (string(args, 0)?, list(args, 1)?);
    context.meter.build(format.len())?;
    let failed = |reason: String| fault(ErrorClass::Argument, reason);
    let mut written: Vec<u8> = Vec::new();
    let mut next = 0;
    for piece in Pieces::of(&format) {
        // The argument is looked for before its clause is read.
        if !matches!(piece, Ok(Piece::Literal(_))) && next >= values.len() {
            return Err(failed(format!("index {next} out of range")));
        }
        match piece.map_err(failed)? {
            Piece::Literal(literal) => written.extend_from_slice(literal.as_bytes()),
            Piece::Clause(clause) => {
                let value = values.get(next).unwrap_or_default();
                next += 1;
                let before = written.len();
                write_clause(clause, &value, &mut written, context.meter)?;
                context.meter.build(written.len() - before)?;
            }
        }
    }
    Ok(Value::Text(Text::of_bytes(written)))
}

fn write_clause(
    clause: Clause,
    value: &Value<'_>,
    into: &mut Vec<u8>,
    meter: &mut Meter,
) -> Result<(), Fault> {
    if !clause.takes(value.kind()) {
        return Err(fault(
            ErrorClass::Argument,
            clause.mismatch(value.kind().name()),
        ));
    }
    let text = match (clause, value) {
        (Clause::Text, value) => return write_text(value, into, meter),
        (Clause::Decimal, Value::Double(value)) => numbers::plain(*value),
        (Clause::Decimal, Value::Int(value)) => value.to_string(),
        (Clause::Decimal, Value::Uint(value)) => value.to_string(),
        (Clause::Fixed(precision), value) => numbers::fixed(as_double(value), precision),
        (Clause::Scientific(precision), value) => numbers::scientific(as_double(value), precision),
        (Clause::Binary, Value::Bool(value)) => u8::from(*value).to_string(),
        (Clause::Binary, value) => with_sign(value, |size| format!("{size:b}")),
        (Clause::Octal, value) => with_sign(value, |size| format!("{size:o}")),
        (Clause::Hexadecimal { upper }, Value::Text(text)) => hexadecimal(text.as_bytes(), upper),
        (Clause::Hexadecimal { upper }, Value::Bytes(bytes)) => {
            hexadecimal(bytes.as_slice(), upper)
        }
        (Clause::Hexadecimal { upper: true }, value) => {
            with_sign(value, |size| format!("{size:X}"))
        }
        (Clause::Hexadecimal { upper: false }, value) => {
            with_sign(value, |size| format!("{size:x}"))
        }
        (Clause::Decimal, _) => String::new(),
    };
    into.extend_from_slice(text.as_bytes());
    Ok(())
}

fn as_double(value: &Value<'_>) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Uint(value) => *value as f64,
        Value::Double(value) => *value,
        _ => f64::NAN,
    }
}

fn with_sign(value: &Value<'_>, digits: impl Fn(u64) -> String) -> String {
    match value {
        Value::Int(value) if *value < 0 => format!("-{}", digits(value.unsigned_abs())),
        Value::Int(value) => digits(value.unsigned_abs()),
        Value::Uint(value) => digits(*value),
        _ => String::new(),
    }
}

fn hexadecimal(bytes: &[u8], upper: bool) -> String {
    if upper {
        data_encoding::HEXUPPER.encode(bytes)
    } else {
        data_encoding::HEXLOWER.encode(bytes)
    }
}

/// The readable form of any value. Entries of maps come in the order of
/// their written keys.
fn write_text(value: &Value<'_>, into: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Fault> {
    meter.step(1)?;
    match value {
        Value::Null => into.extend_from_slice(b"null"),
        Value::Bool(value) => into.extend_from_slice(value.to_string().as_bytes()),
        Value::Int(value) => into.extend_from_slice(value.to_string().as_bytes()),
        Value::Uint(value) => into.extend_from_slice(value.to_string().as_bytes()),
        Value::Double(value) => into.extend_from_slice(numbers::plain(*value).as_bytes()),
        Value::Text(text) => {
            meter.build(text.as_bytes().len())?;
            into.extend_from_slice(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            meter.build(bytes.as_slice().len())?;
            into.extend_from_slice(bytes.as_slice());
        }
        Value::Timestamp(at) => into.extend_from_slice(at.in_utc().to_string().as_bytes()),
        Value::Duration(nanoseconds) => {
            into.extend_from_slice(duration_text(*nanoseconds).as_bytes());
        }
        Value::Type(kind) => into.extend_from_slice(kind.name().as_bytes()),
        Value::List(list) => return write_list(list, into, meter),
        Value::Map(map) => return write_map(map, into, meter),
    }
    Ok(())
}

fn write_list(list: &List<'_>, into: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Fault> {
    into.push(b'[');
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            into.extend_from_slice(b", ");
        }
        write_text(&item, into, meter)?;
    }
    into.push(b']');
    Ok(())
}

fn write_map(map: &Map<'_>, into: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Fault> {
    let mut entries = Vec::with_capacity(map.len());
    for (key, value) in map.entries() {
        let (mut written_key, mut written_value) = (Vec::new(), Vec::new());
        write_text(&key, &mut written_key, meter)?;
        write_text(&value, &mut written_value, meter)?;
        meter.build(written_key.len() + written_value.len())?;
        entries.push((written_key, written_value));
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    into.push(b'{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            into.extend_from_slice(b", ");
        }
        into.extend_from_slice(key);
        into.extend_from_slice(b": ");
        into.extend_from_slice(value);
    }
    into.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::Argument;
    use crate::intercept::cel::Stage::Check;
    use crate::intercept::cel::testing::{check_failures, check_refusals, check_values};

    #[test]
    fn clauses_write_what_they_take() {
        check_values(&[
            ("'%s and %s'.format(body.texts)", json!("b and a")),
            ("'%d %d %d'.format([1, 2u, body.half])", json!("1 2 2.5")),
            (
                "'%f %.2f %.0f'.format([1, 3.14159, 2.5])",
                json!("1.000000 3.14 2"),
            ),
            (
                "'%e %.1e'.format([1234.5678, 0.0])",
                json!("1.234568e+03 0.0e+00"),
            ),
            ("'%b %b %b'.format([5, -5, true])", json!("101 -101 1")),
            ("'%x %X %o'.format([255, -255, 8])", json!("ff -FF 10")),
            ("'%x'.format(['hé'])", json!("68c3a9")),
            ("'100%%'.format([])", json!("100%")),
            (
                "'%s'.format([{'b': 1.0, 'a': [null, true]}])",
                json!("{a: [null, true], b: 1}"),
            ),
            (
                "'%s'.format([timestamp('2024-01-01T02:00:00+02:00')])",
                json!("2024-01-01T00:00:00Z"),
            ),
            ("'%s %s'.format([duration('90s'), int])", json!("90s int")),
            ("'%d'.format([1.0 / 0.0])", json!("Infinity")),
        ]);
        check_failures(&[
            ("'%d'.format(body.texts)", Argument),
            ("'%s'.format(body.commits[1].modified)", Argument),
            ("(body.text + '%q').format([1])", Argument),
            ("(body.text + '%').format([1])", Argument),
            ("(body.text + '%.999f').format([1.0])", Argument),
        ]);
    }

    #[test]
    fn literal_formats_are_checked_before_evaluation() {
        check_refusals(&[
            ("'%d'.format(['x'])", Check, "was given string"),
            ("'%s'.format([])", Check, "out of range"),
            ("'%s'.format([1, 2])", Check, "too many arguments"),
            ("'%5d'.format([1])", Check, "unrecognized formatting clause"),
            ("'%.f'.format([1.0])", Check, "precision"),
            (
                "body.no && '%x'.format([1.5]) == ''",
                Check,
                "was given double",
            ),
        ]);
    }
}
