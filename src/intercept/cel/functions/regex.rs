//! `matches` and `translate`.
//!
//! Patterns have RE2's syntax, as Go reads it, and match in linear time. A
//! literal pattern is compiled with its expression; others are compiled at
//! evaluation, and the last few are kept until it ends.

mod class;
mod input;
mod re2;
mod unicode;

use std::sync::Arc;

use regex::{Captures, Regex, RegexBuilder};

use super::arguments::{string, text};
use crate::intercept::cel::error::{ErrorClass, Fault, fault, no_overload};
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, open_row, row};
use crate::intercept::cel::value::{Text, Value};

/// Longest pattern, in bytes.
const LONGEST_PATTERN: usize = 16 * 1024;

/// Largest compiled pattern, in bytes. Keeps compiling within milliseconds.
const LARGEST_COMPILED: usize = 2 * 1024 * 1024;

/// What compiling a pattern during an evaluation costs, in steps.
const COMPILE_STEPS: u64 = 40_000;

/// A pattern of so many atoms costs no more than one of a single one.
const LIGHT: usize = 16;

/// A match may be found only after a look at all that follows it, which goes
/// fast; this part of the price of such a look is paid for each match.
const LOOK_AHEAD: u64 = 512;

/// How many patterns an evaluation remembers.
const REMEMBERED: usize = 8;

pub(super) const TABLE: &[Row] = &[
    open_row("matches", "(string, string) -> bool", matches),
    open_row("matches", "string.(string) -> bool", matches),
    row("translate", "string.(string, string) -> string", translate),
];

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// The name of each group, in the order of their numbers.
    names: Vec<Option<String>>,
    /// See `Translated::weight`.
    weight: usize,
}

/// A compiled pattern, or why there is none.
pub(crate) type Compiled = Result<Arc<Pattern>, Fault>;

/// Compiles a pattern.
pub(crate) fn compile(pattern: &str) -> Compiled {
    let failed = |reason: &str| {
        let message = format!("error parsing regexp: {reason}");
        fault(ErrorClass::Regex, message)
    };
    if pattern.len() > LONGEST_PATTERN {
        return Err(failed("expression is too long"));
    }
    let translated = re2::translate(pattern).map_err(failed)?;
    let built = RegexBuilder::new(&translated.pattern)
        .size_limit(LARGEST_COMPILED)
        .build();
    match built {
        Ok(regex) => Ok(Arc::new(Pattern {
            regex,
            names: translated.names,
            weight: translated.weight,
        })),
        Err(_) => Err(failed("expression is too large or names an unknown class")),
    }
}

/// The patterns that one evaluation compiled itself.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Vec<(String, Compiled)>);

impl Patterns {
    fn get(&mut self, pattern: &str, meter: &mut Meter) -> Compiled {
        if let Some((_, compiled)) = self.0.iter().find(|(known, _)| known == pattern) {
            return compiled.clone();
        }
        meter.step(COMPILE_STEPS)?;
        meter.walk(pattern.len())?;
        let compiled = compile(pattern);
        if self.0.len() == REMEMBERED {
            drop(self.0.remove(0));
        }
        self.0.push((pattern.to_owned(), compiled.clone()));
        compiled
    }
}

impl Pattern {
    /// What it costs to run over so many bytes, in steps of four bytes. A heavy
    /// pattern may have to follow many ways through it at once.
    fn cost(&self, length: usize) -> u64 {
        let weight = self.weight.max(LIGHT) as u64;
        (length as u64).saturating_mul(weight) / (4 * LIGHT as u64)
    }
}

/// Whether a literal pattern is found in the subject.
pub(crate) fn is_match<'v>(
    pattern: &Pattern,
    subject: &Value<'v>,
    meter: &mut Meter,
) -> Result<Value<'v>, Fault> {
    let Value::Text(subject) = subject else {
        return Err(no_overload());
    };
    meter.step(pattern.cost(subject.as_bytes().len()))?;
    Ok(Value::Bool(pattern.regex.is_match(&subject.lossy())))
}

fn matches<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (subject, pattern) = (args.first().ok_or_else(no_overload)?, text(args, 1)?);
    if !matches!(subject, Value::Text(_)) {
        return Err(no_overload());
    }
    let pattern = context.patterns.get(&pattern.lossy(), context.meter)?;
    is_match(&pattern, subject, context.meter)
}

fn translate<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let pattern = context.patterns.get(&string(args, 1)?, context.meter)?;
    replace_all(&pattern, args, context.meter)
}

/// Replaces each match in the first argument by the template in the third.
pub(crate) fn replace_all<'v>(
    pattern: &Pattern,
    args: &[Value<'v>],
    meter: &mut Meter,
) -> Result<Value<'v>, Fault> {
    let (source, replacement) = (text(args, 0)?, text(args, 2)?);
    let (subject, template) = (source.stood_in(), replacement.stood_in());
    meter.step(pattern.cost(subject.len()))?;
    let mut replaced = String::new();
    let mut kept_until = 0;
    for captures in pattern.regex.captures_iter(&subject) {
        let Some(found) = captures.get(0) else {
            continue;
        };
        let ahead = pattern.cost(subject.len() - found.end());
        meter.step(1 + ahead / LOOK_AHEAD)?;
        let kept = &subject[kept_until..found.start()];
        meter.build(kept.len())?;
        replaced.push_str(kept);
        fill_in(&template, pattern, &captures, &mut replaced, meter)?;
        kept_until = found.end();
    }
    replaced.push_str(&subject[kept_until..]);
    meter.build(subject.len())?;
    Ok(Value::Text(
        if source.is_broken() || replacement.is_broken() {
            Text::of_stood_in(&replaced)
        } else {
            Text::Shared(replaced.into())
        },
    ))
}

/// Writes the template with its `$1`, `${name}` and `$$` filled in, by Go's
/// rules: a name is as long as it can be, an unknown one is empty, and a `$`
/// that begins no name stands for itself.
fn fill_in(
    template: &str,
    pattern: &Pattern,
    captures: &Captures<'_>,
    into: &mut String,
    meter: &mut Meter,
) -> Result<(), Fault> {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        meter.build(before.len() + 1)?;
        into.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            into.push('$');
            rest = after;
        } else if let Some((name, after)) = group_name(rest) {
            let text = group(name, &pattern.names, captures);
            meter.step(1)?;
            meter.build(text.len())?;
            into.push_str(text);
            rest = after;
        } else {
            into.push('$');
        }
    }
    meter.build(rest.len())?;
    into.push_str(rest);
    Ok(())
}

fn group_name(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let length = text
        .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(length);
    if name.is_empty() {
        return None;
    }
    let rest = if braced {
        rest.strip_prefix('}')?
    } else {
        rest
    };
    Some((name, rest))
}

/// The text of a group by its number or its name. Of groups that share a name
/// the first that took part in the match counts.
fn group<'t>(name: &str, names: &[Option<String>], captures: &Captures<'t>) -> &'t str {
    let numeric = name.bytes().all(|byte| byte.is_ascii_digit());
    let found = if numeric && (name == "0" || !name.starts_with('0')) {
        name.parse().ok().and_then(|index| captures.get(index))
    } else {
        (1..)
            .zip(names)
            .filter(|(_, known)| known.as_deref() == Some(name))
            .find_map(|(index, _)| captures.get(index))
    };
    found.map_or("", |found| found.as_str())
}

#[cfg(test)]
mod tests;
