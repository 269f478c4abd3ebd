//! Sockets: who may connect, how long he may take, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;
use crate::telemetry::happening::{ConnectionClosed, ConnectionOpened, Happening};

use super::limits::Limits;

/// How long to leave `accept` alone after it failed, most likely for want of
/// file descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// How long to wait for a connection that the kernel has taken before the port
/// is closed.
const QUEUE_IS_EMPTY: Duration = Duration::from_millis(5);

/// How long that may go on, where ever more come.
const LAST_CALL: Duration = Duration::from_millis(100);

/// A port with something behind it.
pub struct Server {
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: Option<Arc<Metrics>>,
    connections: Connections,
    tls: Option<Arc<ServerConfig>>,
}

/// How many connections there may be, of one server or of several together.
#[derive(Clone)]
pub struct Connections(Arc<Semaphore>);

impl Connections {
    /// As many as this.
    pub fn new(at_most: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_most)))
    }
}

impl Server {
    /// Listens on `address`. `flag` is what changes the address, for the error.
    pub async fn bind(
        address: &str,
        flag: &str,
        router: Router,
        limits: Limits,
    ) -> Result<Self, BindError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| BindError {
                address: address.to_owned(),
                flag: flag.to_owned(),
                source,
            })?;
        Ok(Self {
            listener,
            router,
            connections: Connections::new(limits.connections),
            limits,
            metrics: None,
            tls: None,
        })
    }

    /// Speaks TLS.
    #[must_use]
    pub fn secured(mut self, tls: Option<Arc<ServerConfig>>) -> Self {
        self.tls = tls;
        self
    }

    /// Counts its connections.
    #[must_use]
    pub fn counted(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Has its connections among those that others have.
    #[must_use]
    pub fn among(mut self, connections: Connections) -> Self {
        self.connections = connections;
        self
    }

    /// The address that it listens on; a port of 0 has become a real one.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then takes no more connections and lets those
    /// that are open finish what they have begun.
    pub async fn run(self, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            };
            // A connection that is one too many waits, those after it in the
            // kernel's queue. To take a place before there is a connection
            // would leave none to other servers that share them.
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                slot = Arc::clone(&self.connections.0).acquire_owned() => slot,
            };
            if let Ok(slot) = slot {
                self.open(stream, slot, &graceful, &stop);
            }
        }
        // More than these come too late.
        let _ = timeout(LAST_CALL, self.empty_queue(&graceful, &stop)).await;
        drop(self.listener);
        graceful.shutdown().await;
    }

    /// Takes the connections that the kernel has taken already: to close the
    /// port would break them off.
    async fn empty_queue(&self, graceful: &GracefulShutdown, stop: &CancellationToken) {
        while let Ok(slot) = Arc::clone(&self.connections.0).try_acquire_owned()
            && let Ok(Ok((stream, _))) = timeout(QUEUE_IS_EMPTY, self.listener.accept()).await
        {
            self.open(stream, slot, graceful, stop);
        }
    }

    fn open(
        &self,
        stream: TcpStream,
        slot: OwnedSemaphorePermit,
        graceful: &GracefulShutdown,
        stop: &CancellationToken,
    ) {
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        // Who does not read his answer must not keep his connection.
        stream.set_write_timeout(Some(self.limits.total_time));
        let connection = Connection {
            router: self.router.clone(),
            limits: self.limits,
            watcher: graceful.watcher(),
        };
        let open = Open::new(self.metrics.clone());
        let tls = self.tls.clone();
        let stop = stop.clone();
        spawn(async move {
            match tls {
                None => connection.serve(Box::pin(stream)).await,
                Some(tls) => connection.serve_tls(Box::pin(stream), tls, &stop).await,
            }
            drop((slot, open));
        });
    }
}

/// A connection that is counted as long as it is open.
struct Open(Option<Arc<Metrics>>);

impl Open {
    fn new(metrics: Option<Arc<Metrics>>) -> Self {
        if let Some(metrics) = &metrics {
            ConnectionOpened.emit(metrics);
        }
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(metrics) = &self.0 {
            ConnectionClosed.emit(metrics);
        }
    }
}

/// A connection that has been accepted.
struct Connection {
    router: Router,
    limits: Limits,
    watcher: Watcher,
}

impl Connection {
    /// HTTP/1.1 over a stream. The builder that guesses the protocol has no
    /// timeout while it guesses, and TLS offers nothing else.
    async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_time)
            .max_headers(self.limits.headers)
            .max_buf_size(self.limits.head)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router));
        // A peer that breaks off is no news.
        let _ = self.watcher.watch(connection).await;
    }

    /// The same after a handshake, which may take as long as a head. Who fails
    /// at it may be anybody, and is told by TLS.
    async fn serve_tls<S>(self, stream: S, tls: Arc<ServerConfig>, stop: &CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let handshake = TlsAcceptor::from(tls).accept(stream);
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = tokio::time::timeout(self.limits.head_time, handshake) => accepted,
        };
        if let Ok(Ok(stream)) = accepted {
            self.serve(Box::new(stream)).await;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the task ends with its connection, which has timeouts and is watched for shutdown"
)]
fn spawn(connection: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(connection);
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}; {flag} ADDRESS chooses another one")]
pub struct BindError {
    address: String,
    flag: String,
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SOON: Duration = Duration::from_millis(300);

    async fn serve(connections: &Connections, stop: &CancellationToken) -> SocketAddr {
        let router = Router::new().fallback(|| async { "here" });
        let server = Server::bind("127.0.0.1:0", "--listen", router, Limits::DEFAULT).await;
        let server = server.unwrap().among(connections.clone());
        let address = server.address().unwrap();
        spawn(server.run(stop.clone()));
        address
    }

    /// Asks on a connection that stays open.
    async fn ask(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        stream
    }

    async fn is_answered(stream: &mut TcpStream) -> bool {
        let mut answer = [0; 512];
        let read = timeout(SOON, stream.read(&mut answer)).await;
        read.is_ok_and(|read| read.is_ok_and(|read| read > 0))
    }

    #[tokio::test]
    async fn servers_share_their_connections_and_an_idle_one_takes_none() {
        let stop = CancellationToken::new();
        let connections = Connections::new(1);
        let one = serve(&connections, &stop).await;
        let _idle = serve(&connections, &stop).await;
        let other = serve(&connections, &stop).await;
        let mut first = ask(one).await;
        assert!(is_answered(&mut first).await);
        let mut second = ask(other).await;
        assert!(!is_answered(&mut second).await, "one too many");
        drop(first);
        assert!(is_answered(&mut second).await, "its turn");
        stop.cancel();
        assert!(!is_answered(&mut second).await, "closed while it is idle");
    }
}
