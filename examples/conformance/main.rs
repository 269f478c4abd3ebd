//! Compares Tripline with recorded behaviour of Tekton Triggers.
//!
//! `cargo run --release --example conformance -- [--show] [--allow FILE] PATH…`
//! reads recorded cases (one JSON object a line), prints `kind category
//! passed/total` rows, and with `--show` each mismatch with what was expected
//! and what came. A case that `FILE` names (`id reason…`) may differ, as long as
//! those are no more than one in a hundred. The last line counts decisions with
//! their values, and error classes. Exit status 1 when a case differs that may
//! not.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports to a terminal"
)]

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

mod cases;
mod compare;

use cases::Case;
use compare::Comparison;

/// One case in so many may differ.
const SHARE_ALLOWED: usize = 100;

/// Of so many at least.
const ENOUGH: usize = 1000;

#[derive(Default)]
struct Row {
    passed: usize,
    better: usize,
    allowed: usize,
    skipped: usize,
    total: usize,
}

/// What is counted over all kinds.
#[derive(Default)]
struct Totals {
    decided: usize,
    compared: usize,
    classes_same: usize,
    classes: usize,
}

struct Arguments {
    show: bool,
    only: Option<String>,
    allowed: HashSet<String>,
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(different) => {
            eprintln!("{different} cases differ");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut read = Arguments {
        show: false,
        only: None,
        allowed: HashSet::new(),
        paths: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--show" => read.show = true,
            "--only" => {
                read.only = Some(arguments.next().ok_or("--only needs an id or a category")?);
            }
            "--allow" => {
                let file = arguments.next().ok_or("--allow needs a file")?;
                read.allowed.extend(read_allowed(Path::new(&file))?);
            }
            _ => read.paths.push(PathBuf::from(argument)),
        }
    }
    if read.paths.is_empty() {
        return Err("name at least one file of cases, or a folder of them".into());
    }
    Ok(read)
}

fn run(arguments: &Arguments) -> Result<usize, String> {
    let cases = cases::read_cases(&arguments.paths)?;
    let allowed = |case: &&Case| arguments.allowed.contains(&case.id);
    let covered = cases.iter().filter(allowed).count();
    // A few files of many say nothing of the whole.
    if cases.len() >= ENOUGH && covered * SHARE_ALLOWED > cases.len() {
        let total = cases.len();
        return Err(format!(
            "{covered} of {total} cases are allowed to differ, more than 1 %"
        ));
    }
    let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
    let mut totals = Totals::default();
    let mut different = 0;
    let wanted = |case: &&Case| {
        let only = arguments.only.as_ref();
        only.is_none_or(|only| *only == case.id || *only == case.category)
    };
    for case in cases.iter().filter(wanted) {
        let comparison = compare::compare(case);
        let row = rows.entry((&case.kind, &case.category)).or_default();
        let allowed = allowed(&case);
        row.count(&comparison, allowed);
        totals.count(case, &comparison);
        match comparison {
            Comparison::Different(actual) | Comparison::OtherClass(actual) => {
                different += usize::from(!allowed);
                if arguments.show && !allowed {
                    println!("--- {} {} {}", case.id, case.kind, case.category);
                    println!("input:    {}", case.input);
                    println!("expected: {}", case.expected);
                    println!("actual:   {actual}");
                }
            }
            Comparison::Same | Comparison::Better if allowed => {
                eprintln!("warning: {} is allowed to differ and does not", case.id);
            }
            _ => {}
        }
    }
    print_rows(&rows);
    println!(
        "decisions+values {}/{}, error classes {}/{}",
        totals.decided, totals.compared, totals.classes_same, totals.classes
    );
    Ok(different)
}

impl Row {
    fn count(&mut self, comparison: &Comparison, allowed: bool) {
        self.total += 1;
        match comparison {
            Comparison::Same => self.passed += 1,
            Comparison::Better => self.better += 1,
            Comparison::NotCompared => self.skipped += 1,
            Comparison::Different(_) | Comparison::OtherClass(_) if allowed => self.allowed += 1,
            Comparison::Different(_) | Comparison::OtherClass(_) => {}
        }
    }
}

impl Totals {
    fn count(&mut self, case: &Case, comparison: &Comparison) {
        if matches!(comparison, Comparison::NotCompared) {
            return;
        }
        let same = matches!(comparison, Comparison::Same | Comparison::Better);
        self.compared += 1;
        self.decided += usize::from(same || matches!(comparison, Comparison::OtherClass(_)));
        if has_class(&case.expected) {
            self.classes += 1;
            self.classes_same += usize::from(same);
        }
    }
}

/// Whether something says of which class an error is.
fn has_class(expected: &Value) -> bool {
    match expected {
        Value::Object(fields) => {
            fields.contains_key("error_class") || fields.values().any(has_class)
        }
        Value::Array(items) => items.iter().any(has_class),
        _ => false,
    }
}

fn print_rows(rows: &BTreeMap<(&str, &str), Row>) {
    for ((kind, category), row) in rows {
        let mut notes = String::new();
        for (count, word) in [
            (row.better, "better"),
            (row.allowed, "allowed"),
            (row.skipped, "not compared"),
        ] {
            if count > 0 {
                notes.push_str(&format!(" ({count} {word})"));
            }
        }
        println!("{kind} {category} {}/{}{notes}", row.passed, row.total);
    }
}

/// The ids that a file names. Each needs a reason.
fn read_allowed(file: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| match line.split_once(' ') {
            Some((id, _)) => Ok(id.to_owned()),
            None => Err(format!("{}: `{line}` gives no reason", file.display())),
        })
        .collect()
}
