//! RE2's syntax, as Go's `regexp` reads it, in the notation of the `regex`
//! crate.
//!
//! In: a pattern. Out: one that matches the same, or the reason in Go's words.
//! The two dialects are close, and differ where a filter would silently match
//! something else: `\d`, `\w`, `\s` and `\b` are ASCII, brackets do not nest,
//! stacked repetitions and the flags `x` and `u` are errors.

use super::class;
use super::input::Input;

/// Most repetitions that a pattern may ask for, nested ones multiplied.
const MOST_REPETITIONS: u32 = 1000;

/// Deepest nesting of groups.
const MOST_NESTING: usize = 200;

/// Why a pattern is refused.
pub(super) type Reason = &'static str;

pub(super) const TRAILING_BACKSLASH: Reason = "trailing backslash at end of expression";
pub(super) const INVALID_ESCAPE: Reason = "invalid escape sequence";
const INVALID_PERL: Reason = "invalid or unsupported Perl syntax";
const INVALID_REPEAT: Reason = "invalid repeat count";
const MISSING_ARGUMENT: Reason = "missing argument to repetition operator";

/// A pattern in the notation of the `regex` crate.
#[derive(Debug)]
pub(super) struct Translated {
    /// Its groups have no names.
    pub(super) pattern: String,
    /// The name of each group, in the order of their numbers. Go lets several
    /// groups share one.
    pub(super) names: Vec<Option<String>>,
    /// How many atoms it has once its counted repetitions are written out. A
    /// search may look at all of them for each character.
    pub(super) weight: usize,
}

/// Translates a pattern.
pub(super) fn translate(pattern: &str) -> Result<Translated, Reason> {
    let mut translator = Translator {
        input: Input::new(pattern),
        output: String::with_capacity(pattern.len() + 16),
        groups: Vec::new(),
        names: Vec::new(),
        last: None,
        widest: 1,
        weight: 0,
    };
    translator.run()?;
    Ok(Translated {
        pattern: translator.output,
        names: translator.names,
        weight: translator.weight,
    })
}

/// What a repetition would repeat.
#[derive(Clone, Copy)]
struct Atom {
    /// Where it stands in the output. Flags may follow it there.
    start: usize,
    end: usize,
    /// How often the widest counted repetition inside it repeats.
    repeats: u32,
    /// A repetition itself, which takes no further one at once.
    repeated: bool,
    /// Whether flags follow it.
    flagged: bool,
    /// How many atoms it has inside.
    weight: usize,
}

/// A group that is open.
struct Group {
    /// Where it begins in the output.
    start: usize,
    /// The widest repetition before it.
    widest: u32,
    /// The atoms before it.
    weight: usize,
}

struct Translator<'p> {
    input: Input<'p>,
    output: String,
    groups: Vec<Group>,
    names: Vec<Option<String>>,
    last: Option<Atom>,
    widest: u32,
    /// The atoms of the innermost group so far.
    weight: usize,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), Reason> {
        while let Some(character) = self.input.next() {
            match character {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.output.push('|');
                    self.last = None;
                }
                '*' | '+' | '?' => self.repeat(&character.to_string(), None)?,
                '{' => self.counted()?,
                '[' => {
                    let start = self.output.len();
                    class::translate(&mut self.input, &mut self.output)?;
                    self.atom(start);
                }
                '\\' => self.escape()?,
                '^' | '$' | '.' => {
                    let start = self.output.len();
                    self.output.push(character);
                    self.atom(start);
                }
                _ => self.literal(character),
            }
        }
        if self.groups.is_empty() {
            Ok(())
        } else {
            Err("missing closing )")
        }
    }

    /// Notes what was written from `start` on as the last atom.
    fn atom(&mut self, start: usize) {
        self.weight = self.weight.saturating_add(1);
        self.last = Some(Atom {
            start,
            end: self.output.len(),
            repeats: 1,
            repeated: false,
            flagged: false,
            weight: 1,
        });
    }

    fn literal(&mut self, character: char) {
        let start = self.output.len();
        push_literal(&mut self.output, character);
        self.atom(start);
    }

    fn open(&mut self) -> Result<(), Reason> {
        if self.input.take('?') {
            return self.open_special();
        }
        self.open_group(None)
    }

    fn open_group(&mut self, name: Option<String>) -> Result<(), Reason> {
        self.names.push(name);
        self.enter("(")
    }

    fn enter(&mut self, opening: &str) -> Result<(), Reason> {
        if self.groups.len() >= MOST_NESTING {
            return Err("expression nests too deeply");
        }
        self.groups.push(Group {
            start: self.output.len(),
            widest: self.widest,
            weight: self.weight,
        });
        self.output.push_str(opening);
        self.widest = 1;
        self.weight = 0;
        self.last = None;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Reason> {
        let group = self.groups.pop().ok_or("unexpected )")?;
        self.output.push(')');
        self.last = Some(Atom {
            start: group.start,
            end: self.output.len(),
            repeats: self.widest,
            repeated: false,
            flagged: false,
            weight: self.weight,
        });
        self.widest = self.widest.max(group.widest);
        self.weight = self.weight.saturating_add(group.weight);
        Ok(())
    }

    /// What follows `(?`: a named group, or flags.
    fn open_special(&mut self) -> Result<(), Reason> {
        if self.input.take_all("P<") || self.input.take('<') {
            let name = self.input.take_until(">").ok_or("invalid named capture")?;
            let valid = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
            if !valid {
                return Err("invalid named capture");
            }
            return self.open_group(Some(name));
        }
        self.flags()
    }

    fn flags(&mut self) -> Result<(), Reason> {
        let mut flags = String::new();
        let mut saw_flag = false;
        loop {
            match self.input.next() {
                Some(flag @ ('i' | 'm' | 's' | 'U')) => {
                    flags.push(flag);
                    saw_flag = true;
                }
                Some('-') if !flags.contains('-') => {
                    flags.push('-');
                    saw_flag = false;
                }
                Some(end @ (':' | ')')) => {
                    if flags.contains('-') && !saw_flag {
                        return Err(INVALID_PERL);
                    }
                    let flags = without_repeats(&flags);
                    if end == ':' {
                        return self.enter(&format!("(?{flags}:"));
                    }
                    if let Some(atom) = &mut self.last {
                        atom.flagged = true;
                    }
                    if !flags.is_empty() {
                        self.output.push_str(&format!("(?{flags})"));
                    }
                    return Ok(());
                }
                _ => return Err(INVALID_PERL),
            }
        }
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else is a literal brace.
    fn counted(&mut self) -> Result<(), Reason> {
        let mut ahead = self.input.clone();
        let Some((least, most)) = ahead.take_count() else {
            self.literal('{');
            return Ok(());
        };
        self.input = ahead;
        let times = most.unwrap_or(least);
        if least > MOST_REPETITIONS || times > MOST_REPETITIONS || times < least {
            return Err(INVALID_REPEAT);
        }
        let written = match most {
            Some(most) if most == least => format!("{{{least}}}"),
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        };
        self.repeat(&written, Some(times))
    }

    fn repeat(&mut self, operator: &str, times: Option<u32>) -> Result<(), Reason> {
        let atom = self.last.ok_or(MISSING_ARGUMENT)?;
        let lazy = self.input.take('?');
        if atom.repeated && !atom.flagged {
            return Err("invalid nested repetition operator");
        }
        let repeats = atom.repeats.saturating_mul(times.unwrap_or(1).max(1));
        if times.is_some_and(|times| times >= 2) && repeats > MOST_REPETITIONS {
            return Err(INVALID_REPEAT);
        }
        // Where flags stand between the two, Go repeats what is before them.
        let flags = self.output.split_off(atom.end);
        if atom.repeated {
            self.output.insert_str(atom.start, "(?:");
            self.output.push(')');
        }
        self.output.push_str(operator);
        if lazy {
            self.output.push('?');
        }
        self.widest = self.widest.max(repeats);
        let weight = atom
            .weight
            .saturating_mul(times.unwrap_or(1).max(1) as usize);
        self.weight = self.weight.saturating_add(weight - atom.weight);
        self.last = Some(Atom {
            start: atom.start,
            end: self.output.len(),
            repeats,
            repeated: true,
            flagged: false,
            weight,
        });
        self.output.push_str(&flags);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Reason> {
        let start = self.output.len();
        match self.input.peek() {
            None => return Err(TRAILING_BACKSLASH),
            Some('Q') => {
                self.input.next();
                return self.quoted();
            }
            Some(anchor @ ('A' | 'z')) => {
                self.input.next();
                self.output.push('\\');
                self.output.push(anchor);
            }
            Some('b') => {
                self.input.next();
                self.output.push_str(r"(?-u:\b)");
            }
            Some('B') => {
                self.input.next();
                self.output.push_str(r"(?-u:\B)");
            }
            Some(_) => {
                if !class::named(&mut self.input, &mut self.output, false)? {
                    let character = class::character_escape(&mut self.input)?;
                    push_literal(&mut self.output, character);
                }
            }
        }
        self.atom(start);
        Ok(())
    }

    /// `\Q…\E`: literal text, to the end where nothing closes it.
    fn quoted(&mut self) -> Result<(), Reason> {
        while !self.input.take_all(r"\E") {
            match self.input.next() {
                Some(character) => self.literal(character),
                None => break,
            }
        }
        Ok(())
    }
}

/// The `regex` crate refuses a flag that stands twice.
fn without_repeats(flags: &str) -> String {
    let (on, off) = flags.split_once('-').unwrap_or((flags, ""));
    // What is switched off in the end was not switched on.
    let mut kept: String = "imsU"
        .chars()
        .filter(|&flag| on.contains(flag) && !off.contains(flag))
        .collect();
    let off: String = "imsU".chars().filter(|&flag| off.contains(flag)).collect();
    if !off.is_empty() {
        kept.push('-');
        kept.push_str(&off);
    }
    kept
}

/// Writes a character that stands for itself, inside and outside brackets.
pub(super) fn push_literal(output: &mut String, character: char) {
    if matches!(
        character,
        '\\' | '.'
            | '+'
            | '*'
            | '?'
            | '('
            | ')'
            | '|'
            | '['
            | ']'
            | '{'
            | '}'
            | '^'
            | '$'
            | '#'
            | '&'
            | '-'
            | '~'
    ) {
        output.push('\\');
    }
    output.push(character);
}

#[cfg(test)]
mod tests;
