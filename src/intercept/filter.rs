//! The interceptor `filter`: lists of globs over the facts of any event whose
//! sender is known.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::{Problem, field, kind_of};
use crate::model::sender::{ChangedFiles, Facts, GitRef};
use crate::model::verdict::Reason;

use super::globs::{Globs, Lists, Style};

const PARAMS: [&str; 11] = [
    "repositories",
    "owners",
    "events",
    "actions",
    "branches",
    "tags",
    "paths",
    "pathsIgnore",
    "actors",
    "labels",
    "draft",
];

/// What a trigger wants, as far as it says.
#[derive(Debug)]
pub(super) struct Filter {
    repositories: Option<Globs>,
    owners: Option<Globs>,
    events: Option<Globs>,
    actions: Option<Globs>,
    branches: Option<Globs>,
    tags: Option<Globs>,
    paths: Option<Globs>,
    paths_ignore: Option<Globs>,
    actors: Option<Globs>,
    labels: Option<Globs>,
    draft: Option<bool>,
}

impl Filter {
    /// Compiles the parameters, or says everything that is wrong with them.
    pub(super) fn compile(params: &Map<String, Value>) -> Result<Self, Vec<Problem>> {
        let mut lists = Lists::new("filter", params, &PARAMS);
        let filter = Self {
            repositories: lists.list("repositories", Style::PathAnyCase),
            owners: lists.list("owners", Style::PathAnyCase),
            events: lists.list("events", Style::WordAnyCase),
            actions: lists.list("actions", Style::WordAnyCase),
            branches: lists.list("branches", Style::Path),
            tags: lists.list("tags", Style::Path),
            paths: lists.list("paths", Style::Path),
            paths_ignore: lists.list("pathsIgnore", Style::Path),
            actors: lists.list("actors", Style::WordAnyCase),
            labels: lists.list("labels", Style::WordAnyCase),
            draft: match field(params, "draft") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(draft)) => Some(*draft),
                Some(other) => {
                    let message = format!("expected true or false, got {}", kind_of(other));
                    lists.problems.push(Problem::at("/draft", message));
                    None
                }
            },
        };
        lists.finish(filter)
    }

    pub(super) fn decide(&self, event: &VerifiedEvent) -> Result<(), Stop> {
        let Some(facts) = event.facts() else {
            return Err(Stop::filtered(
                Reason::SenderUnknown,
                "the request is of no sender that Tripline knows",
            ));
        };
        self.decide_repository(&facts)?;
        self.decide_event(&facts)?;
        self.decide_ref(&facts)?;
        self.decide_people(&facts)?;
        self.decide_paths(&facts)
    }

    fn decide_repository(&self, facts: &Facts<'_>) -> Result<(), Stop> {
        let repository = facts.repository();
        if let Some(list) = &self.repositories {
            let with_host = facts
                .host()
                .zip(repository)
                .map(|(host, repository)| format!("{host}/{repository}"));
            let names = [repository, with_host.as_deref()];
            one_of(list, &names, "repository", Reason::RepositoryNotListed)?;
        }
        match &self.owners {
            Some(list) => one_of(list, &[facts.owner()], "owner", Reason::OwnerNotListed),
            None => Ok(()),
        }
    }

    fn decide_event(&self, facts: &Facts<'_>) -> Result<(), Stop> {
        if let Some(list) = &self.events {
            let event = facts.event_type();
            let plain = event.map(plain_event);
            let names = [event, plain.as_deref()];
            one_of(list, &names, "event", Reason::EventNotListed)?;
        }
        match &self.actions {
            Some(list) => one_of(list, &[facts.action()], "action", Reason::ActionNotListed),
            None => Ok(()),
        }
    }

    /// Branches and tags together ask for either.
    fn decide_ref(&self, facts: &Facts<'_>) -> Result<(), Stop> {
        let (branches, tags) = match (&self.branches, &self.tags) {
            (None, None) => return Ok(()),
            lists => lists,
        };
        let takes = |list: &Option<Globs>, name| list.as_ref().is_some_and(|l| l.matches(name));
        let (taken, shown) = match facts.git_ref() {
            Some(GitRef::Branch(name)) => (takes(branches, name), format!("branch `{name}`")),
            Some(GitRef::Tag(name)) => (takes(tags, name), format!("tag `{name}`")),
            None => (false, "the event is about no branch and no tag".into()),
        };
        if taken {
            return Ok(());
        }
        let reason = match branches {
            Some(_) => Reason::BranchNotListed,
            None => Reason::TagNotListed,
        };
        let wanted: Vec<&String> = [branches, tags]
            .into_iter()
            .flatten()
            .flat_map(Globs::written)
            .collect();
        Err(Stop::filtered(
            reason,
            format!("{shown}; wanted {wanted:?}"),
        ))
    }

    fn decide_people(&self, facts: &Facts<'_>) -> Result<(), Stop> {
        if let Some(list) = &self.actors {
            one_of(list, &[facts.actor()], "actor", Reason::ActorNotListed)?;
        }
        if let Some(list) = &self.labels {
            let labels = facts.labels();
            if !labels.iter().any(|label| list.matches(label)) {
                let wanted = list.written();
                let detail = format!("labels {labels:?}; wanted {wanted:?}");
                return Err(Stop::filtered(Reason::LabelNotListed, detail));
            }
        }
        match self.draft {
            Some(wanted) if facts.draft() != Some(wanted) => {
                let detail = match facts.draft() {
                    Some(draft) => format!("draft is {draft}; wanted {wanted}"),
                    None => format!("the event is of no change; wanted draft {wanted}"),
                };
                Err(Stop::filtered(Reason::DraftMismatch, detail))
            }
            _ => Ok(()),
        }
    }

    /// A list that is not complete excludes nothing, and neither does one with
    /// nothing on it, as when a branch or tag is made: to fire once too often
    /// is the lesser evil.
    fn decide_paths(&self, facts: &Facts<'_>) -> Result<(), Stop> {
        if self.paths.is_none() && self.paths_ignore.is_none() {
            return Ok(());
        }
        let ChangedFiles { listed, complete } = facts.changed();
        if !complete || listed.is_empty() {
            return Ok(());
        }
        if let Some(list) = &self.paths
            && !listed.iter().any(|file| list.matches(file))
        {
            let wanted = list.written();
            let detail = format!("{} changed files; wanted {wanted:?}", listed.len());
            return Err(Stop::filtered(Reason::PathsNotListed, detail));
        }
        if let Some(list) = &self.paths_ignore
            && listed.iter().all(|file| list.matches(file))
        {
            let ignored = list.written();
            let detail = format!("{} changed files; ignored {ignored:?}", listed.len());
            return Err(Stop::filtered(Reason::PathsIgnored, detail));
        }
        Ok(())
    }
}

/// The name of an event that other senders use too: `Merge Request Hook` is
/// `merge_request`.
pub(super) fn plain_event(event: &str) -> String {
    let lower = event.to_ascii_lowercase();
    let stem = lower.strip_suffix(" hook").unwrap_or(&lower);
    stem.replace(' ', "_")
}

/// Whether the list takes something under one of its names; nothing is taken
/// that has no name.
pub(super) fn one_of(
    list: &Globs,
    names: &[Option<&str>],
    what: &str,
    reason: Reason,
) -> Result<(), Stop> {
    let names: Vec<&str> = names.iter().copied().flatten().collect();
    if !names.is_empty() && list.matches_any(&names) {
        return Ok(());
    }
    let wanted = list.written();
    Err(Stop::filtered(
        reason,
        match names.first() {
            Some(name) => format!("{what} `{name}`; wanted {wanted:?}"),
            None => format!("the event has no {what}; wanted {wanted:?}"),
        },
    ))
}

#[cfg(test)]
mod tests;
