//! What stands for the outside world in recorded cases: endpoints that answer,
//! and everything that was asked of them.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use serde_json::{Map, Value, json};
use tripline::catalog::{Loaded, Loader, SourceFile};
use tripline::outbound::{Http, OutboundError, Outgoing, Sent};
use tripline::secrets::{SecretSet, SecretStore};
use tripline::worker::Caller;

/// The only endpoints outside that answer.
#[derive(Default)]
pub(crate) struct Stubs {
    stubs: Vec<Value>,
    asked: Mutex<Vec<Value>>,
}

impl Stubs {
    /// The endpoints of a case.
    pub(crate) fn of(input: &Value) -> Arc<Self> {
        let stubs = input["http_stubs"].as_array().cloned();
        Arc::new(Self {
            stubs: stubs.unwrap_or_default(),
            asked: Mutex::default(),
        })
    }

    /// Whoever asks them.
    pub(crate) fn caller(self: &Arc<Self>) -> Caller {
        Caller::new(Arc::clone(self) as Arc<dyn Http>, Vec::new())
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked
            .lock()
            .map(|asked| asked.clone())
            .unwrap_or_default()
    }

    fn answer(&self, outgoing: &Outgoing) -> Option<Response<Bytes>> {
        let request = &outgoing.request;
        let (method, url) = (request.method().as_str(), request.uri().to_string());
        let plain = |url: &str| url.trim_end_matches('/').replace(":80/", "/");
        let stub = self.stubs.iter().find(|stub| {
            stub["method"].as_str().unwrap_or(method) == method
                && stub["url"]
                    .as_str()
                    .is_some_and(|stub| plain(stub) == plain(&url))
        })?;
        let status = stub["status"].as_u64().unwrap_or(200);
        let mut response = Response::builder().status(u16::try_from(status).ok()?);
        if stub["echo"] == true {
            for (name, value) in request.headers() {
                response = response.header(name, value);
            }
            return response.body(request.body().clone()).ok();
        }
        for (name, values) in stub["headers"].as_object().into_iter().flatten() {
            for value in values.as_array().into_iter().flatten() {
                let name: HeaderName = name.parse().ok()?;
                response = response.header(name, HeaderValue::from_str(value.as_str()?).ok()?);
            }
        }
        let body = stub["body"].as_str().unwrap_or_default();
        response.body(Bytes::copy_from_slice(body.as_bytes())).ok()
    }
}

impl Http for Stubs {
    fn send(&self, outgoing: Outgoing) -> Sent<'_> {
        let request = &outgoing.request;
        let mut headers = Map::new();
        for (name, value) in request.headers() {
            let value = json!(value.to_str().unwrap_or_default());
            let values = headers.entry(name.as_str()).or_insert_with(|| json!([]));
            if let Some(values) = values.as_array_mut() {
                values.push(value);
            }
        }
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let asked = json!({
            "method": request.method().as_str(),
            "url": request.uri().to_string(),
            "headers": headers,
            "body": body,
        });
        if let Ok(mut all) = self.asked.lock() {
            all.push(asked);
        }
        let answer = self.answer(&outgoing);
        let answer = answer.ok_or_else(|| OutboundError::Exchange("nobody answers".into()));
        Box::pin(std::future::ready(answer))
    }
}

/// Manifests as files, one each.
pub(crate) fn files(manifests: &[Value]) -> Vec<SourceFile> {
    let manifests = manifests.iter().enumerate();
    manifests
        .map(|(index, manifest)| SourceFile {
            name: format!("{index}.yaml"),
            text: manifest.to_string(),
        })
        .collect()
}

/// Loads manifests, and their Secrets.
pub(crate) fn load(files: Vec<SourceFile>) -> (Loaded, Arc<SecretStore>) {
    let loaded = Loader::default().load(&files.into());
    let mut secrets = SecretSet::default();
    secrets.add_objects(&loaded.objects, &SecretSet::default());
    let store = SecretStore::new();
    store.replace(secrets);
    (loaded, store)
}

/// Runs something asynchronous that never waits for the outside.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    futures_util::FutureExt::now_or_never(future).expect("stubs answer at once")
}
