//! `eventTypes` of Tekton's `github` and `gitlab` interceptors.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::{Problem, string_list};
use crate::model::verdict::Reason;

/// The event types that a trigger lists, compared letter for letter with the
/// header that names the type. A list without entries lets nothing pass.
#[derive(Debug)]
pub(super) struct EventTypes {
    header: &'static str,
    listed: Vec<String>,
}

impl EventTypes {
    /// Compiles `eventTypes`; nothing where it is absent.
    pub(super) fn compile(
        header: &'static str,
        params: &Map<String, Value>,
    ) -> Result<Option<Self>, Problem> {
        let listed = string_list(params, "eventTypes")?;
        Ok(listed.map(|listed| Self { header, listed }))
    }

    pub(super) fn decide(&self, event: &VerifiedEvent) -> Result<(), Stop> {
        let actual = event.headers().get(self.header).unwrap_or_default();
        if self.listed.iter().any(|listed| listed == actual) {
            return Ok(());
        }
        Err(Stop::filtered(
            Reason::EventNotListed,
            format!("{}: `{actual}` is not in {:?}", self.header, self.listed),
        ))
    }
}
