//! Tekton's `slack` interceptor: fields of the form become extensions.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::{Problem, string_list};
use crate::model::verdict::{Reason, Verdict};

/// The fields that are asked for.
#[derive(Debug)]
pub(super) struct Slack {
    requested: Option<Vec<String>>,
}

impl Slack {
    /// Compiles `requestedFields`.
    pub(super) fn compile(params: &Map<String, Value>) -> Result<Self, Problem> {
        let requested = string_list(params, "requestedFields")?;
        Ok(Self { requested })
    }

    /// Adds an extension for each field: the texts that it has.
    pub(super) fn decide(
        &self,
        event: &VerifiedEvent,
        extensions: &mut Map<String, Value>,
    ) -> Result<(), Stop> {
        let content_type = event.headers().get("Content-Type").unwrap_or_default();
        if event.rule().as_tekton && content_type != "application/x-www-form-urlencoded" {
            let detail = "the content type is not application/x-www-form-urlencoded";
            return Err(Stop {
                verdict: Verdict::Refused,
                reason: Reason::SignatureMissing,
                detail: Some(detail.to_owned()),
            });
        }
        let body = event.body();
        let body = body.map_err(|reason| Stop::failed(reason, reason.meaning()))?;
        let nothing = Map::new();
        let fields = match body {
            Value::Object(fields) => fields,
            Value::Null => &nothing,
            _ => return Err(no_form()),
        };
        if !fields.values().all(is_texts) {
            return Err(no_form());
        }
        let Some(requested) = &self.requested else {
            let detail = "the interceptor names no requestedFields";
            return Err(Stop::failed(Reason::PayloadIncomplete, detail));
        };
        for name in requested {
            let Some(texts) = fields.get(name) else {
                let detail = format!("the form has no field `{name}`");
                return Err(Stop::failed(Reason::PayloadIncomplete, detail));
            };
            extensions.insert(name.clone(), as_texts(texts));
        }
        Ok(())
    }
}

/// Whether a value is what a field of a form is: a list of texts.
fn is_texts(value: &Value) -> bool {
    match value {
        Value::Array(texts) => texts.iter().all(|text| text.is_string() || text.is_null()),
        Value::Null => true,
        _ => false,
    }
}

/// The texts of a field. What is nothing among them is an empty one, as to Go.
fn as_texts(value: &Value) -> Value {
    let Value::Array(texts) = value else {
        return value.clone();
    };
    let texts = texts.iter().map(|text| text.as_str().unwrap_or_default());
    texts.collect()
}

fn no_form() -> Stop {
    let reason = Reason::BodyNotForm;
    Stop::failed(reason, reason.meaning())
}
