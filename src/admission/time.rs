//! Times as Kubernetes reads them, which is how Go's `time.Parse` reads
//! RFC 3339, and its words for what is none.

use std::fmt::Write;

use jiff::SignedDuration;
use jiff::civil::DateTime;

const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";

/// A time in UTC and whole seconds, or what is wrong with it.
pub(super) fn canonical(text: &str) -> Result<String, String> {
    let mut reader = Reader { text, rest: text };
    let year = reader.number("2006", 4, 4)?;
    reader.literal("-")?;
    let month = reader.ranged("01", 2, "month", 1..=12)?;
    reader.literal("-")?;
    let day = reader.number("02", 2, 2)?;
    reader.literal("T")?;
    let hour = reader.ranged("15", 1, "hour", 0..=23)?;
    reader.literal(":")?;
    let minute = reader.ranged("04", 2, "minute", 0..=59)?;
    reader.literal(":")?;
    let second = reader.ranged("05", 2, "second", 0..=59)?;
    reader.fraction();
    let offset = reader.offset()?;
    if !reader.rest.is_empty() {
        let what = format!("extra text: {}", quote(reader.rest));
        return Err(reader.fault(&what));
    }
    let time = DateTime::new(
        small(year),
        small(month),
        small(day),
        small(hour),
        small(minute),
        small(second),
        0,
    );
    let time = time.map_err(|_| reader.fault("day out of range"))?;
    let utc = time.checked_sub(SignedDuration::from_secs(offset));
    // At the edge of time the zone does not matter.
    let utc = utc.unwrap_or(time);
    Ok(utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A number of few digits in the type that it is wanted in.
fn small<T: TryFrom<i64> + Default>(number: i64) -> T {
    T::try_from(number).unwrap_or_default()
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
}

impl Reader<'_> {
    fn literal(&mut self, wanted: &str) -> Result<(), String> {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => self.rest = rest,
            None => return Err(self.misfit(wanted)),
        }
        Ok(())
    }

    fn number(&mut self, wanted: &str, least: usize, most: usize) -> Result<i64, String> {
        let digits = self.rest.bytes().take(most);
        let count = digits.take_while(u8::is_ascii_digit).count();
        if count < least {
            return Err(self.misfit(wanted));
        }
        let (digits, rest) = self.rest.split_at(count);
        let number = digits.parse().map_err(|_| self.misfit(wanted))?;
        self.rest = rest;
        Ok(number)
    }

    fn ranged(
        &mut self,
        wanted: &str,
        least: usize,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, String> {
        let number = self.number(wanted, least, 2)?;
        if !range.contains(&number) {
            return Err(self.fault(&format!("{name} out of range")));
        }
        Ok(number)
    }

    /// A part of a second, which is dropped.
    fn fraction(&mut self) {
        if let Some(rest) = self.rest.strip_prefix(['.', ','])
            && rest.starts_with(|c: char| c.is_ascii_digit())
        {
            self.rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Result<i64, String> {
        const WANTED: &str = "Z07:00";
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let digits = |text: &[u8]| {
            let text = std::str::from_utf8(text).ok()?;
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<i64>().ok())?
        };
        let (sign, hours, minutes) = match self.rest.as_bytes() {
            [sign @ (b'+' | b'-'), h @ ..] if h.len() >= 5 && h[2] == b':' => {
                (*sign, digits(&h[..2]), digits(&h[3..5]))
            }
            _ => return Err(self.misfit(WANTED)),
        };
        let (Some(hours), Some(minutes)) = (hours, minutes) else {
            return Err(self.misfit(WANTED));
        };
        self.rest = &self.rest[6..];
        for (number, most, name) in [(hours, 24, "hour"), (minutes, 60, "minute")] {
            if number > most {
                return Err(self.fault(&format!("time zone offset {name} out of range")));
            }
        }
        let seconds = (hours * 60 + minutes) * 60;
        Ok(if sign == b'-' { -seconds } else { seconds })
    }

    fn misfit(&self, wanted: &str) -> String {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(self.text),
            quote(LAYOUT),
            quote(self.rest),
            quote(wanted)
        )
    }

    fn fault(&self, what: &str) -> String {
        format!("parsing time {}: {what}", quote(self.text))
    }
}

/// A text in quotes, of ASCII alone.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' | 0x7f => quoted.push(char::from(byte)),
            _ => drop(write!(quoted, "\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc() {
        for (text, expected) in [
            ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
            ("2024-01-01T00:00:00.9+01:00", "2023-12-31T23:00:00Z"),
            ("2024-01-01T1:00:00-00:30", "2024-01-01T01:30:00Z"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_as_go_tells_it() {
        let cannot = |text: &str, value: &str, wanted: &str| {
            format!(
                "parsing time \"{text}\" as \"{LAYOUT}\": cannot parse \"{value}\" as \"{wanted}\""
            )
        };
        for (text, expected) in [
            ("", cannot("", "", "2006")),
            ("99999", cannot("99999", "9", "-")),
            ("é", cannot("\\xc3\\xa9", "\\xc3\\xa9", "2006")),
            ("2024-1-01", cannot("2024-1-01", "1-01", "01")),
            ("2024-01-01", cannot("2024-01-01", "", "T")),
            (
                "2024-01-01T00:00:00",
                cannot("2024-01-01T00:00:00", "", "Z07:00"),
            ),
            (
                "2024-13-01",
                "parsing time \"2024-13-01\": month out of range".into(),
            ),
            (
                "2024-02-30T00:00:00Z",
                "parsing time \"2024-02-30T00:00:00Z\": day out of range".into(),
            ),
            (
                "2024-02-20T00:00:00Zx",
                "parsing time \"2024-02-20T00:00:00Zx\": extra text: \"x\"".into(),
            ),
        ] {
            assert_eq!(canonical(text), Err(expected), "{text}");
        }
    }
}
