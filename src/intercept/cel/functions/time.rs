//! Parts of timestamps and durations, in UTC or in a named or numeric zone.

use jiff::tz::TimeZone;

use super::arguments::{string, timestamp};
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::{Civil, Timestamp, Value};

pub(super) const TABLE: &[Row] = &[
    row("getFullYear", "timestamp.() -> int", year),
    row("getFullYear", "timestamp.(string) -> int", year),
    row("getMonth", "timestamp.() -> int", month),
    row("getMonth", "timestamp.(string) -> int", month),
    row("getDayOfYear", "timestamp.() -> int", day_of_year),
    row("getDayOfYear", "timestamp.(string) -> int", day_of_year),
    row("getDayOfMonth", "timestamp.() -> int", day_of_month),
    row("getDayOfMonth", "timestamp.(string) -> int", day_of_month),
    row("getDate", "timestamp.() -> int", date),
    row("getDate", "timestamp.(string) -> int", date),
    row("getDayOfWeek", "timestamp.() -> int", day_of_week),
    row("getDayOfWeek", "timestamp.(string) -> int", day_of_week),
    row("getHours", "timestamp.() -> int", hours),
    row("getHours", "timestamp.(string) -> int", hours),
    row("getHours", "duration.() -> int", hours),
    row("getMinutes", "timestamp.() -> int", minutes),
    row("getMinutes", "timestamp.(string) -> int", minutes),
    row("getMinutes", "duration.() -> int", minutes),
    row("getSeconds", "timestamp.() -> int", seconds),
    row("getSeconds", "timestamp.(string) -> int", seconds),
    row("getSeconds", "duration.() -> int", seconds),
    row("getMilliseconds", "timestamp.() -> int", milliseconds),
    row("getMilliseconds", "timestamp.(string) -> int", milliseconds),
    row("getMilliseconds", "duration.() -> int", milliseconds),
];

const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLISECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// The timestamp as the zone in the second argument, or UTC, shows it.
fn civil(args: &[Value<'_>]) -> Result<Civil, Fault> {
    let at = timestamp(args, 0)?;
    let offset = match args.len() {
        1 => 0,
        _ => zone_offset(&string(args, 1)?, &at)?,
    };
    Ok(at.civil(offset))
}

fn part<'v>(args: &[Value<'v>], part: fn(Civil) -> i64) -> Result<Value<'v>, Fault> {
    civil(args).map(|at| Value::Int(part(at)))
}

/// A part of a timestamp, or a duration in units of `unit` nanoseconds.
fn part_or_units<'v>(
    args: &[Value<'v>],
    of: fn(Civil) -> i64,
    unit: i64,
) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Duration(nanoseconds)] => {
            // By way of a double, as in Go, which may round the rest up to one.
            let (whole, rest) = (nanoseconds / unit, nanoseconds % unit);
            Ok(Value::Int(
                (whole as f64 + rest as f64 / unit as f64) as i64,
            ))
        }
        _ => part(args, of),
    }
}

fn year<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part(args, |at| at.year)
}

fn month<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part(args, |at| at.month - 1)
}

fn day_of_year<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part(args, |at| at.day_of_year)
}

fn day_of_month<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part(args, |at| at.day - 1)
}

fn date<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part(args, |at| at.day)
}

fn day_of_week<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part(args, |at| at.day_of_week)
}

fn hours<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part_or_units(args, |at| at.hour, HOUR)
}

fn minutes<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part_or_units(args, |at| at.minute, MINUTE)
}

fn seconds<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    part_or_units(args, |at| at.second, SECOND)
}

fn milliseconds<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Duration(nanoseconds)] => Ok(Value::Int(nanoseconds / MILLISECOND)),
        _ => {
            civil(args)?;
            let nanoseconds = i64::from(timestamp(args, 0)?.nanoseconds());
            Ok(Value::Int(nanoseconds / MILLISECOND))
        }
    }
}

/// Seconds east of UTC at a point in time: `+05:30`, `-8:00`, `Asia/Tokyo`.
fn zone_offset(zone: &str, at: &Timestamp) -> Result<i32, Fault> {
    if let Some((hours, minutes)) = zone.split_once(':') {
        return numeric_offset(zone, hours, minutes);
    }
    if zone.is_empty() || zone == "UTC" || zone == "Local" {
        return Ok(0);
    }
    let unknown = || fault(ErrorClass::Argument, "unknown time zone");
    // The zones are compiled in, so that the answer does not depend on the
    // machine. Names are case-sensitive upstream.
    let zone_rules = jiff::tz::TimeZoneDatabase::bundled()
        .get(zone)
        .ok()
        .filter(|rules| rules.iana_name() == Some(zone))
        .ok_or_else(unknown)?;
    Ok(offset_at(&zone_rules, at))
}

fn offset_at(rules: &TimeZone, at: &Timestamp) -> i32 {
    let (seconds, _) = at.instant();
    let instant = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    rules.to_offset(instant).seconds()
}

fn numeric_offset(zone: &str, hours: &str, minutes: &str) -> Result<i32, Fault> {
    let offset = || {
        let hours: i32 = hours.parse().ok()?;
        let minutes: i32 = minutes.parse().ok()?;
        let whole = hours.checked_mul(60)?;
        let offset = if zone.starts_with('-') {
            whole.checked_sub(minutes)?
        } else {
            whole.checked_add(minutes)?
        };
        offset.checked_mul(60)
    };
    offset().ok_or_else(|| fault(ErrorClass::Argument, "invalid timezone offset"))
}

/// Nanoseconds of a duration in Go's notation: `1h30m`, `-1.5s`, `10us`.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanoseconds, after) = duration_term(rest)?;
        total = total.checked_add(nanoseconds)?;
        if total > 1 << 63 {
            return None;
        }
        rest = after;
    }
    if negative {
        0_i64.checked_sub_unsigned(total)
    } else {
        i64::try_from(total).ok()
    }
}

/// One number with its unit, and what follows.
fn duration_term(text: &str) -> Option<(u64, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (part, rest) = match rest.strip_prefix('.') {
        Some(after) => after.split_at(digits(after)),
        None => ("", rest),
    };
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let length = rest
        .find(|letter: char| letter == '.' || letter.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(length);
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let nanoseconds = whole
        .checked_mul(unit)?
        .checked_add(scaled_fraction(part, unit))?;
    (nanoseconds <= 1 << 63).then_some((nanoseconds, rest))
}

/// The part of a unit that the digits after the point stand for. Digits that
/// no longer fit are dropped, as in Go.
fn scaled_fraction(digits: &str, unit: u64) -> u64 {
    let mut value: u64 = 0;
    let mut scale = 1.0_f64;
    for digit in digits.bytes().map(|byte| u64::from(byte - b'0')) {
        let Some(next) = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
            .filter(|&value| value <= 1 << 63)
        else {
            break;
        };
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::intercept::cel::testing::{check_failures, check_values};

    #[test]
    fn durations_read_as_in_go() {
        for (text, expected) in [
            ("1h30m", Some(5_400 * SECOND)),
            ("-1.5s", Some(-1_500 * MILLISECOND)),
            ("1µs", Some(1_000)),
            (".5h", Some(30 * MINUTE)),
            ("0", Some(0)),
            ("+5m", Some(5 * MINUTE)),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("-2562047h47m16.854775808s", Some(i64::MIN)),
            ("2562047h47m16.854775808s", None),
            ("87660000h", None),
            ("", None),
            ("-", None),
            ("1", None),
            ("1x", None),
            (".s", None),
            ("1d", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn parts_of_times_are_counted_as_in_go() {
        check_values(&[
            ("timestamp(body.at).getFullYear()", json!(2024)),
            ("timestamp(body.at).getMonth()", json!(1)),
            ("timestamp(body.at).getDate()", json!(29)),
            ("timestamp(body.at).getDayOfMonth()", json!(28)),
            ("timestamp(body.at).getDayOfYear()", json!(59)),
            ("timestamp(body.at).getDayOfWeek()", json!(4)),
            ("timestamp(body.at).getHours('+05:30')", json!(18)),
            ("timestamp(body.at).getDate('Asia/Tokyo')", json!(29)),
            ("timestamp(body.at).getMinutes()", json!(34)),
            ("timestamp(body.at).getSeconds()", json!(56)),
            ("timestamp(body.at).getMilliseconds()", json!(789)),
            ("duration('1h30m').getMinutes()", json!(90)),
            ("duration('1.5s').getMilliseconds()", json!(1500)),
            ("duration('-90m').getHours()", json!(-1)),
            (
                "duration('763387199.999999999s').getSeconds()",
                json!(763_387_200),
            ),
        ]);
        check_failures(&[
            ("body.at.getFullYear()", ErrorClass::NoOverload),
            ("timestamp(body.at).getHours('Nope')", ErrorClass::Argument),
        ]);
    }

    #[test]
    fn zones_are_names_or_offsets() {
        let at = Timestamp::parse("2024-07-01T12:00:00Z").expect("valid");
        for (zone, expected) in [
            ("+05:30", 19_800),
            ("-08:00", -28_800),
            ("-00:30", -1_800),
            ("05:30", 19_800),
            ("", 0),
            ("UTC", 0),
            ("Asia/Tokyo", 32_400),
            ("Europe/Berlin", 7_200),
        ] {
            assert_eq!(zone_offset(zone, &at).ok(), Some(expected), "{zone}");
        }
        for zone in [
            "Nope/Zone",
            "asia/tokyo",
            "1:x",
            "x:00",
            ":",
            "9999999999:0",
        ] {
            assert!(zone_offset(zone, &at).is_err(), "{zone}");
        }
    }
}
