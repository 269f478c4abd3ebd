//! Ports that speak TLS: who may connect, and what changes while they run.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tripline::config::{Config, TlsConfig};

use crate::support::{
    Gateway, PATIENCE, PUSH, PUSH_SECRET, Response, SECRET, connect, github_signature,
    read_response, try_start,
};

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// Writes a pair for `localhost` into a folder; gives the certificate.
fn write_pair(folder: &Path) -> String {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("tls.crt"), cert.pem()).unwrap();
    fs::write(folder.join("tls.key"), signing_key.serialize_pem()).unwrap();
    cert.pem()
}

fn files(folder: &Path) -> TlsConfig {
    TlsConfig {
        cert: Some(folder.join("tls.crt")),
        key: Some(folder.join("tls.key")),
    }
}

/// Shakes hands with somebody whom `trusted` vouches for.
fn shake(address: SocketAddr, trusted: &str, protocols: &[&[u8]]) -> std::io::Result<Secured> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, connect(address));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn exchange(stream: &mut Secured, head: &str, body: &[u8]) -> Response {
    let length = body.len();
    let head = format!("{head}Host: localhost\r\nContent-Length: {length}\r\n\r\n");
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    Response::parse(&read_response(stream))
}

fn push(stream: &mut Secured, delivery: &str) -> Response {
    let body = br#"{"after": "1234"}"#;
    let signature = github_signature(SECRET, body);
    let head = format!(
        "POST /default/hook HTTP/1.1\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n\
         X-GitHub-Delivery: {delivery}\r\nX-Hub-Signature-256: {signature}\r\n"
    );
    exchange(stream, &head, body)
}

async fn secured(folder: &Path, set: impl FnOnce(&mut Config)) -> Gateway {
    let triggers = [("push.yaml", PUSH), ("secret.yaml", PUSH_SECRET)];
    Gateway::start_with(&triggers, |config| {
        config.ingress.tls = files(folder);
        set(config);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = write_pair(folder.path());
    let gateway = secured(folder.path(), |_| {}).await;
    let address = gateway.app.ingress;
    let mut stream = shake(address, &trusted, &[b"h2", b"http/1.1"]).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(push(&mut stream, "one").verdict(), "matched");
    // The connection goes on, and who names no protocol is served too.
    assert_eq!(push(&mut stream, "two").status, 202);
    let mut plain = shake(address, &trusted, &[]).unwrap();
    assert_eq!(push(&mut plain, "three").status, 202);
    gateway.wait_for_objects(3).await;
    assert!(gateway.app.drain(true).await, "open connections end");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_shake_hands_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = write_pair(folder.path());
    let gateway = secured(folder.path(), |config| {
        config.ingress.tls = files(folder.path());
        config.limits.head_time = Duration::from_millis(500);
    })
    .await;
    let address = gateway.app.ingress;
    assert!(shake(address, &trusted, &[b"h2"]).is_err(), "only h2");
    let stranger = tempfile::tempdir().unwrap();
    assert!(shake(address, &write_pair(stranger.path()), &[]).is_err());
    let mut clear = connect(address);
    let _ = clear.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = Vec::new();
    let _ = clear.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"));
    let (mut silent, began) = (connect(address), Instant::now());
    let _ = silent.read_to_end(&mut Vec::new());
    assert!(began.elapsed() < PATIENCE, "it is cut off");
    // One that waits for its turn does not keep the gateway from stopping.
    let _waiting = connect(address);
    assert!(gateway.app.drain(true).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_in_force_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path();
    // As Kubernetes mounts a Secret: files lead to a folder that is swapped.
    let version = |name: &str| {
        let path = mount.join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let swap = |name: &str| {
        std::os::unix::fs::symlink(name, mount.join("..tmp")).unwrap();
        fs::rename(mount.join("..tmp"), mount.join("..data")).unwrap();
    };
    let first = write_pair(&version("v1"));
    swap("v1");
    for file in ["tls.crt", "tls.key"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), mount.join(file)).unwrap();
    }
    let gateway = secured(mount, |_| {}).await;
    let address = gateway.app.ingress;
    let mut old = shake(address, &first, &[]).unwrap();
    assert_eq!(push(&mut old, "old").status, 202);

    let bad = version("v2");
    write_pair(&bad);
    fs::write(bad.join("tls.key"), "no key").unwrap();
    swap("v2");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(shake(address, &first, &[]).is_ok(), "the old one stays");

    let second = write_pair(&version("v3"));
    swap("v3");
    let began = Instant::now();
    while shake(address, &second, &[]).is_err() {
        assert!(began.elapsed() < PATIENCE, "the new one does not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(shake(address, &first, &[]).is_err(), "the old one is gone");
    assert_eq!(push(&mut old, "still").status, 202, "connections go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_first_pair_is_an_error_that_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    write_pair(folder.path());
    write_pair(other.path());
    let key = folder.path().join("tls.key");
    for (text, expected) in [
        (Some("no key".to_owned()), "holds no private key in PEM"),
        (None, "cannot read"),
        (
            Some(fs::read_to_string(other.path().join("tls.key")).unwrap()),
            "are no certificate with its key",
        ),
    ] {
        match text {
            Some(text) => fs::write(&key, text).unwrap(),
            None => fs::remove_file(&key).unwrap(),
        }
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("triggers")).unwrap();
        let started = try_start(home.path(), |config| {
            config.ingress.tls = files(folder.path());
        });
        let error = format!("{:#}", started.await.err().expect("it does not start"));
        assert!(error.starts_with("ingress.tls: "), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("tls.key"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_gets_its_answers() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = write_pair(folder.path());
    let gateway = Gateway::start_with(&[("push.yaml", PUSH)], |config| {
        config.webhook.listen = Some("127.0.0.1:0".into());
        config.webhook.tls = files(folder.path());
    })
    .await;
    let address = gateway.app.webhook.expect("there is a webhook");
    let mut stream = shake(address, &trusted, &[b"h2", b"http/1.1"]).unwrap();
    let mut ask = |path: &str, body: &[u8]| {
        let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n");
        exchange(&mut stream, &head, body)
    };
    let review = |object: Value| {
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {"uid": "u-7", "operation": "CREATE", "object": object},
        })
        .to_string()
    };
    let binding = json!({
        "apiVersion": "triggers.tekton.dev/v1beta1",
        "kind": "TriggerBinding",
        "metadata": {"name": "b"},
        "spec": {"params": [{"name": "p", "value": "$($(x))"}]},
    });
    let answer = ask(
        "/resource-validation?timeout=10s",
        review(binding.clone()).as_bytes(),
    )
    .json();
    assert_eq!(answer["response"]["uid"], "u-7");
    assert_eq!(answer["response"]["allowed"], false);
    assert_eq!(
        answer["response"]["status"]["message"],
        "validation failed: invalid value: $($(x)): spec.params[0].value"
    );
    let answer = ask("/defaulting", review(binding).as_bytes()).json();
    assert_eq!(answer["response"]["allowed"], true);
    for (body, status) in [
        (&b"{"[..], 400),
        (b"[]", 400),
        (
            b"{\"kind\": \"AdmissionReview\", \"apiVersion\": \"admission.k8s.io/v1\"}",
            400,
        ),
    ] {
        assert_eq!(ask("/defaulting", body).status, status);
    }
    let deep = "[".repeat(100_000);
    assert_eq!(ask("/defaulting", deep.as_bytes()).status, 400);
    assert_eq!(ask("/", b"").status, 404);
    let large = vec![b' '; 9 * 1024 * 1024];
    let mut stream = shake(address, &trusted, &[]).unwrap();
    let refused = exchange(&mut stream, "POST /defaulting HTTP/1.1\r\n", &large);
    assert_eq!(refused.status, 413);
    let mut stream = shake(address, &trusted, &[]).unwrap();
    assert_eq!(
        exchange(&mut stream, "GET /defaulting HTTP/1.1\r\n", b"").status,
        405
    );
    assert!(gateway.app.drain(true).await);
}
