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

/// Pays for one run of a pattern over `length` bytes.
fn pay_for_search(meter: &mut Meter, length: usize) -> Result<(), Fault> {
    meter.step(length as u64 / 4)
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
    pay_for_search(meter, subject.as_bytes().len())?;
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
    pay_for_search(meter, subject.len())?;
    let mut replaced = String::new();
    let mut kept_until = 0;
    for captures in pattern.regex.captures_iter(&subject) {
        let Some(found) = captures.get(0) else {
            continue;
        };
        meter.step(1)?;
        let before = replaced.len();
        replaced.push_str(&subject[kept_until..found.start()]);
        fill_in(&template, &pattern.names, &captures, &mut replaced);
        meter.build(replaced.len() - before)?;
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
fn fill_in(template: &str, names: &[Option<String>], captures: &Captures<'_>, into: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        into.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            into.push('$');
            rest = after;
        } else if let Some((name, after)) = group_name(rest) {
            into.push_str(group(name, names, captures));
            rest = after;
        } else {
            into.push('$');
        }
    }
    into.push_str(rest);
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
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Exhausted, NoOverload, Regex};
    use crate::intercept::cel::Stage::{Fold, Limit};
    use crate::intercept::cel::testing::{
        check_failures, check_refusals, check_true, check_values,
    };

    #[test]
    fn patterns_match_anywhere_and_by_re2() {
        check_true(&[
            "body.ref.matches('^refs/(heads|tags)/')",
            "matches(body.ref, 'main$') && body.ref.matches(body.pattern)",
            "!body.text.matches('^[a-z ]+$') && body.text.matches('(?i)HÉLLO')",
            r"!'३'.matches('\\d') && 'a1'.matches('\\d')",
        ]);
        check_failures(&[
            ("body.count.matches('3')", NoOverload),
            ("body.ref.matches(body.ref + '[')", Regex),
        ]);
    }

    #[test]
    fn a_literal_pattern_that_does_not_compile_is_refused() {
        check_refusals(&[
            (
                "body.no && body.ref.matches('[')",
                Fold(Regex),
                "missing closing ]",
            ),
            (r"'aa'.matches('(a)\\1')", Fold(Regex), "invalid escape"),
            (r"'a'.matches('\\pL{1000}')", Fold(Regex), "too large"),
        ]);
        let many = vec!["body.ref.matches('x')"; 101].join("||");
        check_refusals(&[(&many, Limit, "more than 100 regular expressions")]);
    }

    #[test]
    fn templates_fill_in_groups_by_the_rules_of_go() {
        check_values(&[
            (
                "body.ref.translate('^refs/(heads|tags)/', '')",
                json!("main"),
            ),
            ("'ab'.translate('(a)(b)', '$2$1')", json!("ba")),
            ("'ab'.translate('(a)(b)', '${1}x')", json!("ax")),
            ("'ab'.translate('(a)(b)', '$1x')", json!("")),
            ("'ab'.translate('(?P<n>a)b', '<$n>')", json!("<a>")),
            ("'b'.translate('(?P<n>a)|(?P<n>b)', '<$n>')", json!("<b>")),
            ("'a'.translate('a', '$$ $ ${ $9 $01')", json!("$ $ ${  ")),
            ("'abc'.translate('', '-')", json!("-a-b-c-")),
            ("'baaac'.translate('a*', '-')", json!("-b-c-")),
        ]);
        check_failures(&[
            ("body.ref.translate('(', '')", Regex),
            ("body.count.translate('a', 'b')", NoOverload),
        ]);
        check_true(&["body.yes || body.ref.translate('(', '') == ''"]);
    }

    #[test]
    fn patterns_of_the_event_cannot_be_compiled_without_end() {
        check_failures(&[(
            "lists.range(1000).all(i, !body.ref.matches(string(i) + 'x'))",
            Exhausted,
        )]);
    }
}
