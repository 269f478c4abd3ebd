//! Where the gateway itself goes, and how much it takes from there.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::Request;
use tripline::outbound::{Client, Guard, Http, OutboundError, Outgoing, Reach};

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
