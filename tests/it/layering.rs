//! Who may import whom, and who may build what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each module may import of this crate. One that is not listed here is
/// wiring and may import anything.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("api", &["model"]),
    ("verify", &["model"]),
    ("intercept", &["model"]),
    ("bind", &["model"]),
    ("render", &["model"]),
    ("act", &["model", "failpoint"]),
    ("journal", &["model", "failpoint"]),
    ("admission", &["model", "api", "intercept"]),
    (
        "catalog",
        &[
            "model",
            "api",
            "admission",
            "verify",
            "intercept",
            "bind",
            "render",
        ],
    ),
    (
        "pipeline",
        &[
            "model",
            "catalog",
            "verify",
            "intercept",
            "bind",
            "render",
            "act",
            "journal",
            "failpoint",
        ],
    ),
    ("clock", &[]),
    ("failpoint", &[]),
    ("outbound", &[]),
    ("forge", &["model", "outbound"]),
];

/// Crates that only some modules may see.
const RESTRICTED: [(&str, &[&str]); 7] = [
    ("hyper", &["ingress", "outbound"]),
    ("axum", &["ingress", "console", "outbound", "app", "cli"]),
    ("rusqlite", &["journal"]),
    ("anyhow", &["app", "cli"]),
    ("kube", &["act", "catalog", "secrets", "app"]),
    ("k8s_openapi", &["act", "catalog", "secrets", "app"]),
    (
        "tokio",
        &[
            "ingress", "journal", "worker", "act", "catalog", "outbound", "console", "secrets",
            "app", "cli",
        ],
    ),
];

fn sources() -> BTreeMap<PathBuf, String> {
    let mut sources = BTreeMap::new();
    collect(Path::new("src"), &mut sources);
    assert!(sources.len() > 50, "the sources are found");
    sources
}

fn collect(folder: &Path, sources: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.insert(path, text);
        }
    }
}

/// The module that a file belongs to.
fn module(path: &Path) -> String {
    let first = path
        .strip_prefix("src")
        .unwrap()
        .components()
        .next()
        .unwrap();
    let name = first.as_os_str().to_string_lossy();
    name.trim_end_matches(".rs").to_owned()
}

/// Lines of code that are no comments, production and tests alike.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// Modules of this crate that a line names.
fn named(line: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            // `use crate::{a, b::c};`
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                modules.extend(list.split(',').map(|item| first_word(item.trim())));
            }
            None => modules.push(first_word(rest)),
        }
    }
    modules
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn modules_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module(&path);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        for line in code(&text) {
            for other in named(line) {
                if other != module && !allowed.contains(&other.as_str()) {
                    wrong.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn crates_are_seen_only_where_they_may_be() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module(&path);
        for (name, allowed) in RESTRICTED {
            let used = code(&text).any(|line| {
                line.trim_start().starts_with(&format!("use {name}::"))
                    || line.contains(&format!(" {name}::"))
            });
            if used && !allowed.contains(&module.as_str()) {
                wrong.push(format!("{} uses {name}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn only_verify_constructs_a_verified_event() {
    let mut attesting = Vec::new();
    for (path, text) in sources() {
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        if code(production).any(|line| line.contains("VerifiedEvent::attest("))
            && !path.ends_with("tests.rs")
        {
            attesting.push(path.display().to_string());
        }
    }
    assert_eq!(attesting, ["src/verify.rs"]);
}

#[test]
fn only_what_the_journal_keeps_is_recalled() {
    let mut recalling = Vec::new();
    for (path, text) in sources() {
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        if code(production).any(|line| line.contains("verify::recall(")) {
            recalling.push(path.display().to_string());
        }
    }
    // The verbs that read a recorded request trust whoever runs them.
    let expected = ["src/cli/evaluate.rs", "src/worker/attempt.rs"];
    assert_eq!(recalling, expected);
}

#[test]
fn a_sender_is_named_in_its_own_places_only() {
    // Its file in verify, the registry, an interceptor of its own, the fields
    // that v1alpha1 had for three of them, and what Tekton does not verify.
    let allowed = [
        "src/catalog/migrate/interceptors.rs",
        "src/api/trigger/deprecated.rs",
        "src/verify/",
        "src/intercept/",
        "src/intercept.rs",
        "src/verify.rs",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let shown = path.display().to_string();
        if allowed.iter().any(|place| shown.starts_with(place)) {
            continue;
        }
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        if shown.ends_with("tests.rs") {
            continue;
        }
        for line in code(production) {
            let names = ["github", "gitlab", "bitbucket", "slack", "harbor"];
            if names
                .iter()
                .any(|name| line.contains(&format!("\"{name}\"")))
            {
                wrong.push(format!("{shown}: {}", line.trim()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
