//! The only HTTP client.
//!
//! In: requests, and where they may lead. Out: bounded responses. Every
//! address is looked at after its name was resolved and before anybody
//! connects to it; connections, headers and the whole exchange have timeouts.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub mod breaker;
mod guard;
mod proxy;

use guard::GuardedResolver;
pub use guard::{Guard, Reach};
pub use proxy::Proxy;

/// Longest time that a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Longest time that an exchange may take where nobody says less: longer than
/// the gateway itself lets one take.
const TOTAL_TIME: Duration = Duration::from_secs(90);

/// How long a connection that nobody uses is kept.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// Connections that nobody uses and that are kept for one address.
const IDLE_CONNECTIONS: usize = 16;

/// Largest response that is read, in bytes.
const RESPONSE_BYTES: usize = 8 * 1024 * 1024;

/// Sets of certificates that there is a client of its own for.
const CLIENTS: usize = 64;

/// Sends requests: the network, or what stands for it in a comparison.
pub trait Http: Send + Sync {
    /// Sends a request and reads the response.
    fn send(&self, outgoing: Outgoing) -> Sent<'_>;
}

/// The future of a response.
pub type Sent<'h> =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, OutboundError>> + Send + 'h>>;

/// A request, and the conditions under which it is sent.
#[derive(Debug)]
pub struct Outgoing {
    /// The request.
    pub request: Request<Bytes>,
    /// Where it may lead.
    pub reach: Reach,
    /// The certificates that the other side is trusted by, as PEM; those of
    /// this machine where it is empty.
    pub ca_bundle: String,
    /// How long the exchange may take.
    pub within: Duration,
}

type Direct = HyperClient<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>;
type Tunneled = HyperClient<HttpsConnector<Tunnel<HttpConnector>>, Full<Bytes>>;

/// Connections of one kind.
#[derive(Clone)]
enum Hyper {
    Direct(Direct),
    /// Through the proxy.
    Tunneled(Tunneled),
}

/// An HTTP client for `http` and `https`.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    guard: Arc<Guard>,
    proxy: Option<Proxy>,
    /// By where they lead, whom they trust, and whether through the proxy.
    clients: Mutex<HashMap<(Reach, String, bool), Hyper>>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The certificates of this machine cannot be read.
    #[error("the certificates of this machine cannot be read: {0}")]
    Certificates(#[source] std::io::Error),
    /// The certificates that came with an address are none.
    #[error("the caBundle cannot be used: {0}")]
    CaBundle(String),
    /// It leads where it must not.
    #[error("{0}")]
    Forbidden(String),
    /// Nobody answered.
    #[error("{0}")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is larger than what is read.
    #[error("the answer has more than {} MiB", RESPONSE_BYTES >> 20)]
    TooLarge,
    /// The answer took too long.
    #[error("no answer within {} seconds", .0.as_secs())]
    Timeout(Duration),
}

impl OutboundError {
    /// Whether the same request may be answered later.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Exchange(_) | Self::Timeout(_) | Self::Certificates(_)
        )
    }
}

impl Client {
    /// A client that goes nowhere inside but where `guard` lets it.
    pub fn new(guard: Guard) -> Self {
        Self::through(guard, None)
    }

    /// The same, that goes to the outside through a proxy.
    pub fn through(guard: Guard, proxy: Option<Proxy>) -> Self {
        Self(Arc::new(Inner {
            guard: Arc::new(guard),
            proxy,
            clients: Mutex::default(),
        }))
    }

    /// Sends a request to an address that whoever runs this has named, and
    /// reads the response.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, OutboundError> {
        self.exchange(request, Reach::Anywhere, "", TOTAL_TIME)
            .await
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        reach: Reach,
        ca_bundle: &str,
        within: Duration,
    ) -> Result<Response<Bytes>, OutboundError> {
        self.0.guard.look_at(request.uri(), reach)?;
        let proxy = self.0.proxy.as_ref();
        let proxy = proxy.filter(|proxy| proxy.serves(request.uri()));
        let client = self.client(reach, ca_bundle, proxy)?;
        let within = within.min(TOTAL_TIME);
        let exchange = async {
            if proxy.is_some() {
                self.look_ahead(request.uri(), reach).await?;
            }
            bounded(client, request).await
        };
        tokio::time::timeout(within, exchange)
            .await
            .map_err(|_| OutboundError::Timeout(within))?
    }

    /// The proxy looks names up itself. One that leads inside from here is not
    /// even asked for; one that nobody knows here is the proxy's to judge.
    async fn look_ahead(&self, uri: &Uri, reach: Reach) -> Result<(), OutboundError> {
        let found = self.0.guard.look_up(uri.host().unwrap_or_default(), reach);
        match found.await {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(OutboundError::Forbidden(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn client(
        &self,
        reach: Reach,
        ca_bundle: &str,
        proxy: Option<&Proxy>,
    ) -> Result<Hyper, OutboundError> {
        let key = (reach, ca_bundle.to_owned(), proxy.is_some());
        if let Ok(clients) = self.0.clients.lock()
            && let Some(known) = clients.get(&key)
        {
            return Ok(known.clone());
        }
        let client = match proxy {
            Some(proxy) => {
                let tunnel = proxy.tunnel(connector(HttpConnector::new()));
                Hyper::Tunneled(build(tunnel, ca_bundle)?)
            }
            None => {
                let resolver = GuardedResolver::new(Arc::clone(&self.0.guard), reach);
                let direct = connector(HttpConnector::new_with_resolver(resolver));
                Hyper::Direct(build(direct, ca_bundle)?)
            }
        };
        if let Ok(mut clients) = self.0.clients.lock() {
            if clients.len() >= CLIENTS {
                // Certificates change seldom; whoever changes them often pays.
                clients.clear();
            }
            clients.insert(key, client.clone());
        }
        Ok(client)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the body of a response, which `Limited` bounds"
)]
async fn bounded(
    client: Hyper,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, OutboundError> {
    let response = match client {
        Hyper::Direct(client) => client.request(request).await,
        Hyper::Tunneled(client) => client.request(request).await,
    };
    let response = response.map_err(with_causes)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, RESPONSE_BYTES).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => OutboundError::TooLarge,
        false => OutboundError::Exchange(error),
    })?;
    let body = body.to_bytes();
    Ok(Response::from_parts(head, body))
}

impl Http for Client {
    fn send(&self, outgoing: Outgoing) -> Sent<'_> {
        let Outgoing {
            request,
            reach,
            ca_bundle,
            within,
        } = outgoing;
        Box::pin(async move {
            let request = request.map(Full::new);
            self.exchange(request, reach, &ca_bundle, within).await
        })
    }
}

fn connector<R>(mut http: HttpConnector<R>) -> HttpConnector<R> {
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT_TIME));
    http.set_nodelay(true);
    http
}

fn build<C>(
    connector: C,
    ca_bundle: &str,
) -> Result<HyperClient<HttpsConnector<C>, Full<Bytes>>, OutboundError>
where
    HttpsConnector<C>: Connect + Clone,
{
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls(ca_bundle)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let client = HyperClient::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIME)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_timer(TokioTimer::new())
        .build(connector);
    Ok(client)
}

fn tls(ca_bundle: &str) -> Result<ClientConfig, OutboundError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: rustls::Error| OutboundError::CaBundle(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    if ca_bundle.is_empty() {
        let builder = builder.with_native_roots();
        let builder = builder.map_err(OutboundError::Certificates)?;
        return Ok(builder.with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_bundle.as_bytes()) {
        let certificate =
            certificate.map_err(|error| OutboundError::CaBundle(error.to_string()))?;
        roots.add(certificate).map_err(unusable)?;
    }
    if roots.is_empty() {
        let message = "it holds no certificate in PEM".to_owned();
        return Err(OutboundError::CaBundle(message));
    }
    let builder = builder.with_root_certificates(roots);
    Ok(builder.with_no_client_auth())
}

/// The client's own error says only that connecting failed; the cause says why.
fn with_causes(error: hyper_util::client::legacy::Error) -> OutboundError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        if let Some(forbidden) = deeper.downcast_ref::<std::io::Error>()
            && forbidden.kind() == std::io::ErrorKind::PermissionDenied
        {
            return OutboundError::Forbidden(forbidden.to_string());
        }
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    OutboundError::Exchange(text.into())
}

/// A URL that can be called, without what may stand for a password in one; or
/// why a text is none.
pub fn callable(url: &str) -> Result<String, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "the address is no URL")?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    match uri.scheme_str() {
        Some("http" | "https") if authority.contains('@') => {
            Err("the address has a user in it, which is not sent; give the interceptor a header")
        }
        Some(scheme @ ("http" | "https")) if uri.host().is_some() => {
            // A path may hold a token, too.
            let rest = if uri.path().len() > 1 { "/…" } else { "/" };
            Ok(format!("{scheme}://{authority}{rest}"))
        }
        _ => Err("the address is no http or https URL"),
    }
}
