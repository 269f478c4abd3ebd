//! What is posted: a JSON object, bounded in size and time.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Bytes of a body, and how long it may take.
const LARGEST: usize = 256 * 1024;
const WITHIN: Duration = Duration::from_secs(10);

/// Reads the object that is posted; nothing at all is an empty one.
///
/// Pages of other hosts can make a browser post forms and text here, and never
/// JSON: it asks before that, and gets no leave.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "post JSON, and say so: Content-Type: application/json",
        ));
    }
    let bytes = bytes(body).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let name = if path == "." { "the body" } else { &path };
        ApiError::parameter(name, error.inner())
    })?;
    reader
        .end()
        .map_err(|error| ApiError::parameter("the body", error))?;
    Ok(read)
}

async fn bytes(body: Body) -> Result<bytes::Bytes, ApiError> {
    match tokio::time::timeout(WITHIN, to_bytes(body, LARGEST)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {LARGEST} bytes, or broke off"),
        )),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            "the body did not arrive in time",
        )),
    }
}
