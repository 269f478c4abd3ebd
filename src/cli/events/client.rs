//! Asks a running gateway.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use axum::http::{Method, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;

use crate::outbound::{Client, Guard};

/// What the gateway does not do, in its words.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({code})")]
pub(super) struct Refused {
    status: StatusCode,
    code: String,
    message: String,
}

impl Refused {
    /// Whether the question was wrong, and not what it was asked of.
    pub(super) fn is_misunderstood(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST
    }
}

/// A gateway's admin port.
pub(super) struct AdminClient {
    http: Client,
    base: String,
    token: Option<String>,
}

impl AdminClient {
    pub(super) fn new(admin: &str, token_file: Option<&Path>) -> Result<Self> {
        let url = match admin.contains("://") {
            true => admin.to_owned(),
            false => format!("http://{admin}"),
        };
        let parsed: Uri = url
            .parse()
            .with_context(|| format!("--admin: `{admin}` is no URL"))?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            bail!("--admin: `{admin}` is no URL such as http://127.0.0.1:9000");
        };
        let token = token_file.map(|path| {
            let shown = path.display();
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("--token-file {shown}"))?;
            ensure!(!text.trim().is_empty(), "--token-file {shown} is empty");
            Ok(text.trim().to_owned())
        });
        Ok(Self {
            http: Client::new(Guard::default()),
            base: format!("{scheme}://{authority}"),
            token: token.transpose()?,
        })
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value> {
        let mut parameters = form_urlencoded::Serializer::new(String::new());
        parameters.extend_pairs(query);
        let parameters = parameters.finish();
        let mark = if parameters.is_empty() { "" } else { "?" };
        self.ask(
            Method::GET,
            &format!("{path}{mark}{parameters}"),
            Bytes::new(),
        )
        .await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(Method::POST, path, body.to_string().into()).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Value> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(body))
            .with_context(|| format!("`{path}` cannot be asked for"))?;
        let response = self.http.send(request).await.with_context(|| {
            format!(
                "no gateway answers on {}; start one with `tripline serve`, or name its admin port with --admin URL",
                self.base
            )
        })?;
        let status = response.status();
        let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if status.is_success() && !answer.is_null() {
            return Ok(answer);
        }
        let error = &answer["error"];
        let (Some(code), Some(message)) = (error["code"].as_str(), error["message"].as_str())
        else {
            bail!(
                "{} answers with status {status}, and not as the admin port of a gateway does; is it another port?",
                self.base
            );
        };
        let hint = match status {
            StatusCode::UNAUTHORIZED => "; give the token with --token-file",
            _ => "",
        };
        Err(Refused {
            status,
            code: code.to_owned(),
            message: format!("{message}{hint}"),
        }
        .into())
    }
}
