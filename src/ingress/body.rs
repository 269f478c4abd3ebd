//! The only reader of bodies from strangers.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::model::verdict::Reason;

use super::budget::{Budget, Share};
use super::limits::{ANNOUNCED_AT_MOST, LINGER_BYTES, LINGER_TIME, Limits};

/// A body, and the part of the budget that it takes up.
#[derive(Debug)]
pub(super) struct Received {
    pub bytes: Bytes,
    pub share: Share,
}

/// Reads the whole body, or says why not. Nothing is read of a body that is
/// known to be too large from its head.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limits: &Limits,
    budget: &Budget,
) -> Result<Received, Reason> {
    let received = receive(headers, &mut body, limits, budget).await;
    // Who asks first has not sent anything yet.
    let asks_first = headers.contains_key(EXPECT);
    if received
        .as_ref()
        .is_err_and(|reason| *reason != Reason::BodyTimeout)
        && !asks_first
    {
        linger(body);
    }
    received
}

async fn receive(
    headers: &HeaderMap,
    body: &mut Body,
    limits: &Limits,
    budget: &Budget,
) -> Result<Received, Reason> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.as_bytes());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Reason::EncodingUnsupported);
    }
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body) {
        return Err(Reason::BodyTooLarge);
    }
    let deadline = Instant::now() + limits.body_time;
    let mut share = Share::default();
    let mut parts = Parts::default();
    loop {
        let frame = timeout_at(deadline, body.frame())
            .await
            .map_err(|_| Reason::BodyTimeout)?;
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|_| Reason::BodyIncomplete)?;
        // Trailers say nothing that anybody asks for.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = parts.len() + data.len();
        if length > limits.body {
            return Err(Reason::BodyTooLarge);
        }
        if !budget.extend(&mut share, length) {
            return Err(Reason::Overloaded);
        }
        parts.push(data, announced.unwrap_or(length));
    }
    Ok(Received {
        bytes: parts.finish(),
        share,
    })
}

/// Frames of a body. One alone is kept as it is.
#[derive(Default)]
enum Parts {
    #[default]
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Parts {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, data: Bytes, announced: usize) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(data),
            Self::One(first) => {
                // What was announced has not been paid for: no more than a little of it.
                let capacity = announced
                    .min(ANNOUNCED_AT_MOST)
                    .max(first.len() + data.len());
                let mut all = BytesMut::with_capacity(capacity);
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                Self::Many(all)
            }
            Self::Many(mut all) => {
                all.extend_from_slice(&data);
                Self::Many(all)
            }
        };
    }

    fn finish(self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

/// Reads on and throws away, within bounds, while the answer is on its way.
#[expect(
    clippy::disallowed_methods,
    reason = "bounded by LINGER_TIME and ended with its connection"
)]
fn linger(mut body: Body) {
    tokio::spawn(async move {
        let deadline = Instant::now() + LINGER_TIME;
        let mut left = LINGER_BYTES;
        while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            left = match left.checked_sub(length) {
                Some(left) => left,
                None => return,
            };
        }
    });
}
