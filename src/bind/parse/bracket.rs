//! What stands in square brackets: indexes, slices, names, unions, filters.

use super::super::error::PathError;
use super::super::path::{End, Filter, Path, Slice, Step, Test};
use super::super::search::Search;
use super::{Scanner, nested};

impl Scanner {
    /// `[…]` but for filters.
    pub(super) fn bracket(&mut self) -> Result<(), PathError> {
        let start = self.at;
        loop {
            match self.next() {
                None | Some('\n') => return Err(PathError::syntax("unterminated array")),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let whole = self.since(start);
        let inside = whole.get(1..whole.len() - 1).unwrap_or_default();
        let steps = inside_bracket(inside, self.depth)?;
        self.steps.extend(steps);
        Ok(())
    }

    /// `[?(…)]`. One pair of quotes may hold parentheses.
    pub(super) fn filter(&mut self) -> Result<(), PathError> {
        self.at += "[?(".len();
        let start = self.at;
        let mut quote = None;
        let mut closed = true;
        loop {
            match self.next() {
                None | Some('\n') => return Err(PathError::syntax("unterminated filter")),
                Some(letter @ ('"' | '\'')) => match quote {
                    None => {
                        quote = Some(letter);
                        closed = false;
                    }
                    Some(quote) => closed |= letter == quote && self.before_last() != b'\\',
                },
                Some(')') if closed => break,
                Some(_) => {}
            }
        }
        let whole = self.since(start);
        let condition = whole.get(..whole.len() - 1).unwrap_or_default();
        let filter = condition_of(condition, self.depth)?;
        if self.next() != Some(']') {
            return Err(PathError::syntax("unclosed array expect ]"));
        }
        self.steps.push(Step::Filter(filter));
        Ok(())
    }
}

/// Reads the text between two brackets.
fn inside_bracket(text: &str, depth: usize) -> Result<Path, PathError> {
    let text = if text == "*" { ":" } else { text };
    if text.contains(',') {
        let branches = text.split(',').map(|branch| {
            let branch = branch.trim_matches(' ');
            nested(&format!("[{branch}]"), depth)
        });
        return Ok(vec![Step::Union(branches.collect::<Result<_, _>>()?)]);
    }
    let name = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
    if let Some(name) = name.filter(|name| !name.contains('\'')) {
        return nested(&format!(".{name}"), depth);
    }
    slice(text).map(|slice| vec![Step::Slice(slice)])
}

/// `n`, `from:to` or `from:to:step`, each part optional.
fn slice(text: &str) -> Result<Slice, PathError> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |part: &&str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.len() > 3 || !parts.iter().all(is_number) {
        return Err(PathError::Syntax(format!("invalid array index {text}")));
    }
    let number = |at: usize| match parts.get(at) {
        None | Some(&"") => Ok(None),
        Some(part) => part
            .parse::<i64>()
            .map(Some)
            .map_err(|_| PathError::Syntax(format!("array index {part} is not a number"))),
    };
    let from = number(0)?.unwrap_or(0);
    let to = match number(1)? {
        Some(index) => End::At(index),
        None if parts.len() > 1 => End::Last,
        None => End::Next,
    };
    let step = number(2)?.unwrap_or(1);
    let end = match to {
        End::At(index) => Some(index),
        End::Next | End::Last => None,
    };
    let search = Search::slice(from, end, step);
    Ok(Slice {
        from,
        to,
        step,
        search,
    })
}

/// Reads the condition of a filter.
fn condition_of(text: &str, depth: usize) -> Result<Filter, PathError> {
    if let Some((left, operator, right)) = comparison(text) {
        let right = nested(right, depth)?;
        return Ok(Filter {
            left: nested(left, depth)?,
            test: Test::Compare(operator.to_owned(), right),
        });
    }
    let left = nested(text, depth)?;
    let fields: Option<Vec<&str>> = left
        .iter()
        .map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let test = match fields {
        Some(fields) => Test::Has(Search::having(fields.into_iter())),
        None => Test::Exists,
    };
    Ok(Filter { left, test })
}

/// Cuts a condition at its first operator: any run of `!<>=` that has
/// something on both sides.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = ['!', '<', '>', '='];
    let start = text.find(is_operator).filter(|&start| start > 0)?;
    let (left, rest) = text.split_at(start);
    let length = rest.find(|c| !is_operator.contains(&c));
    // A run up to the end gives its last character to the right side.
    let length = length.unwrap_or(rest.len() - 1);
    let (operator, right) = rest.split_at(length);
    (!operator.is_empty()).then_some((left, operator, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_cut_at_its_first_operator() {
        for (text, expected) in [
            ("@.a == 'x'", Some(("@.a ", "==", " 'x'"))),
            ("@.a=~'x'", Some(("@.a", "=", "~'x'"))),
            ("@.a<=>1", Some(("@.a", "<=>", "1"))),
            ("@.a==", Some(("@.a", "=", "="))),
            ("@.a=", None),
            ("== 1", None),
            ("@.a", None),
        ] {
            assert_eq!(comparison(text), expected, "{text}");
        }
    }

    #[test]
    fn a_slice_knows_which_bounds_were_written() {
        for (text, from, to, step) in [
            ("", 0, End::Next, 1),
            ("2", 2, End::Next, 1),
            ("-1", -1, End::Next, 1),
            ("-0", 0, End::Next, 1),
            (":", 0, End::Last, 1),
            ("1:", 1, End::Last, 1),
            (":-1", 0, End::At(-1), 1),
            ("0:3:2", 0, End::At(3), 2),
            ("::-1", 0, End::Last, -1),
        ] {
            let slice = slice(text).expect("is a slice");
            assert_eq!(
                (slice.from, slice.to, slice.step),
                (from, to, step),
                "{text}"
            );
        }
        for text in [
            "a",
            " 0 ",
            "1.0",
            "+1",
            "-",
            "1:2:3:4",
            "99999999999999999999",
        ] {
            assert!(slice(text).is_err(), "{text}");
        }
    }
}
