//! From the texts of files to a snapshot, keeping the last good version of
//! whatever is bad now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::model::ids::TriggerId;

use super::compile::{self, Trigger};
use super::diagnostic::Diagnostic;
use super::objects::{ObjectKey, Objects, Store};
use super::resolve;
use super::snapshot::{Entry, Listener, Snapshot};

/// The text of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as diagnostics show it.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// A configuration that was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The listeners.
    pub snapshot: Arc<Snapshot>,
    /// The objects, for whoever reads secrets from them.
    pub objects: Arc<Objects>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// Loads configurations, one after another.
#[derive(Debug, Default)]
pub struct Loader {
    objects: Arc<Objects>,
    /// Ready triggers of the last configuration: a bad edit leaves them in
    /// force, an unchanged one need not be compiled again.
    triggers: HashMap<(String, TriggerId), Arc<Trigger>>,
}

impl Loader {
    /// Loads what the files hold now.
    pub fn load(&mut self, files: &[SourceFile]) -> Loaded {
        let mut diagnostics = Vec::new();
        let objects = Arc::new(self.read(files, &mut diagnostics));
        let mut listeners = Vec::new();
        let mut ready = HashMap::new();
        for object in objects.listeners.values() {
            let plan = resolve::listener(object, &objects);
            let listener = plan.id.to_string();
            let entries = plan.triggers.into_iter().map(|trigger| {
                let key = (listener.clone(), trigger.source.id.clone());
                let previous = self.triggers.get(&key);
                let entry = entry(trigger, previous, &mut diagnostics);
                if let Entry::Ready(trigger) = &entry {
                    ready.insert(key, Arc::clone(trigger));
                }
                entry
            });
            listeners.push(Listener {
                triggers: entries.collect(),
                id: plan.id,
                uid: plan.uid,
            });
        }
        self.objects = Arc::clone(&objects);
        self.triggers = ready;
        // A binding that two triggers use is wrong once.
        let mut seen = HashSet::new();
        diagnostics.retain(|diagnostic| seen.insert(diagnostic.clone()));
        diagnostics.sort();
        Loaded {
            snapshot: Arc::new(Snapshot::new(listeners)),
            objects,
            diagnostics,
        }
    }

    fn read(&self, files: &[SourceFile], diagnostics: &mut Vec<Diagnostic>) -> Objects {
        let mut objects = Objects::default();
        let mut unreadable = HashSet::new();
        let mut torn = HashSet::new();
        for file in files {
            let read = objects.read_file(&file.name, &file.text);
            diagnostics.extend(read.diagnostics);
            unreadable.extend(read.unreadable);
            if read.has_syntax_errors {
                torn.insert(file.name.as_str());
            }
        }
        let last = &*self.objects;
        let keep = |key: &ObjectKey, file: &str| unreadable.contains(key) || torn.contains(file);
        keep_last_good(&mut objects.listeners, &last.listeners, keep);
        keep_last_good(&mut objects.triggers, &last.triggers, keep);
        keep_last_good(&mut objects.templates, &last.templates, keep);
        keep_last_good(&mut objects.bindings, &last.bindings, keep);
        keep_last_good(&mut objects.secrets, &last.secrets, keep);
        objects
    }
}

/// Takes over the last version of objects that cannot be read now. An object
/// that is simply gone stays gone.
fn keep_last_good<T: Clone>(
    now: &mut Store<T>,
    last: &BTreeMap<ObjectKey, super::objects::Object<T>>,
    keep: impl Fn(&ObjectKey, &str) -> bool,
) {
    for (key, object) in last {
        if !now.contains_key(key) && keep(key, object.origin.file()) {
            now.insert(key.clone(), object.clone());
        }
    }
}

fn entry(
    plan: resolve::TriggerPlan,
    previous: Option<&Arc<Trigger>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Entry {
    if let Some(previous) = previous
        && plan.problems.is_empty()
        && previous.source == plan.source
        && !previous.has_advice()
    {
        return Entry::Ready(Arc::clone(previous));
    }
    let compiled = compile::compile(plan);
    diagnostics.extend(compiled.diagnostics);
    match (compiled.trigger, previous) {
        (Ok(trigger), _) => Entry::Ready(trigger),
        (Err(_), Some(previous)) => Entry::Ready(Arc::clone(previous)),
        (Err(broken), None) => Entry::Broken(Arc::new(broken)),
    }
}
