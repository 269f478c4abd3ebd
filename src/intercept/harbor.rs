//! The interceptor `harbor`: event types, projects and repositories.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::{Problem, unknown_fields};
use crate::model::verdict::Reason;

use super::filter::one_of;
use super::globs::{Globs, Style};

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
        let mut problems: Vec<Problem> = unknown_fields(params, &PARAMS)
            .map(|name| {
                Problem::at(
                    format!("/{name}"),
                    format!(
                        "`harbor` has no parameter `{name}`; it has {}",
                        PARAMS.join(", ")
                    ),
                )
            })
            .collect();
        let mut list = |name: &str, style: Style| {
            Globs::compile(params, name, style).unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
        };
        let harbor = Self {
            event_types: list("eventTypes", Style::WordAnyCase),
            projects: list("projects", Style::PathAnyCase),
            repositories: list("repositories", Style::PathAnyCase),
        };
        if problems.is_empty() {
            Ok(harbor)
        } else {
            Err(problems)
        }
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
