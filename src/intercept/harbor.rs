//! The interceptor `harbor`: event types, projects and repositories.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::Problem;
use crate::model::verdict::Reason;

use super::filter::one_of;
use super::globs::{Globs, Lists, Style};

const PARAMS: [&str; 5] = [
    "secretRef",
    "secretRefs",
    "eventTypes",
    "projects",
    "repositories",
];

/// What a trigger wants of a registry.
#[derive(Debug)]
pub(super) struct Harbor {
    event_types: Option<Globs>,
    projects: Option<Globs>,
    repositories: Option<Globs>,
}

impl Harbor {
    /// Compiles the parameters, or says everything that is wrong with them.
    pub(super) fn compile(params: &Map<String, Value>) -> Result<Self, Vec<Problem>> {
        let mut lists = Lists::new("harbor", params, &PARAMS);
        let harbor = Self {
            event_types: lists.list("eventTypes", Style::WordAnyCase),
            projects: lists.list("projects", Style::PathAnyCase),
            repositories: lists.list("repositories", Style::PathAnyCase),
        };
        lists.finish(harbor)
    }

    pub(super) fn decide(&self, event: &VerifiedEvent) -> Result<(), Stop> {
        let facts = event.facts();
        if let Some(list) = &self.event_types {
            let actual = facts.and_then(|facts| facts.event_type());
            let written = event
                .body()
                .ok()
                .and_then(|body| body.get("type")?.as_str());
            one_of(list, &[actual, written], "event", Reason::EventNotListed)?;
        }
        let full_name = facts.and_then(|facts| facts.repository());
        let (project, name) = full_name.and_then(|full| full.split_once('/')).unzip();
        if let Some(list) = &self.projects {
            one_of(list, &[project], "project", Reason::ProjectNotListed)?;
        }
        match &self.repositories {
            Some(list) => one_of(
                list,
                &[full_name, name],
                "repository",
                Reason::RepositoryNotListed,
            ),
            None => Ok(()),
        }
    }
}
