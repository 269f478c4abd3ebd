//! Where the gateway itself goes, and how much it takes from there.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::Request;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tripline::outbound::{Client, Guard, Http, OutboundError, Outgoing, Proxy, Reach};

async fn server() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let large = || async { vec![b'x'; 9 * 1024 * 1024] };
    let slow = || async { tokio::time::sleep(Duration::from_secs(60)).await };
    let router = Router::new()
        .route("/", any(|| async { "hello" }))
        .route("/large", any(large))
        .route("/slow", any(slow))
        .route(
            "/away",
            any(|| async { axum::response::Redirect::temporary("http://169.254.169.254/") }),
        );
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn get(client: &Client, url: &str, reach: Reach) -> Result<(u16, Bytes), OutboundError> {
    let outgoing = Outgoing {
        request: Request::get(url).body(Bytes::new()).unwrap(),
        reach,
        ca_bundle: String::new(),
        within: Duration::from_millis(500),
    };
    let response = Http::send(client, outgoing).await?;
    Ok((response.status().as_u16(), response.into_body()))
}

#[tokio::test]
async fn what_tenants_name_leads_nowhere_inside_by_address_or_by_name() {
    let (client, port) = (Client::new(Guard::default()), server().await.port());
    for host in [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "2130706433",
    ] {
        let url = format!("http://{host}:{port}/");
        let got = get(&client, &url, Reach::Guarded).await;
        assert!(
            matches!(got, Err(OutboundError::Forbidden(_))),
            "{url}: {got:?}"
        );
        assert!(!got.unwrap_err().may_pass(), "nobody tries that again");
    }
    let url = format!("http://localhost:{port}/");
    let (status, body) = get(&client, &url, Reach::Configured).await.unwrap();
    assert_eq!((status, &body[..]), (200, &b"hello"[..]));
    let listed = Client::new(Guard::new(&["127.0.0.0/8".into()]).unwrap());
    let url = format!("http://127.0.0.1:{port}/");
    assert!(get(&listed, &url, Reach::Guarded).await.is_ok());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (client, port) = (Client::new(Guard::default()), server().await.port());
    let url = format!("http://127.0.0.1:{port}/away");
    let (status, _) = get(&client, &url, Reach::Configured).await.unwrap();
    assert_eq!(status, 307);
}

#[tokio::test]
async fn answers_are_bounded_in_size_and_time() {
    let (client, port) = (Client::new(Guard::default()), server().await.port());
    let large = format!("http://127.0.0.1:{port}/large");
    let outgoing = Outgoing {
        request: Request::get(&large).body(Bytes::new()).unwrap(),
        reach: Reach::Configured,
        ca_bundle: String::new(),
        within: Duration::from_secs(30),
    };
    let got = Http::send(&client, outgoing).await;
    assert!(matches!(got, Err(OutboundError::TooLarge)), "{got:?}");
    let slow = format!("http://127.0.0.1:{port}/slow");
    let got = get(&client, &slow, Reach::Configured).await;
    assert!(matches!(got, Err(OutboundError::Timeout(_))), "{got:?}");
}

/// A server over TLS for `api.outside.test`, which says hello once.
fn secured() -> (SocketAddr, String) {
    let named = ["api.outside.test".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(named).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        stream.write_all(response).unwrap();
        stream.flush().unwrap();
        let _ = stream.read(&mut request);
    });
    (address, cert.pem())
}

/// An HTTP proxy that leads everybody to `to`, and what it was asked for.
async fn proxy(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            shared.lock().unwrap().push(head);
            let mut there = tokio::net::TcpStream::connect(to).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut socket, &mut there).await;
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn what_is_outside_is_reached_through_the_proxy() {
    let (there, certificate) = secured();
    let (door, asked) = proxy(there).await;
    let door = Proxy::new(&format!("http://wile:acme@{door}"), &[]).unwrap();
    let client = Client::through(Guard::default(), Some(door));
    let outgoing = |url: &str| Outgoing {
        request: Request::get(url).body(Bytes::new()).unwrap(),
        reach: Reach::Guarded,
        ca_bundle: certificate.clone(),
        within: Duration::from_secs(20),
    };
    let response = Http::send(&client, outgoing("https://api.outside.test/x")).await;
    assert_eq!(response.unwrap().body(), "hello");
    let heads = asked.lock().unwrap().clone();
    let [head] = &heads[..] else {
        panic!("{heads:?}");
    };
    assert!(
        head.starts_with("CONNECT api.outside.test:443 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains("proxy-authorization: basic d2lsztphy21l"),
        "{head}"
    );
    // What is inside is as forbidden as it is without one.
    for url in [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://localhost/",
    ] {
        let got = Http::send(&client, outgoing(url)).await;
        assert!(
            matches!(got, Err(OutboundError::Forbidden(_))),
            "{url}: {got:?}"
        );
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_bundle_that_holds_no_certificate_is_told() {
    let client = Client::new(Guard::default());
    let outgoing = Outgoing {
        request: Request::get("https://127.0.0.1:1/")
            .body(Bytes::new())
            .unwrap(),
        reach: Reach::Configured,
        ca_bundle: "foo".into(),
        within: Duration::from_secs(1),
    };
    let got = Http::send(&client, outgoing).await;
    assert!(matches!(got, Err(OutboundError::CaBundle(_))), "{got:?}");
}
