//! One request to the API server, in bounded time, and its answer.
//!
//! kube's client has this too, but throws the headers of answers away, and
//! with them how long to wait before the next request.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use serde_json::Value;
use tokio::time::timeout;

use crate::act::Actor;
use crate::model::retry::retry_after;

use super::LONGEST;
use super::error::unreachable_api;

/// Most bytes of an answer that are read: more than the API server stores of
/// one object.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Most bytes that are kept of an answer that is no Status.
const TEXT_BYTES: usize = 1024;

/// A request that was not done.
#[derive(Debug)]
pub(super) struct Refusal {
    pub error: kube::Error,
    /// How long to wait by the answer's `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl Refusal {
    /// The code of the API server's answer, where it gave one.
    pub(super) fn code(&self) -> Option<u16> {
        match &self.error {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }
}

/// Sends a request in the name of `actor`'s account.
pub(super) async fn exchange(
    client: &Client,
    mut request: Request<Vec<u8>>,
    actor: Actor<'_>,
) -> Result<Value, Refusal> {
    impersonate(&mut request, actor)?;
    let exchanged = timeout(LONGEST, send(client, request)).await;
    exchanged.unwrap_or_else(|_| Err(unreachable_api().into()))
}

/// Has the API server take a request for one of `actor`'s account.
pub(super) fn impersonate(request: &mut Request<Vec<u8>>, actor: Actor<'_>) -> kube::Result<()> {
    let Actor { namespace, account } = actor;
    let user = HeaderValue::try_from(format!("system:serviceaccount:{namespace}:{account}"))
        .map_err(|error| kube::Error::HttpError(http::Error::from(error)))?;
    // The API server adds the groups of a service account itself.
    request.headers_mut().insert("Impersonate-User", user);
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the body of an answer, which `Limited` bounds"
)]
async fn send(client: &Client, request: Request<Vec<u8>>) -> Result<Value, Refusal> {
    let response = client.send(request.map(Body::from)).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await;
    let body = body.map_err(kube::Error::Service)?.to_bytes();
    if head.status.is_success() {
        return Ok(serde_json::from_slice(&body).map_err(kube::Error::SerdeError)?);
    }
    let status = status(head.status.as_u16(), &body);
    Err(Refusal {
        error: kube::Error::Api(status.boxed()),
        retry_after: asked_for(&head.headers),
    })
}

/// What a refusal says. Whoever stands in front of the API server may not
/// write a Status.
fn status(code: u16, body: &[u8]) -> Status {
    let read = serde_json::from_slice::<Status>(body).ok();
    let read = read.filter(|status| status.is_failure() || !status.message.is_empty());
    let mut status = read.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        Status::failure(&text[..text.floor_char_boundary(TEXT_BYTES)], "")
    });
    if status.message.is_empty() {
        status.message = format!("status {code}");
    }
    // What the server has done is what it says on the wire.
    status.with_code(code)
}

fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    retry_after(text(RETRY_AFTER)?, text(DATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_is_no_status_is_one_all_the_same() {
        let page = status(503, "<html>\u{e9}</html>\n".as_bytes());
        assert_eq!((page.code, &*page.message), (503, "<html>\u{e9}</html>"));
        let other = status(502, br#"{"error": "no backend"}"#);
        assert_eq!((other.code, other.reason.as_str()), (502, ""));
        assert_eq!(other.message, r#"{"error": "no backend"}"#);
        assert_eq!(status(504, b"").message, "status 504");
        let long = status(500, "\u{e9}".repeat(TEXT_BYTES).as_bytes());
        assert!(long.message.len() <= TEXT_BYTES);
    }
}
