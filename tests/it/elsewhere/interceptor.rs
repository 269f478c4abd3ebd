//! An interceptor on a port of this machine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

/// An interceptor: what it answers, and what it was asked.
pub(super) struct Elsewhere {
    pub(super) address: SocketAddr,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<Vec<(u16, String)>>,
    asked: Mutex<Vec<(HeaderMap, String)>>,
}

impl Elsewhere {
    /// One that gives these answers, the last one again and again.
    pub(super) async fn start(answers: &[(u16, Value)]) -> Self {
        Self::start_at("127.0.0.1:0", answers).await
    }

    pub(super) async fn start_at(address: &str, answers: &[(u16, Value)]) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = answers
            .iter()
            .map(|(status, body)| (*status, body.to_string()));
        let state = Arc::new(Shared {
            answers: Mutex::new(answers.rev().collect()),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .route("/", post(answer))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(super) fn asked(&self) -> Vec<(HeaderMap, String)> {
        self.state.asked.lock().unwrap().clone()
    }

    /// The manifest of a ClusterInterceptor that leads here.
    pub(super) fn manifest(&self, name: &str) -> String {
        manifest(name, self.address)
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 2], String) {
    let asked = String::from_utf8_lossy(&body).into_owned();
    shared.asked.lock().unwrap().push((headers, asked));
    let mut answers = shared.answers.lock().unwrap();
    let (status, body) = match answers.len() {
        1 => answers[0].clone(),
        _ => answers.pop().unwrap(),
    };
    let status = StatusCode::from_u16(status).unwrap();
    let again = if status == 429 { "120" } else { "" };
    (
        status,
        [("x-from", "elsewhere"), ("retry-after", again)],
        body,
    )
}

pub(super) fn manifest(name: &str, address: SocketAddr) -> String {
    format!(
        "---\napiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {{name: {name}}}\nspec: {{clientConfig: {{url: 'http://{address}/'}}}}\n"
    )
}
