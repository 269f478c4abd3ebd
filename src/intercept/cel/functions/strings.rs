//! Text functions of the standard library and of cel-go's strings extension,
//! and `truncate`. Positions count characters; `truncate` alone counts bytes.

use std::borrow::Cow;
use std::fmt::Write;

use super::arguments::{int, list, string, text};
use crate::intercept::cel::error::{ErrorClass, Fault, fault, no_overload};
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, open_row, row};
use crate::intercept::cel::value::{Text, Value};

pub(super) const TABLE: &[Row] = &[
    open_row("contains", "string.(string) -> bool", contains),
    open_row("endsWith", "string.(string) -> bool", ends_with),
    open_row("startsWith", "string.(string) -> bool", starts_with),
    row("truncate", "string.(int) -> string", truncate),
    row("charAt", "string.(int) -> string", char_at),
    row("indexOf", "string.(string) -> int", index_of),
    row("indexOf", "string.(string, int) -> int", index_of),
    row("lastIndexOf", "string.(string) -> int", last_index_of),
    row("lastIndexOf", "string.(string, int) -> int", last_index_of),
    row("lowerAscii", "string.() -> string", lower_ascii),
    row("replace", "string.(string, string) -> string", replace),
    row("replace", "string.(string, string, int) -> string", replace),
    row("split", "string.(string) -> list(string)", split),
    row("split", "string.(string, int) -> list(string)", split),
    row("substring", "string.(int) -> string", substring),
    row("substring", "string.(int, int) -> string", substring),
    row("trim", "string.() -> string", trim),
    row("upperAscii", "string.() -> string", upper_ascii),
    row("strings.quote", "(string) -> string", quote),
    row("join", "list(string).() -> string", join),
    row("join", "list(string).(string) -> string", join),
    row("reverse", "string.() -> string", reverse),
];

/// A text that was built.
fn built<'v>(meter: &mut Meter, text: impl Into<String>) -> Result<Value<'v>, Fault> {
    let text = text.into();
    meter.build(text.len())?;
    Ok(Value::text(text))
}

/// A text argument of a function that keeps bytes which are no character.
fn kept<'a>(args: &'a [Value<'_>], at: usize) -> Result<Cow<'a, str>, Fault> {
    text(args, at).map(Text::stood_in)
}

/// What such a function makes of its arguments.
fn of_kept<'v>(args: &[Value<'v>], made: &str) -> Value<'v> {
    let is_broken = |arg: &Value<'v>| matches!(arg, Value::Text(text) if text.is_broken());
    if args.iter().any(is_broken) {
        Value::Text(Text::of_stood_in(made))
    } else {
        Value::text(made)
    }
}

/// The text argument that a function walks.
fn walked<'a>(
    context: &mut Context<'_>,
    args: &'a [Value<'_>],
    at: usize,
) -> Result<Cow<'a, str>, Fault> {
    let text = string(args, at)?;
    context.meter.walk(text.len())?;
    Ok(text)
}

fn out_of_range(index: i64) -> Fault {
    fault(ErrorClass::Index, format!("index out of range: {index}"))
}

/// Byte offset of a character, or of the end.
fn offset_of(text: &str, index: usize) -> Option<usize> {
    text.char_indices()
        .map(|(offset, _)| offset)
        .chain([text.len()])
        .nth(index)
}

/// Byte offset of a position that an expression gave.
fn offset_at(text: &str, index: i64) -> Result<usize, Fault> {
    usize::try_from(index)
        .ok()
        .and_then(|index| offset_of(text, index))
        .ok_or_else(|| out_of_range(index))
}

fn compare<'v>(
    context: &mut Context<'_>,
    args: &[Value<'v>],
    holds: fn(&[u8], &[u8]) -> bool,
) -> Result<Value<'v>, Fault> {
    let (subject, part) = (text(args, 0)?.as_bytes(), text(args, 1)?.as_bytes());
    context.meter.walk(subject.len())?;
    Ok(Value::Bool(holds(subject, part)))
}

fn contains<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    if let (Some(subject), Some(part)) = (text(args, 0)?.as_str(), text(args, 1)?.as_str()) {
        context.meter.walk(subject.len())?;
        return Ok(Value::Bool(subject.contains(part)));
    }
    compare(context, args, |subject, part| {
        part.is_empty() || subject.windows(part.len()).any(|window| window == part)
    })
}

fn ends_with<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    compare(context, args, <[u8]>::ends_with)
}

fn starts_with<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    compare(context, args, <[u8]>::starts_with)
}

/// The first bytes, even where that cuts through a character.
fn truncate<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (subject, length) = (text(args, 0)?, int(args, 1)?);
    let length = usize::try_from(length).map_err(|_| {
        let message = "internal error: runtime error: slice bounds out of range";
        fault(ErrorClass::Internal, message)
    })?;
    let bytes = subject.as_bytes();
    if length >= bytes.len() {
        return Ok(Value::Text(subject.clone()));
    }
    context.meter.build(length)?;
    Ok(Value::Text(Text::of_bytes(bytes[..length].to_vec())))
}

fn char_at<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let subject = walked(context, args, 0)?;
    let offset = offset_at(&subject, int(args, 1)?)?;
    let character = subject[offset..].chars().next();
    Ok(Value::text(character.map_or(String::new(), String::from)))
}

/// The position to search from, or to, in characters.
fn search_position(args: &[Value<'_>]) -> Result<Option<usize>, Fault> {
    if args.len() < 3 {
        return Ok(None);
    }
    let position = int(args, 2)?;
    usize::try_from(position)
        .map(Some)
        .map_err(|_| out_of_range(position))
}

fn index_of<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (subject, part) = (walked(context, args, 0)?, string(args, 1)?);
    let from = search_position(args)?.unwrap_or(0);
    let found = match offset_of(&subject, from) {
        // Nothing is found everywhere, and beyond the end at the end.
        None if part.is_empty() => Some(subject.chars().count()),
        Some(_) if part.is_empty() => Some(from),
        None => None,
        Some(start) => subject[start..]
            .find(part.as_ref())
            .map(|at| from + subject[start..start + at].chars().count()),
    };
    Ok(Value::Int(found.map_or(-1, |index| index as i64)))
}

fn last_index_of<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (subject, part) = (walked(context, args, 0)?, string(args, 1)?);
    let length = subject.chars().count();
    let until = search_position(args)?;
    let found = match until {
        _ if part.is_empty() => Some(until.map_or(length, |until| until.min(length))),
        Some(until) if until >= length => None,
        _ => {
            let last_start = until.unwrap_or(length);
            let end = offset_of(&subject, last_start + part.chars().count());
            let searched = &subject[..end.unwrap_or(subject.len())];
            searched
                .rfind(part.as_ref())
                .map(|at| subject[..at].chars().count())
        }
    };
    Ok(Value::Int(found.map_or(-1, |index| index as i64)))
}

fn lower_ascii<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    built(context.meter, string(args, 0)?.to_ascii_lowercase())
}

fn upper_ascii<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    built(context.meter, string(args, 0)?.to_ascii_uppercase())
}

fn replace<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (subject, old, new) = (kept(args, 0)?, kept(args, 1)?, kept(args, 2)?);
    context.meter.walk(subject.len())?;
    let most = match args.len() {
        3 => usize::MAX,
        _ => usize::try_from(int(args, 3)?).unwrap_or(usize::MAX),
    };
    let times = subject.matches(old.as_ref()).take(most).count();
    // Paid before it is built: many short pieces may become long ones.
    let longest = times
        .saturating_mul(new.len())
        .saturating_add(subject.len());
    context.meter.build(longest)?;
    Ok(of_kept(args, &subject.replacen(old.as_ref(), &new, most)))
}

fn split<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (subject, separator) = (kept(args, 0)?, kept(args, 1)?);
    context.meter.walk(subject.len())?;
    let most = match args.len() {
        2 => usize::MAX,
        _ => usize::try_from(int(args, 2)?).unwrap_or(usize::MAX),
    };
    let pieces: Vec<&str> = if most == 0 {
        Vec::new()
    } else if separator.is_empty() {
        split_characters(&subject, most)
    } else {
        subject.splitn(most, separator.as_ref()).collect()
    };
    context.meter.build_elements(pieces.len())?;
    context.meter.build(subject.len())?;
    let pieces = pieces.into_iter().map(|piece| of_kept(args, piece));
    Ok(Value::list(pieces.collect()))
}

/// One piece for each character; the last of at most `most` has the rest.
fn split_characters(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if pieces.len() + 1 == most {
            pieces.push(rest);
            break;
        }
        let (piece, after) = rest.split_at(character.len_utf8());
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn substring<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let subject = walked(context, args, 0)?;
    let start = int(args, 1)?;
    let end = match args.len() {
        2 => None,
        _ => Some(int(args, 2)?),
    };
    if let Some(end) = end.filter(|&end| start > end) {
        let message = format!("invalid substring range. start: {start}, end: {end}");
        return Err(fault(ErrorClass::Argument, message));
    }
    let from = offset_at(&subject, start)?;
    let until = match end {
        Some(end) => offset_at(&subject, end)?,
        None => subject.len(),
    };
    built(context.meter, &subject[from..until])
}

fn trim<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let subject = kept(args, 0)?;
    context.meter.build(subject.len())?;
    Ok(of_kept(args, subject.trim()))
}

fn quote<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let subject = string(args, 0)?;
    let mut quoted = String::with_capacity(subject.len() + 2);
    quoted.push('"');
    for character in subject.chars() {
        match character {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            // Writing to a string cannot fail.
            other => drop(quoted.write_char(other)),
        }
    }
    quoted.push('"');
    built(context.meter, quoted)
}

fn join<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let pieces = list(args, 0)?;
    let separator: &[u8] = match args.len() {
        1 => &[],
        _ => text(args, 1)?.as_bytes(),
    };
    let mut joined: Vec<u8> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let Value::Text(piece) = piece else {
            return Err(fault(ErrorClass::Argument, "join: invalid input"));
        };
        context.meter.step(1)?;
        context
            .meter
            .build(piece.as_bytes().len() + separator.len())?;
        if index > 0 {
            joined.extend_from_slice(separator);
        }
        joined.extend_from_slice(piece.as_bytes());
    }
    Ok(Value::Text(Text::of_bytes(joined)))
}

fn reverse<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Text(_)] => {
            let reversed: String = string(args, 0)?.chars().rev().collect();
            built(context.meter, reversed)
        }
        _ => Err(no_overload()),
    }
}

#[cfg(test)]
mod tests;
