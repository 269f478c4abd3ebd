//! The only HTTP client.
//!
//! In: requests to addresses that whoever runs the gateway has named. Out:
//! bounded responses. Connections, headers and the whole exchange have
//! timeouts.

use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longest time that a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Longest time that an exchange may take: longer than the gateway itself lets
/// one take.
const TOTAL_TIME: Duration = Duration::from_secs(90);

/// Largest response that is read, in bytes.
const RESPONSE_BYTES: usize = 1024 * 1024;

/// An HTTP client for `http` and `https`.
#[derive(Clone)]
pub struct Client(HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The certificates of this machine cannot be read.
    #[error("the certificates of this machine cannot be read: {0}")]
    Certificates(#[source] std::io::Error),
    /// Nobody answered.
    #[error("{0}")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer took too long.
    #[error("no answer within {} seconds", TOTAL_TIME.as_secs())]
    Timeout,
}

impl Client {
    /// A client that trusts the certificates that this machine trusts.
    pub fn new() -> Result<Self, OutboundError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIME));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(OutboundError::Certificates)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self(
            HyperClient::builder(TokioExecutor::new()).build(connector),
        ))
    }

    /// Sends a request and reads the response.
    #[expect(
        clippy::disallowed_methods,
        reason = "the body of a response, which `Limited` bounds"
    )]
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, OutboundError> {
        let exchange = async {
            let response = self.0.request(request).await.map_err(with_causes)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, RESPONSE_BYTES).collect().await;
            let body = body.map_err(OutboundError::Exchange)?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(TOTAL_TIME, exchange)
            .await
            .map_err(|_| OutboundError::Timeout)?
    }
}

/// The client's own error says only that connecting failed; the cause says why.
fn with_causes(error: hyper_util::client::legacy::Error) -> OutboundError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    OutboundError::Exchange(text.into())
}
