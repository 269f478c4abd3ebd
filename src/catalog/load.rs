//! From the texts of files to a snapshot, keeping the last good version of
//! whatever is bad now.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::intercept::calls::Reach;
use crate::model::ids::{ListenerId, TriggerId};

use super::compile::{self, Groups, Trigger};
use super::diagnostic::Diagnostic;
use super::files::ReadFiles;
use super::objects::{Kind, Object, ObjectKey, Objects, Store};
use super::permits::Permits;
use super::refused;
use super::resolve::{self, ListenerPlan, TriggerPlan};
use super::snapshot::{Bounds, Entry, Listener, Snapshot};

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
    /// What bounded each listener.
    bounds: HashMap<String, Bounds>,
}

impl Loader {
    /// Loads what the files hold now. What is bad keeps its last good version.
    pub fn load(&mut self, read: &ReadFiles) -> Loaded {
        let mut diagnostics = read.diagnostics.clone();
        let (objects, is_incomplete) = self.read(read, &mut diagnostics);
        let loaded = self.compile(
            objects,
            is_incomplete,
            diagnostics,
            &Permits::Everything,
            true,
        );
        self.objects = Arc::clone(&loaded.objects);
        loaded
    }

    /// Loads what a cluster has now. Whoever can write there has looser ways
    /// to keep an old trigger: what is bad is not in force, and its events
    /// wait. A listener takes triggers of other namespaces with `permits`.
    pub fn load_cluster(
        &mut self,
        objects: Objects,
        is_incomplete: bool,
        diagnostics: Vec<Diagnostic>,
        permits: &Permits,
    ) -> Loaded {
        self.compile(objects, is_incomplete, diagnostics, permits, false)
    }

    fn compile(
        &mut self,
        objects: Objects,
        is_incomplete: bool,
        mut diagnostics: Vec<Diagnostic>,
        permits: &Permits,
        keeps_last_good: bool,
    ) -> Loaded {
        let objects = Arc::new(objects);
        let mut listeners = Vec::new();
        let mut ready = HashMap::new();
        let (mut reached, mut used) = (HashSet::new(), HashSet::new());
        let mut groups = Groups::default();
        // Who writes the files of a gateway is its owner.
        let tenants = match keeps_last_good {
            true => Reach::Configured,
            false => Reach::Guarded,
        };
        for object in objects.listeners.values() {
            let plan = resolve::listener(object, &objects, permits, tenants);
            let problems: Vec<String> = plan.problems.iter().map(ToString::to_string).collect();
            let bounds = self.bounds(&plan);
            diagnostics.extend(plan.problems);
            let listener = plan.id.to_string();
            let entries = plan.triggers.into_iter().map(|trigger| {
                reached.insert(trigger.source.id.clone());
                used.extend(trigger.places.origins());
                let key = (listener.clone(), trigger.source.id.clone());
                let previous = self.triggers.get(&key);
                let context = (keeps_last_good, &mut groups);
                let entry = entry(trigger, previous, context, &mut diagnostics);
                if let Entry::Ready(trigger) = &entry {
                    ready.insert(key, Arc::clone(trigger));
                }
                entry
            });
            let is_incomplete = (is_incomplete && plan.selects) || plan.is_uncertain;
            let mut listener = Listener::new(plan.id, plan.uid, entries.collect(), is_incomplete);
            listener.bounds = bounds;
            listener.manner = plan.manner;
            listener.lifecycle = plan.lifecycle;
            listener.problems = problems;
            listeners.push(listener);
        }
        // One that cannot be read is there all the same.
        let unreadable = objects.unreadable.keys();
        listeners.extend(
            unreadable
                .filter(|key| key.kind == Kind::EventListener)
                .map(|key| {
                    let id = ListenerId {
                        namespace: key.namespace.clone(),
                        name: key.name.clone(),
                    };
                    let mut listener = Listener::new(id, String::new(), Vec::new(), true);
                    let problem = objects.unreadable.get(key);
                    listener.problems = problem.iter().map(|p| p.problem.to_string()).collect();
                    listener
                }),
        );
        // Nobody runs them, and their authors want to know all the same.
        for plan in resolve::unreached(&objects, &reached) {
            used.extend(plan.places.origins());
            diagnostics.extend(compile::compile(plan, &mut groups).diagnostics);
        }
        diagnostics.extend(compile::check_alone(&objects, &used));
        for (key, remarks) in refused::remarks(&objects, &diagnostics) {
            let mut listeners = listeners.iter_mut();
            let listener = listeners.find(|listener| key.is_listener(&listener.id));
            if let Some(listener) = listener {
                listener.remarks = remarks.iter().map(ToString::to_string).collect();
            }
            diagnostics.extend(remarks);
        }
        self.triggers = ready;
        let named = |listener: &Listener| (listener.id.to_string(), listener.bounds.clone());
        self.bounds = listeners.iter().map(named).collect();
        // A binding that two triggers use is wrong once.
        let mut seen = HashSet::new();
        diagnostics.retain(|diagnostic| seen.insert(diagnostic.clone()));
        diagnostics.sort();
        Loaded {
            snapshot: Arc::new(Snapshot::new(listeners, is_incomplete)),
            objects,
            diagnostics,
        }
    }

    /// What bounds a listener's events. Limits that cannot be read are those
    /// that held before, never none.
    fn bounds(&self, plan: &ListenerPlan) -> Bounds {
        let before = self.bounds.get(&plan.id.to_string());
        let before = before.cloned().unwrap_or_default();
        let triggers = plan.triggers.iter().filter_map(|trigger| {
            let id = &trigger.source.id;
            let kept = before
                .triggers
                .get(id)
                .filter(|_| !trigger.problems.is_empty());
            let limits = trigger.bounds.as_ref().or(kept)?;
            Some((id.clone(), limits.clone()))
        });
        Bounds {
            listener: plan.limits.unwrap_or(before.listener),
            triggers: triggers.collect(),
        }
    }

    /// Reads all objects. Also says whether something may be missing that no
    /// earlier version could be kept of.
    fn read(&self, read: &ReadFiles, diagnostics: &mut Vec<Diagnostic>) -> (Objects, bool) {
        let mut objects = Objects::default();
        let mut torn = BTreeSet::new();
        for file in &read.files {
            let result = objects.read_file(&file.name, &file.text);
            diagnostics.extend(result.diagnostics);
            if result.is_torn {
                torn.insert(file.name.as_str());
            }
        }
        let is_unread = |file: &str| {
            torn.contains(file)
                || read
                    .unread
                    .iter()
                    .any(|path| Path::new(file).starts_with(path))
        };
        let last = &*self.objects;
        let unreadable = objects.unreadable.clone();
        let keep = |key: &ObjectKey, file: &str| unreadable.contains_key(key) || is_unread(file);
        let mut known = BTreeSet::new();
        keep_last_good(&mut objects.listeners, &last.listeners, keep, &mut known);
        keep_last_good(&mut objects.triggers, &last.triggers, keep, &mut known);
        keep_last_good(&mut objects.templates, &last.templates, keep, &mut known);
        keep_last_good(&mut objects.bindings, &last.bindings, keep, &mut known);
        keep_last_good(
            &mut objects.interceptors,
            &last.interceptors,
            keep,
            &mut known,
        );
        keep_last_good(&mut objects.secrets, &last.secrets, keep, &mut known);
        // What is kept is not missing, and neither is what a spoilt copy names.
        let unreadable = std::mem::take(&mut objects.unreadable).into_iter();
        objects.unreadable = unreadable.filter(|(key, _)| !objects.has(key)).collect();
        let torn = torn.iter().any(|file| !known.contains(*file));
        let unread = read.unread.iter().any(|path| {
            let below = |file: &String| Path::new(file).starts_with(path);
            !known.iter().any(below)
        });
        (objects, torn || unread)
    }
}

/// Takes over the last version of objects that cannot be read now. An object
/// that is simply gone stays gone. Adds the files that something was known of.
fn keep_last_good<T: Clone>(
    now: &mut Store<T>,
    last: &BTreeMap<ObjectKey, Object<T>>,
    keep: impl Fn(&ObjectKey, &str) -> bool,
    known: &mut BTreeSet<String>,
) {
    for (key, object) in last {
        known.insert(object.origin.file().to_owned());
        if !now.contains_key(key) && keep(key, object.origin.file()) {
            now.insert(key.clone(), object.clone());
        }
    }
}

fn entry(
    plan: TriggerPlan,
    previous: Option<&Arc<Trigger>>,
    (keeps_last_good, groups): (bool, &mut Groups),
    diagnostics: &mut Vec<Diagnostic>,
) -> Entry {
    if let Some(previous) = previous
        && plan.problems.is_empty()
        && previous.source == plan.source
        && !previous.has_advice()
    {
        return Entry::Ready(Arc::clone(previous));
    }
    let compiled = compile::compile(plan, groups);
    diagnostics.extend(compiled.diagnostics);
    match (compiled.trigger, previous) {
        (Ok(trigger), _) => Entry::Ready(trigger),
        (Err(_), Some(previous)) if keeps_last_good => Entry::Ready(Arc::clone(previous)),
        (Err(broken), _) => Entry::Broken(Arc::new(broken)),
    }
}
