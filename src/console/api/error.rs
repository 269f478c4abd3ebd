//! Errors of the API: a status, a stable code, a sentence.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::journal::JournalError;
use crate::worker::replay::ReplayError;

/// Why a request is not answered as it was meant.
#[derive(Debug)]
pub(in crate::console) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    pub(in crate::console) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// A parameter that cannot be used.
    pub(super) fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        let message = format!("{name}: {message}");
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message)
    }

    /// Something that there is not.
    pub(super) fn not_found(what: impl std::fmt::Display) -> Self {
        let message = format!("there is no {what} in the journal");
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Something that cannot be done to what there is.
    pub(super) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// As it stands in an answer that has more than one result.
    pub(super) fn as_value(&self) -> Value {
        json!({ "code": self.code, "message": self.message })
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Cursor => Self::parameter("cursor", error),
            JournalError::LogInUse => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "log_in_use",
                error.to_string(),
            ),
            JournalError::Record { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "record_unreadable",
                error.to_string(),
            ),
            _ => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "journal_unavailable",
                error.to_string(),
            ),
        }
    }
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        let message = error.to_string();
        match error {
            ReplayError::Journal(error) => error.into(),
            ReplayError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, "not_found", message),
            ReplayError::Erased(_) => Self::conflict("erased", message),
            ReplayError::ListenerGone(_) => Self::conflict("listener_gone", message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.as_value() });
        respond(self.status, &body)
    }
}

/// An answer.
pub(in crate::console) fn respond(status: StatusCode, body: &Value) -> Response {
    let json = [(CONTENT_TYPE, "application/json")];
    (status, json, format!("{body}\n")).into_response()
}
