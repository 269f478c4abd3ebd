//! What interceptors ask of others, and who asks for them.
//!
//! The chain itself neither dials nor waits: whoever drives it brings somebody
//! who does.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::headers::Headers;
use crate::model::retry::retry_after;
use crate::model::secret::SecretValue;

/// Asks others on behalf of interceptors.
pub trait Calls: Send + Sync {
    /// Posts a question to an interceptor and gives its reply.
    fn post<'c>(&'c self, endpoint: &'c Endpoint, question: Question<'c>) -> Asked<'c, Reply>;

    /// The files that a pull request changes.
    fn changed_files<'c>(&'c self, of: &'c Repository<'c>, number: i64) -> Asked<'c, Vec<String>>;

    /// Whether somebody is a public member of the repository's organisation.
    fn is_member<'c>(&'c self, of: &'c Repository<'c>, login: &'c str) -> Asked<'c, bool>;

    /// Whether somebody is a collaborator of the repository.
    fn is_collaborator<'c>(&'c self, of: &'c Repository<'c>, login: &'c str) -> Asked<'c, bool>;

    /// A file of the repository's default branch, where there is one.
    fn file<'c>(&'c self, of: &'c Repository<'c>, path: &'c str) -> Asked<'c, Option<Bytes>>;
}

/// The future of an answer.
pub type Asked<'c, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'c>>;

/// An interceptor outside of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its address.
    pub url: String,
    /// The certificates that it is trusted by, as PEM; those of this machine
    /// where there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ca_bundle: String,
    /// Where it may be.
    pub reach: Reach,
    /// What becomes of the event where it gives no answer.
    pub on_failure: OnFailure,
}

/// Where a call may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// An administrator has named the address: anywhere but to the addresses
    /// that hand out a machine's own credentials.
    Configured,
    /// A Service of whoever names it: not to this machine.
    Own,
    /// Somebody else has: nowhere inside, unless that is listed.
    Guarded,
}

/// What becomes of an event when an interceptor gives no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is asked again later.
    #[default]
    Retry,
    /// The delivery is given up.
    Stop,
    /// The chain goes on as if the interceptor were not there.
    Continue,
}

impl OnFailure {
    /// The policy that a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "retry" => Some(Self::Retry),
            "stop" => Some(Self::Stop),
            "continue" => Some(Self::Continue),
            _ => None,
        }
    }
}

/// What is posted.
#[derive(Clone, Debug)]
pub struct Question<'q> {
    /// Its headers.
    pub headers: &'q Headers,
    /// Its body.
    pub body: Bytes,
    /// How long the answer may take.
    pub within: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// A repository of a forge, and as whom it is looked at.
#[derive(Debug)]
pub struct Repository<'r> {
    /// Host of the forge that the event names; its public one where it names
    /// none.
    pub host: Option<&'r str>,
    /// Whether what proved the event also proves that host.
    pub is_proven: bool,
    /// Its owner.
    pub owner: &'r str,
    /// Its name.
    pub name: &'r str,
    /// The token, where there is one.
    pub token: Option<SecretValue>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What happened. Never a credential.
    pub message: String,
    /// Whether the same call may work later.
    pub may_pass: bool,
    /// How much later, where whoever was asked says so.
    pub retry_after: Option<Duration>,
}

impl CallError {
    /// Something that may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            may_pass: true,
            retry_after: None,
        }
    }

    /// Something that asking again does not mend.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            may_pass: false,
            retry_after: None,
        }
    }

    /// An answer with a status that says nothing of the event.
    pub fn status(reply: &Reply) -> Self {
        let header = |name| reply.headers.get(name);
        let asked = header("Retry-After").and_then(|asked| retry_after(asked, header("Date")));
        Self {
            message: format!("it answered with status {}", reply.status),
            may_pass: matches!(reply.status, 408 | 425 | 429 | 500..),
            retry_after: asked,
        }
    }
}

/// Asks nobody: for whoever works offline.
#[derive(Clone, Copy, Debug)]
pub struct NoCalls;

impl NoCalls {
    fn refuse<'c, T: Send + 'c>() -> Asked<'c, T> {
        let error = CallError::lasting("nobody is called offline");
        Box::pin(std::future::ready(Err(error)))
    }
}

impl Calls for NoCalls {
    fn post<'c>(&'c self, _: &'c Endpoint, _: Question<'c>) -> Asked<'c, Reply> {
        Self::refuse()
    }

    fn changed_files<'c>(&'c self, _: &'c Repository<'c>, _: i64) -> Asked<'c, Vec<String>> {
        Self::refuse()
    }

    fn is_member<'c>(&'c self, _: &'c Repository<'c>, _: &'c str) -> Asked<'c, bool> {
        Self::refuse()
    }

    fn is_collaborator<'c>(&'c self, _: &'c Repository<'c>, _: &'c str) -> Asked<'c, bool> {
        Self::refuse()
    }

    fn file<'c>(&'c self, _: &'c Repository<'c>, _: &'c str) -> Asked<'c, Option<Bytes>> {
        Self::refuse()
    }
}
