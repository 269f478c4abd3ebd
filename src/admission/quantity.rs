//! Amounts of memory and CPU, as Kubernetes reads and writes them.

const FORMAT: &str = "quantities must match the regular expression \
                      '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NUMERIC: &str = "unable to parse numeric part of quantity";
const SUFFIX: &str = "unable to parse quantity's suffix";

/// Smallest part of one that is kept, as a power of ten.
const NANO: i32 = -9;

const DECIMAL: [(&str, i32); 9] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
];

const BINARY: [(&str, u32); 7] = [
    ("", 0),
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Decimal,
    Exponent,
    Binary,
}

/// The parts of an amount: `digits * 10^scale`, times the family's unit.
struct Amount {
    digits: String,
    scale: i32,
    family: Family,
    exponent: i32,
}

/// An amount as Kubernetes writes it, or what it says of it.
pub(super) fn canonical(text: &str) -> Result<String, &'static str> {
    let (sign, rest) = match text.as_bytes().first() {
        None => return Err(FORMAT),
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        Some(_) => ("", text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (digits, _) = rest.split_at(end.unwrap_or(rest.len()));
    // Only one point belongs to the digits.
    let second = digits.match_indices('.').nth(1).map(|(at, _)| at);
    let (digits, suffix) = rest.split_at(second.unwrap_or(digits.len()));
    if suffix.is_empty() && digits.bytes().all(|byte| byte == b'0') {
        return Ok("0".into());
    }
    if !is_suffix(suffix) {
        return Err(FORMAT);
    }
    let (family, exponent) = interpret(suffix).ok_or(SUFFIX)?;
    if family == Family::Binary && exponent >= 50 && digits.trim_matches('.').is_empty() {
        // With the smaller units Kubernetes takes no digits for zero.
        return Err(NUMERIC);
    }
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let amount = Amount {
        digits: [whole, part].concat(),
        scale: -i32::try_from(part.len()).unwrap_or(i32::MAX),
        family,
        exponent,
    };
    if amount.is_kept() {
        return Ok(text.to_owned());
    }
    let written = match amount.digits.trim_start_matches('0') {
        "" => Some("0".into()),
        _ => amount.written().map(|written| format!("{sign}{written}")),
    };
    // What is too large for this reader stays as it is.
    Ok(written.unwrap_or_else(|| text.to_owned()))
}

impl Amount {
    /// Whether Kubernetes keeps the text that it was given: its digits are few
    /// and none is too many.
    fn is_kept(&self) -> bool {
        let length = i32::try_from(self.digits.len()).unwrap_or(i32::MAX);
        let few = match self.family {
            // Ten bits are about three digits.
            Family::Binary => self.scale == 0 && 14 - length - self.exponent * 3 / 10 >= 0,
            _ => length <= 18 && self.scale + self.exponent >= NANO,
        };
        let value: i64 = match self.digits.parse() {
            Ok(value) if few => value,
            _ => return false,
        };
        match self.family {
            Family::Binary => value & 7 != 0,
            _ => {
                (self.scale + self.exponent) % 3 == 0
                    && !self.digits.ends_with("000")
                    && !self.digits.starts_with('0')
            }
        }
    }

    fn written(&self) -> Option<String> {
        let number = self.digits.parse::<i128>().ok();
        match self.family {
            Family::Binary => {
                let written = number.and_then(|n| binary(n, self.scale, self.exponent));
                // What is too large is as large as may be.
                Some(written.unwrap_or_else(|| i64::MAX.to_string()))
            }
            family => decimal(number?, self.scale + self.exponent, family),
        }
    }
}

/// Letters of suffixes, then a sign, then digits.
fn is_suffix(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    rest.bytes().all(|byte| byte.is_ascii_digit())
}

fn interpret(suffix: &str) -> Option<(Family, i32)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((Family::Decimal, *power));
    }
    if suffix == "E" {
        return Some((Family::Decimal, 18));
    }
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((Family::Binary, i32::try_from(*power).ok()?));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((Family::Exponent, exponent.parse().ok()?))
}

/// `number * 10^scale` with the largest suffix that needs no fraction.
fn decimal(mut number: i128, mut scale: i32, family: Family) -> Option<String> {
    while scale < NANO {
        // What is less than one part is rounded up.
        number = number.checked_add(9)? / 10;
        scale += 1;
    }
    while scale.rem_euclid(3) != 0 {
        number = number.checked_mul(10)?;
        scale -= 1;
    }
    while number % 1000 == 0 && number != 0 {
        number /= 1000;
        scale += 3;
    }
    if family == Family::Exponent {
        return Some(match scale {
            0 => number.to_string(),
            _ => format!("{number}e{scale}"),
        });
    }
    while scale > 18 {
        number = number.checked_mul(1000)?;
        scale -= 3;
    }
    let suffix = match scale {
        18 => "E",
        _ => DECIMAL.iter().find(|(_, power)| *power == scale)?.0,
    };
    Some(format!("{number}{suffix}"))
}

/// `number * 10^scale * 2^exponent` with the largest suffix that needs no
/// fraction; what is small or no whole number is decimal.
fn binary(number: i128, scale: i32, exponent: i32) -> Option<String> {
    let shifted = number.checked_mul(1i128.checked_shl(u32::try_from(exponent).ok()?)?)?;
    let divisor = 10i128.checked_pow(scale.unsigned_abs())?;
    let mut whole = (shifted / divisor).min(i64::MAX.into());
    let is_whole = shifted % divisor == 0 || whole == i64::MAX.into();
    if !is_whole || whole < 1024 {
        return decimal(shifted, scale, Family::Decimal);
    }
    let mut index = 0;
    while whole % 1024 == 0 && index + 1 < BINARY.len() {
        whole /= 1024;
        index += 1;
    }
    Some(format!("{whole}{}", BINARY[index].0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_take_the_form_that_kubernetes_gives_them() {
        for (text, expected) in [
            ("1", "1"),
            ("0", "0"),
            ("-0.0", "0"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1e3"),
            ("1000", "1k"),
            ("+5", "+5"),
            ("-1.5", "-1500m"),
            ("0.5Ki", "512"),
            ("38.39336Pi", "43227080447375326576640u"),
            ("37576283312581535Gi", "9223372036854775807"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("", FORMAT),
            ("1 Gi", FORMAT),
            ("abc", FORMAT),
            ("1Gx", FORMAT),
            ("1iG", SUFFIX),
            ("Pi", NUMERIC),
            ("1.2.3", FORMAT),
        ] {
            assert_eq!(canonical(text), Err(expected), "{text}");
        }
    }
}
