//! What becomes of Tekton's objects when Tripline serves them: what works as it
//! is, what works better, what somebody has to look at.
//!
//! In: files, or the objects of a cluster. Out: a row for each object. The
//! compiler's own diagnostics say what does not work; `rules` say what works
//! differently.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::api::TRIGGERS_GROUP;

use super::diagnostic::Diagnostic;
use super::files::ReadFiles;
use super::load::Loader;
use super::objects::{Kind, Objects, Origin};
use super::permits::Permits;
use super::spelling;
use super::yaml::{self, Place};

mod interceptors;
mod rules;

/// Namespace of objects from files that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It does what it did.
    WorksAsIs,
    /// It does that, and something that it did badly, well.
    WorksBetter,
    /// Somebody has to look at it first.
    NeedsAttention,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WorksAsIs => "works as is",
            Self::WorksBetter => "works better",
            Self::NeedsAttention => "needs attention",
        })
    }
}

/// One thing that is to be said of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// What it means for the object.
    pub verdict: Verdict,
    /// Where it stands: `file:line:col`; nothing for an object of a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The thing.
    pub text: String,
    /// How to get what Tekton does, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_in_tekton: Option<&'static str>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for a kind that has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where it begins: `file:line:col`; nothing for one of a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why.
    pub why: Vec<Why>,
}

/// Every object, and what cannot be told of any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The objects, by kind, namespace and name.
    pub objects: Vec<Row>,
    /// What is wrong with files in which nobody can find an object.
    pub unreadable: Vec<String>,
}

impl Report {
    /// How many objects have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        let rows = self.objects.iter();
        rows.filter(|row| row.verdict == verdict).count()
    }
}

/// An object of Tekton's group, readable or not.
struct Item {
    kind: String,
    namespace: String,
    name: String,
    origin: Arc<Origin>,
    value: Value,
}

/// What becomes of the objects in files.
pub fn of_files(files: &ReadFiles) -> Report {
    let items = files
        .files
        .iter()
        .flat_map(|file| items(&file.name, &file.text));
    let loaded = Loader::default().load(files);
    report(items.collect(), &loaded.diagnostics)
}

/// What becomes of the objects of a cluster.
pub fn of_cluster(values: Vec<Value>) -> Report {
    let mut objects = Objects::default();
    let (mut items, mut diagnostics) = (Vec::new(), Vec::new());
    for value in values {
        diagnostics.extend(objects.apply(value.clone()).diagnostics);
        let item = item(value, Origin::of_cluster);
        items.extend(item);
    }
    let permits = Permits::Everything;
    let loaded = Loader::default().load_cluster(objects, false, diagnostics, &permits);
    report(items, &loaded.diagnostics)
}

fn items(file: &str, text: &str) -> Vec<Item> {
    let documents = yaml::documents(text).into_iter();
    let mut found = Vec::new();
    for document in documents {
        let Ok(mut value) = document.value else {
            continue;
        };
        let text = Arc::new(document.text);
        let origin = |inside: String| Origin::of_file(file, Arc::clone(&text), inside);
        match value["items"].take() {
            Value::Array(list) if value["kind"] == "List" => {
                let list = list.into_iter().enumerate();
                found.extend(list.filter_map(|(index, value)| {
                    item(value, |_| origin(format!("/items/{index}")))
                }));
            }
            _ => found.extend(item(value, |_| origin(String::new()))),
        }
    }
    found
}

/// An object of Tekton's group that has a name.
fn item(mut value: Value, origin: impl FnOnce(String) -> Arc<Origin>) -> Option<Item> {
    if let Some(kind) = value["kind"].as_str().and_then(Kind::parse) {
        spelling::normalise(kind, &mut value);
    }
    let text = |at: &str| {
        let text = value.pointer(at).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let version = text("/apiVersion");
    let (group, _) = version.split_once('/')?;
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    if group != TRIGGERS_GROUP || kind.is_empty() || name.is_empty() {
        return None;
    }
    let namespace = match text("/metadata/namespace") {
        _ if kind.starts_with("Cluster") => String::new(),
        none if none.is_empty() => DEFAULT_NAMESPACE.into(),
        given => given,
    };
    let shown = match namespace.as_str() {
        "" => format!("{kind} {name}"),
        _ => format!("{kind} {namespace}/{name}"),
    };
    Some(Item {
        origin: origin(shown),
        kind,
        namespace,
        name,
        value,
    })
}

fn report(items: Vec<Item>, diagnostics: &[Diagnostic]) -> Report {
    let mut report = Report::default();
    let starts: Vec<Diagnostic> = items.iter().map(|item| item.origin.error("", "")).collect();
    let mut of_items: BTreeMap<usize, Vec<Why>> = BTreeMap::new();
    for diagnostic in diagnostics {
        match owner(&starts, diagnostic) {
            Some(index) => of_items.entry(index).or_default().push(Why {
                verdict: Verdict::NeedsAttention,
                place: place(diagnostic),
                text: diagnostic.message.clone(),
                as_in_tekton: None,
            }),
            None => report.unreadable.push(diagnostic.to_string()),
        }
    }
    for (index, item) in items.into_iter().enumerate() {
        let mut why = of_items.remove(&index).unwrap_or_default();
        let mut said = BTreeSet::new();
        for finding in rules::of(&item.kind, &item.name, &item.namespace, &item.value) {
            // What holds for many triggers of a listener is said once.
            if said.insert(finding.text.clone()) {
                why.push(Why {
                    verdict: finding.verdict,
                    place: place(&item.origin.error(&finding.pointer, "")),
                    text: finding.text,
                    as_in_tekton: finding.as_in_tekton,
                });
            }
        }
        why.sort_by_key(|one| std::cmp::Reverse(one.verdict));
        let verdicts = why.iter().map(|one| one.verdict);
        report.objects.push(Row {
            verdict: verdicts.max().unwrap_or(Verdict::WorksAsIs),
            place: place(&starts[index]),
            kind: item.kind,
            namespace: item.namespace,
            name: item.name,
            why,
        });
    }
    let key = |row: &Row| (row.kind.clone(), row.namespace.clone(), row.name.clone());
    report.objects.sort_by_key(key);
    report
}

/// The object that a diagnostic is about: the last one of its file that begins
/// before it.
fn owner(starts: &[Diagnostic], diagnostic: &Diagnostic) -> Option<usize> {
    let of_file = starts.iter().enumerate();
    let of_file = of_file.filter(|(_, start)| start.file == diagnostic.file);
    let before = of_file.filter(|(_, start)| start.place <= diagnostic.place);
    let last: Option<(usize, Option<Place>)> = before
        .map(|(index, start)| (index, start.place))
        .max_by_key(|(_, start)| *start);
    last.map(|(index, _)| index)
}

fn place(diagnostic: &Diagnostic) -> Option<String> {
    let Place { line, column } = diagnostic.place?;
    Some(format!("{}:{line}:{column}", diagnostic.file))
}

#[cfg(test)]
mod tests;
