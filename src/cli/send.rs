//! `tripline send`: a recorded request, signed anew.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::unix_ms;
use crate::model::event::RawEvent;
use crate::model::headers::Headers;
use crate::outbound::{Client, Guard};
use crate::verify::{Scheme, registry};

use super::gateway::block_on;
use super::{print, recorded, say};

/// Flags of `send`.
#[derive(clap::Args)]
pub(super) struct SendArgs {
    /// The recorded request
    #[arg(value_name = "FILE.http")]
    file: PathBuf,
    /// Where it is sent; a path in the URL replaces the request's own
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    to: String,
    /// Whose webhook it is [default: as its headers and body say]
    #[arg(long, value_name = "SENDER")]
    provider: Option<String>,
    /// The secret that it is signed with; @FILE reads it from a file [default:
    /// the recorded proof is sent as it is]
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// Keep the recorded delivery id
    #[arg(long)]
    same_id: bool,
}

/// Sends a recorded request. Its status is 0 where the answer is 2xx.
pub(super) fn send(args: SendArgs) -> ExitCode {
    block_on(async move {
        let mut event = recorded::read(&args.file)?;
        let provider = match &args.provider {
            Some(name) => {
                let known = registry::scheme(name).is_some();
                ensure!(known, "`{name}` is no sender; there are {}", senders());
                Some(name.as_str())
            }
            None => provider_of(&event),
        };
        if !args.same_id {
            freshen(&mut event);
        }
        if let Some(secret) = &args.secret {
            let scheme = provider.and_then(registry::scheme).with_context(|| {
                format!(
                    "nobody can tell whose webhook this is; say so with --provider {}",
                    senders()
                )
            })?;
            sign(&mut event, scheme, &read_secret(secret)?)?;
        }
        let response = post(&Client::new(Guard::default()), event, &args.to).await?;
        say(&format!("{}", response.status()));
        print(&String::from_utf8_lossy(response.body()));
        Ok(ExitCode::from(u8::from(!response.status().is_success())))
    })
}

fn senders() -> String {
    let names: Vec<&str> = registry::senders().map(|sender| sender.name).collect();
    names.join("|")
}

/// Whose webhook a request is.
pub(super) fn provider_of(event: &RawEvent) -> Option<&'static str> {
    let body: Value = serde_json::from_slice(&event.body).unwrap_or_default();
    let mut senders = registry::senders();
    let sender = senders.find(|sender| (sender.recognises)(&event.headers, Some(&body)))?;
    Some(sender.name)
}

/// Gives a request a delivery id of its own, so that it is not taken for the
/// recorded one. A sender without ids gets another time into its body.
pub(super) fn freshen(event: &mut RawEvent) {
    const DELIVERY_HEADERS: [&str; 8] = [
        "X-Github-Delivery",
        "X-Request-Uuid",
        "X-Request-Id",
        "Idempotency-Key",
        "Webhook-Id",
        "X-Gitlab-Event-Uuid",
        "X-Gitlab-Webhook-Uuid",
        "Ce-Id",
    ];
    for name in DELIVERY_HEADERS {
        if event.headers.get(name).is_some() {
            replace(&mut event.headers, name, Uuid::new_v4().to_string());
        }
    }
    let Ok(Value::Object(mut body)) = serde_json::from_slice(&event.body) else {
        return;
    };
    if body.contains_key("specversion") && body.contains_key("id") {
        body.insert("id".into(), json!(Uuid::new_v4()));
        event.body = Value::Object(body).to_string().into();
    } else if body.contains_key("occur_at") && body.contains_key("event_data") {
        body.insert("occur_at".into(), json!(unix_ms() / 1000));
        event.body = format!("{}{}", Value::Object(body), unlike_any_other()).into();
    }
}

/// White space that no other body ends with. Harbor's deliveries are known by
/// their bytes, and its times have seconds only.
fn unlike_any_other() -> String {
    let drawn = Uuid::new_v4().as_u128();
    let bit = |index: u32| if drawn >> index & 1 == 0 { ' ' } else { '\t' };
    (0..48).map(bit).collect()
}

/// Signs a request.
pub(super) fn sign(event: &mut RawEvent, scheme: &Scheme, secret: &[u8]) -> Result<()> {
    let signed = scheme.sign(secret, &event.body, unix_ms());
    for (header, value) in signed.context("the secret is no text that a header can hold")? {
        replace(&mut event.headers, header, value);
    }
    Ok(())
}

/// Posts a request to `to`.
pub(super) async fn post(client: &Client, event: RawEvent, to: &str) -> Result<Response<Bytes>> {
    let base: Uri = to.parse().with_context(|| format!("`{to}` is no URL"))?;
    let (Some(scheme), Some(authority)) = (base.scheme_str(), base.authority()) else {
        bail!("`{to}` is no URL such as http://127.0.0.1:8080");
    };
    let target = match base.path_and_query().map(|given| given.as_str()) {
        Some(given) if given != "/" => given.to_owned(),
        _ => event.url.clone(),
    };
    let mut request = Request::builder()
        .method(event.method.as_str())
        .uri(format!("{scheme}://{authority}{target}"));
    for (name, values) in event.headers.iter() {
        // The client writes its own.
        if ["Content-Length", "Connection", "Transfer-Encoding"].contains(&name) {
            continue;
        }
        for value in values {
            request = request.header(name, value);
        }
    }
    let request = request
        .body(Full::new(event.body))
        .context("the request cannot be sent as it is recorded")?;
    client.send(request).await.with_context(|| to.to_owned())
}

fn replace(headers: &mut Headers, name: &str, value: String) {
    headers.remove(name);
    headers.append(name, value);
}

fn read_secret(given: &str) -> Result<Vec<u8>> {
    match given.strip_prefix('@') {
        None => Ok(given.as_bytes().to_vec()),
        Some(path) => {
            let text = std::fs::read(path).with_context(|| path.to_owned())?;
            let line = text.strip_suffix(b"\n");
            let line = line.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
            Ok(line.map(<[u8]>::to_vec).unwrap_or(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::BodyRule;

    fn event(headers: &[(&str, &str)], body: &'static str) -> RawEvent {
        let mut map = Headers::new();
        for (name, value) in headers {
            map.append(name, *value);
        }
        RawEvent {
            method: "POST".into(),
            url: "/".into(),
            headers: map,
            body: body.into(),
            rule: BodyRule::default(),
        }
    }

    #[test]
    fn a_sender_is_told_by_headers_or_body() {
        let github = event(&[("X-GitHub-Event", "push")], "{}");
        assert_eq!(provider_of(&github), Some("github"));
        let harbor = event(&[], r#"{"type":"PUSH_ARTIFACT","event_data":{}}"#);
        assert_eq!(provider_of(&harbor), Some("harbor"));
        assert_eq!(provider_of(&event(&[], "x")), None);
    }

    #[test]
    fn a_fresh_request_is_no_repetition() {
        let recorded = event(
            &[("X-GitHub-Delivery", "1"), ("X-GitHub-Event", "push")],
            "{}",
        );
        let mut fresh = recorded.clone();
        freshen(&mut fresh);
        assert_ne!(fresh.headers.get("X-GitHub-Delivery"), Some("1"));
        assert_eq!(fresh.body, recorded.body);

        let recorded = event(
            &[],
            r#"{"type":"PUSH_ARTIFACT","occur_at":1,"event_data":{}}"#,
        );
        let (mut one, mut two) = (recorded.clone(), recorded);
        freshen(&mut one);
        freshen(&mut two);
        assert_ne!(one.body, two.body);
    }
}
