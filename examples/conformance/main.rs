//! Compares Tripline with recorded behaviour of Tekton Triggers.
//!
//! `cargo run --release --example conformance -- [--show] [--allow FILE] PATH…`
//! reads recorded cases (one JSON object a line), prints `kind category
//! passed/total` rows, and with `--show` each mismatch with what was expected
//! and what came. A case that `FILE` names (`id reason…`) may differ. Exit
//! status 1 when another one does.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports to a terminal"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::Value;

mod compare;

/// One recorded case.
#[derive(Deserialize)]
pub(crate) struct Case {
    id: String,
    kind: String,
    category: String,
    input: Value,
    expected: Value,
    /// Folder that `body_file` is looked up in.
    #[serde(skip)]
    bodies: PathBuf,
}

/// What a comparison found.
pub(crate) enum Comparison {
    /// As recorded.
    Same,
    /// Upstream fails where Tripline gives what the author meant.
    Better,
    /// Not as recorded: what came instead.
    Different(String),
    /// This kind of case is not compared by this version.
    NotCompared,
}

#[derive(Default)]
struct Row {
    passed: usize,
    better: usize,
    allowed: usize,
    skipped: usize,
    total: usize,
}

fn main() -> ExitCode {
    match run() {
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

fn run() -> Result<usize, String> {
    let mut show = false;
    let mut allowed: HashMap<String, String> = HashMap::new();
    let mut paths = Vec::new();
    let mut only: Option<String> = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--show" => show = true,
            "--only" => only = Some(arguments.next().ok_or("--only needs an id or a category")?),
            "--allow" => {
                let file = arguments.next().ok_or("--allow needs a file")?;
                allowed.extend(read_allowed(Path::new(&file))?);
            }
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    if paths.is_empty() {
        return Err("name at least one file of cases, or a folder of them".into());
    }
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut different = 0;
    for case in read_cases(&paths)? {
        if only
            .as_ref()
            .is_some_and(|only| *only != case.id && *only != case.category)
        {
            continue;
        }
        let row = rows
            .entry((case.kind.clone(), case.category.clone()))
            .or_default();
        row.total += 1;
        match compare::compare(&case) {
            Comparison::Same => row.passed += 1,
            Comparison::Better => row.better += 1,
            Comparison::NotCompared => row.skipped += 1,
            Comparison::Different(_) if allowed.contains_key(&case.id) => row.allowed += 1,
            Comparison::Different(actual) => {
                different += 1;
                if show {
                    println!("--- {} {} {}", case.id, case.kind, case.category);
                    println!("input:    {}", case.input);
                    println!("expected: {}", case.expected);
                    println!("actual:   {actual}");
                }
            }
        }
    }
    print_rows(&rows);
    Ok(different)
}

fn print_rows(rows: &BTreeMap<(String, String), Row>) {
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

fn read_allowed(file: &Path) -> Result<HashMap<String, String>, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| match line.split_once(' ') {
            Some((id, reason)) => Ok((id.to_owned(), reason.trim().to_owned())),
            None => Err(format!("{}: `{line}` gives no reason", file.display())),
        })
        .collect()
}

fn read_cases(paths: &[PathBuf]) -> Result<Vec<Case>, String> {
    let (mut files, mut examples) = (Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            let entries =
                std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let mut inside: Vec<PathBuf> = entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|file| file.extension().is_some_and(|ext| ext == "jsonl"))
                .collect();
            inside.sort();
            files.extend(inside);
            examples.extend(read_examples(&path.join("examples"))?);
        } else {
            files.push(path.clone());
        }
    }
    let mut cases = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let bodies = file.parent().unwrap_or(Path::new(".")).join("bodies");
        for (number, line) in text.lines().enumerate() {
            let mut case: Case = serde_json::from_str(line)
                .map_err(|e| format!("{}:{}: {e}", file.display(), number + 1))?;
            case.bodies.clone_from(&bodies);
            cases.push(case);
        }
    }
    cases.append(&mut examples);
    Ok(cases)
}

/// Whole examples: a folder each, with manifests, a request, and what came of
/// it.
fn read_examples(folder: &Path) -> Result<Vec<Case>, String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut cases = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|e| format!("{}: {e}", folder.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = path.join("expected.json");
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        cases.push(Case {
            id: name.clone().into_owned(),
            kind: "example".into(),
            category: name.into_owned(),
            input: path.display().to_string().into(),
            expected: serde_json::from_str(&text)
                .map_err(|e| format!("{}: {e}", file.display()))?,
            bodies: PathBuf::new(),
        });
    }
    cases.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(cases)
}
