//! Tekton's deprecated webhook interceptor: the event is posted somewhere, and
//! what comes back takes its place.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::headers::Headers;

use super::calls::{CallError, Calls, Endpoint, Question};
use super::cel;
use super::remote::body_text;
use super::rest::{Halt, Replacement};

/// How long it may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Header that tells what was asked for.
const REQUEST_URL: &str = "Eventlistener-Request-Url";

/// Headers that belong to one connection, or that the client writes itself.
const NOT_FORWARDED: [&str; 8] = [
    "Connection",
    "Content-Length",
    "Keep-Alive",
    "Proxy-Connection",
    "Te",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// A webhook that replaces the event.
#[derive(Debug)]
pub(super) struct Webhook {
    endpoint: Endpoint,
    /// Headers that are sent, in place of the event's own of the same name.
    headers: Vec<(String, Vec<String>)>,
    /// Whether it is the trigger's first interceptor: it gets forms as they
    /// came.
    is_first: bool,
}

impl Webhook {
    pub(super) fn new(
        endpoint: Endpoint,
        headers: Vec<(String, Vec<String>)>,
        is_first: bool,
    ) -> Self {
        Self {
            endpoint,
            headers,
            is_first,
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Posts the event, with the extensions in its body, and takes what comes
    /// back for the event from then on.
    pub(super) async fn ask(
        &self,
        event: &VerifiedEvent,
        calls: &dyn Calls,
        extensions: &Map<String, Value>,
    ) -> Result<Replacement, Halt> {
        let body = match extensions.is_empty() {
            true if self.is_first => Cow::Borrowed(&event.raw_body()[..]),
            true => body_text(event),
            false => extended(event, extensions).map_err(Halt::Stopped)?,
        };
        let headers = self.headers_for(event);
        let question = Question {
            headers: &headers,
            body: Bytes::copy_from_slice(&body),
            within: WITHIN,
        };
        let reply = calls.post(&self.endpoint, question).await?;
        if reply.status != 200 {
            return Err(Halt::Unanswered(CallError::status(&reply)));
        }
        Ok(Replacement {
            headers: reply.headers,
            body: reply.body,
        })
    }

    fn headers_for(&self, event: &VerifiedEvent) -> Headers {
        let mut headers = event.headers().clone();
        for name in NOT_FORWARDED {
            headers.remove(name);
        }
        headers.remove(REQUEST_URL);
        headers.append(REQUEST_URL, event.url());
        for (name, values) in &self.headers {
            // Go's client takes it from the address.
            if name.eq_ignore_ascii_case("host") {
                continue;
            }
            headers.remove(name);
            for value in values {
                headers.append(name, value.as_str());
            }
        }
        headers
    }
}

/// The body with the extensions under `extensions`.
fn extended<'e>(
    event: &'e VerifiedEvent,
    extensions: &Map<String, Value>,
) -> Result<Cow<'e, [u8]>, Stop> {
    let body = event.body();
    let body = body.map_err(|reason| Stop::failed(reason, reason.meaning()))?;
    let mut body = body.as_object().cloned().unwrap_or_default();
    for (name, value) in extensions {
        let path = format!("extensions.{name}");
        // A name that is no path cannot be sent, and upstream does not.
        let _ = cel::set_at(&path, &mut body, value.clone());
    }
    Ok(Cow::Owned(Value::Object(body).to_string().into_bytes()))
}
