//! Points in time and spans between them, with Go's ranges and spellings.
//!
//! A timestamp keeps the offset that it was written with, because upstream
//! prints it again.

use std::fmt;

use crate::intercept::cel::error::{ErrorClass, Fault, fault};

/// 0001-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// A point in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
    /// Seconds east of UTC that it is written with.
    offset: i32,
}

/// A timestamp as a calendar and a clock show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: i64,
    /// From 1.
    pub(crate) day: i64,
    /// From 0.
    pub(crate) day_of_year: i64,
    /// Sunday is 0.
    pub(crate) day_of_week: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl Timestamp {
    /// The point in time so many seconds and nanoseconds after 1970 in UTC.
    pub(crate) fn new(seconds: i64, nanoseconds: u32, offset: i32) -> Result<Self, Fault> {
        if (FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
            Ok(Self {
                seconds,
                nanoseconds,
                offset,
            })
        } else {
            Err(fault(ErrorClass::Arithmetic, "timestamp overflow"))
        }
    }

    /// What two timestamps are compared by.
    pub(crate) fn instant(&self) -> (i64, u32) {
        (self.seconds, self.nanoseconds)
    }

    pub(crate) fn seconds(&self) -> i64 {
        self.seconds
    }

    pub(crate) fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// The timestamp `nanoseconds` later; earlier if negative.
    pub(crate) fn plus(&self, nanoseconds: i64) -> Result<Self, Fault> {
        let overflow = || fault(ErrorClass::Arithmetic, "timestamp overflow");
        let total = i128::from(self.seconds) * i128::from(SECOND)
            + i128::from(self.nanoseconds)
            + i128::from(nanoseconds);
        let seconds =
            i64::try_from(total.div_euclid(i128::from(SECOND))).map_err(|_| overflow())?;
        let rest = total.rem_euclid(i128::from(SECOND)) as u32;
        Self::new(seconds, rest, self.offset)
    }

    /// Nanoseconds from `earlier` to this timestamp.
    pub(crate) fn since(&self, earlier: &Self) -> Result<i64, Fault> {
        // The seconds alone must fit too, as upstream has it.
        let seconds = (self.seconds - earlier.seconds).checked_mul(SECOND);
        let rest = i64::from(self.nanoseconds) - i64::from(earlier.nanoseconds);
        seconds
            .and_then(|seconds| seconds.checked_add(rest))
            .ok_or_else(|| fault(ErrorClass::Arithmetic, "integer overflow"))
    }

    /// What a clock `offset` seconds east of UTC shows.
    pub(crate) fn civil(&self, offset: i32) -> Civil {
        let local = self.seconds + i64::from(offset);
        let days = local.div_euclid(DAY);
        let clock = local.rem_euclid(DAY);
        let (year, month, day) = date_of(days);
        Civil {
            year,
            month,
            day,
            day_of_year: days - days_until(year, 1, 1),
            // 1970-01-01 was a Thursday.
            day_of_week: (days + 4).rem_euclid(7),
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
        }
    }

    /// Reads RFC 3339, as strictly as cel-go does.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let invalid = || fault(ErrorClass::Conversion, "invalid RFC 3339 timestamp");
        let (date_time, rest) = text.as_bytes().split_at_checked(19).ok_or_else(invalid)?;
        let number = |from: usize, to: usize| digits(&date_time[from..to]);
        for (at, expected) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
            if date_time[at] != expected {
                return Err(invalid());
            }
        }
        let fields = [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)];
        let mut values = [0; 6];
        for (value, (from, to)) in values.iter_mut().zip(fields) {
            *value = number(from, to).ok_or_else(invalid)?;
        }
        let [year, month, day, hour, minute, second] = values;
        let in_range = (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let (nanoseconds, zone) = fraction(rest).ok_or_else(invalid)?;
        let offset = zone_offset(zone).ok_or_else(invalid)?;
        if !in_range {
            return Err(invalid());
        }
        let clock = hour * 3600 + minute * 60 + second;
        let seconds = days_until(year, month, day) * DAY + clock - i64::from(offset);
        Self::new(seconds, nanoseconds, offset)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.civil(self.offset);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            at.year, at.month, at.day, at.hour, at.minute, at.second
        )?;
        if self.nanoseconds > 0 {
            let digits = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return f.write_str("Z");
        }
        let (sign, offset) = (if self.offset < 0 { '-' } else { '+' }, self.offset.abs());
        write!(f, "{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60)
    }
}

impl Timestamp {
    /// The same point in time, written in UTC.
    pub(crate) fn in_utc(self) -> Self {
        Self { offset: 0, ..self }
    }
}

/// A duration in seconds, as upstream prints it: `5400s`, `0.5s`.
pub(crate) fn duration_text(nanoseconds: i64) -> String {
    let seconds = (nanoseconds / SECOND) as f64 + (nanoseconds % SECOND) as f64 / SECOND as f64;
    format!("{seconds}s")
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// `.123` to nanoseconds, and what follows.
fn fraction(rest: &[u8]) -> Option<(u32, &[u8])> {
    let Some(after) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let length = after
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, zone) = after.split_at(length);
    let kept = &number[..length.min(9)];
    let value = digits(kept).filter(|_| length > 0)?;
    let scale = 10_i64.pow(9 - kept.len() as u32);
    Some(((value * scale) as u32, zone))
}

/// `Z`, `+hh:mm` or `-hh:mm` to seconds.
fn zone_offset(zone: &[u8]) -> Option<i32> {
    if zone == b"Z" {
        return Some(0);
    }
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = *zone else {
        return None;
    };
    let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
    let seconds = (hours * 3600 + minutes * 60) as i32;
    let valid = hours < 24 && minutes < 60;
    valid.then_some(if sign == b'-' { -seconds } else { seconds })
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date. The year is counted from March, so that a
/// leap day is its last.
fn days_until(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date so many days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_it_was_written() {
        for text in [
            "2024-02-28T12:34:56Z",
            "2024-02-29T23:59:59.123456789Z",
            "1969-12-31T23:59:59.5Z",
            "2024-01-01T00:30:00+05:30",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            let parsed = Timestamp::parse(text).expect("valid");
            assert_eq!(parsed.to_string(), text);
        }
        let written = Timestamp::parse("2024-01-01T00:00:00.120000+00:00").expect("valid");
        assert_eq!(written.to_string(), "2024-01-01T00:00:00.12Z");
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0100",
            "+024-01-01T00:00:00Z",
            "ééééééééééééééé",
        ] {
            let error = Timestamp::parse(text).expect_err(text);
            assert_eq!(error.class(), ErrorClass::Conversion, "{text}");
        }
        let early = Timestamp::parse("0000-01-01T00:00:00Z").expect_err("before year 1");
        assert_eq!(early.class(), ErrorClass::Arithmetic);
    }

    #[test]
    fn dates_and_days_agree() {
        for days in (-800_000..3_000_000).step_by(97) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_until(year, month, day), days);
            assert!((1..=days_in(year, month)).contains(&day));
        }
    }

    #[test]
    fn durations_print_in_seconds() {
        for (nanoseconds, expected) in [
            (5_400_000_000_000, "5400s"),
            (500_000_000, "0.5s"),
            (0, "0s"),
            (-1, "-0.000000001s"),
        ] {
            assert_eq!(duration_text(nanoseconds), expected);
        }
    }
}
