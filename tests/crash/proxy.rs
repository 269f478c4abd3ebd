//! A proxy before the API server that behaves as bad networks, overloaded
//! servers and broken load balancers do.
//!
//! It speaks TLS to both sides and passes one request on a connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls::{Stream, crypto::ring};

use super::random::Random;

/// Longer than anybody waits for an answer of the API server.
const FOR_EVER: Duration = Duration::from_secs(35);

/// What it may do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answers late.
    Slow,
    /// Answers 429, with a time to wait.
    TooMany,
    /// Answers 500.
    Broken,
    /// Breaks the connection off and passes nothing on.
    CutBefore,
    /// Passes the request on, and breaks off in the middle of the answer.
    CutAfter,
    /// Passes the request on, and never answers.
    Silent,
}

const FAULTS: [Fault; 6] = [
    Fault::Slow,
    Fault::TooMany,
    Fault::Broken,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::Silent,
];

/// A running proxy, for as long as it is kept.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    pub(crate) port: u16,
    /// The certificate that its clients have to trust, in PEM.
    pub(crate) certificate: String,
}

struct Shared {
    stop: AtomicBool,
    /// When it begins to behave.
    calm: Instant,
    random: Mutex<Random>,
    /// How often it has done each of [`FAULTS`].
    done: [AtomicUsize; FAULTS.len()],
    towards: u16,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Proxy {
    /// Starts one before the server at port `towards`, whose certificate is in
    /// the file `authority`. It misbehaves for some time.
    pub(crate) fn start(
        towards: u16,
        authority: &Path,
        seed: u64,
        misbehaves: Duration,
    ) -> Result<Self, Failed> {
        let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes())?;
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority)? {
            roots.add(certificate?)?;
        }
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            calm: Instant::now() + misbehaves,
            random: Mutex::new(Random::new(seed)),
            done: Default::default(),
            towards,
            server: Arc::new(server),
            client: Arc::new(client),
        });
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self {
            shared,
            port,
            certificate: own.cert.pem(),
        })
    }

    /// How often it has done what.
    pub(crate) fn done(&self) -> Vec<(Fault, usize)> {
        let counts = self.shared.done.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        FAULTS.into_iter().zip(counts).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // It looks up when somebody comes.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        let shared = Arc::clone(shared);
        // What fails here is what the gateway has to live with.
        std::thread::spawn(move || shared.serve(stream).is_some());
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(FOR_EVER)).ok()?;
        let mut tls = ServerConnection::new(Arc::clone(&self.server)).ok()?;
        let mut caller = Stream::new(&mut tls, &mut stream);
        let request = read_request(&mut caller)?;
        let answer = match self.draw(&request) {
            None => self.pass_on(&request)?,
            Some(Fault::Slow) => {
                let time = self.random.lock().ok()?.between(100, 1_500);
                std::thread::sleep(Duration::from_millis(time));
                self.pass_on(&request)?
            }
            Some(Fault::TooMany) => status(429, "TooManyRequests", "Retry-After: 1\r\n"),
            Some(Fault::Broken) => status(500, "InternalError", ""),
            Some(Fault::CutBefore) => return None,
            Some(Fault::CutAfter) => {
                let answer = self.pass_on(&request)?;
                caller.write_all(&answer[..answer.len() / 2]).ok()?;
                return None;
            }
            Some(Fault::Silent) => {
                self.pass_on(&request)?;
                std::thread::sleep(FOR_EVER);
                return None;
            }
        };
        caller.write_all(&answer).ok()?;
        tls.send_close_notify();
        tls.complete_io(&mut stream).ok()?;
        Some(())
    }

    /// What to do with a request. Only what concerns objects is touched.
    fn draw(&self, request: &str) -> Option<Fault> {
        let line = request.lines().next()?;
        if !line.contains("/configmaps") || Instant::now() > self.calm {
            return None;
        }
        let mut random = self.random.lock().ok()?;
        let at = match random.between(0, 100) {
            0..10 => 0,
            10..17 => 1,
            17..24 => 2,
            24..31 => 3,
            31..40 => 4,
            // Twice is enough: each takes as long as the gateway waits.
            40..45 if self.done[5].load(Ordering::Relaxed) < 2 => 5,
            _ => return None,
        };
        self.done[at].fetch_add(1, Ordering::Relaxed);
        Some(FAULTS[at])
    }

    /// Has the API server answer.
    fn pass_on(&self, request: &str) -> Option<Vec<u8>> {
        let name = ServerName::try_from("127.0.0.1").ok()?;
        let mut tls = ClientConnection::new(Arc::clone(&self.client), name).ok()?;
        let mut stream = TcpStream::connect(("127.0.0.1", self.towards)).ok()?;
        stream.set_read_timeout(Some(FOR_EVER)).ok()?;
        let mut server = Stream::new(&mut tls, &mut stream);
        let closing = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        server.write_all(closing.as_bytes()).ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).ok()?;
        (!answer.is_empty()).then_some(answer)
    }
}

/// A whole request: its head, and as much body as that says.
fn read_request(caller: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        match caller.read(&mut buffer).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// An answer as the API server words it.
fn status(code: u16, reason: &str, header: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"{reason}","message":"not now","code":{code}}}"#
    );
    format!(
        "HTTP/1.1 {code} {reason}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         {header}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
