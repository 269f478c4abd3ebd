//! Records in streams: written whole, read whole, however large.
//!
//! A server takes messages up to a size, one mebibyte unless somebody has set
//! another. What is larger is written in parts, and last the record that tells
//! how many there are: without that one nobody looks for them.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, HeaderMap};
use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use crate::journal::JournalError;

use super::streams::{Kind, Names};

/// Says of a record in how many parts beside itself it was written.
const PARTS: &str = "Tripline-Parts";

/// Says under which name.
const PARTS_NAME: &str = "Tripline-Parts-Name";

/// What of a message the server's limit also counts besides the payload.
const HEADERS: usize = 16 * 1024;

/// How long the server may take for anything.
const WITHIN: Duration = Duration::from_secs(5);

/// An error of the server.
pub(super) fn remote(message: impl Into<String>) -> JournalError {
    JournalError::Remote(message.into())
}

/// A record as it lies in its stream.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Its number in the stream.
    pub sequence: u64,
    /// All of it.
    pub payload: Bytes,
    /// Where its parts lie, if it has any.
    pub parts: Option<Parts>,
}

/// Where parts of a record lie.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    kind: Kind,
    name: String,
    count: usize,
}

/// What the server is asked to make sure of when it takes a record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Condition<'a> {
    /// The number of the last message of the subject, 0 where there is none.
    pub last: Option<u64>,
    /// What makes it the same message when it is published again.
    pub message_id: Option<&'a str>,
}

/// What became of a record that was to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is written, under this number.
    New(u64),
    /// It was written before.
    Before,
}

/// The streams of one journal.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) context: Context,
    pub(super) names: Names,
    client: Client,
    /// Whether reading from any server of a cluster is reading the newest.
    is_single: bool,
}

impl Store {
    pub(super) fn new(client: Client, names: Names, replicas: usize) -> Self {
        let context = async_nats::jetstream::ContextBuilder::new()
            .timeout(WITHIN)
            .build(client.clone());
        Self {
            context,
            names,
            client,
            is_single: replicas == 1,
        }
    }

    /// Says whether the server can be reached at all.
    pub(super) fn connected(&self) -> Result<(), JournalError> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(remote("it cannot be reached")),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) async fn stream(&self, kind: Kind) -> Result<Stream<()>, JournalError> {
        let name = self.names.stream(kind);
        let stream = self.context.get_stream_no_info(&name).await;
        stream.map_err(|error| remote(format!("stream {name}: {error}")))
    }

    /// Writes a record under the subject `rest` of its stream. When this
    /// returns, the server has taken it.
    pub(super) async fn put(
        &self,
        kind: Kind,
        rest: &str,
        payload: Vec<u8>,
        condition: Condition<'_>,
    ) -> Result<Written, JournalError> {
        self.connected()?;
        let (payload, parts) = self.put_parts(kind, payload).await?;
        let mut message = PublishMessage::build().payload(payload);
        if let Some(parts) = &parts {
            message = message
                .header(PARTS, parts.count.to_string().as_str())
                .header(PARTS_NAME, parts.name.as_str());
        }
        if let Some(last) = condition.last {
            message = message.expected_last_subject_sequence(last);
        }
        if let Some(id) = condition.message_id {
            message = message.message_id(id);
        }
        let subject = self.names.subject(kind, rest);
        let written = self.publish(subject, message).await;
        // After an error nobody knows whether it was written.
        if matches!(written, Ok(Written::Before))
            && let Some(parts) = &parts
        {
            self.forget_parts(parts).await;
        }
        written
    }

    async fn publish(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<Written, JournalError> {
        let sent = self.context.send_publish(subject.clone(), message).await;
        let answered = match sent {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(PublishAck {
                duplicate: true, ..
            }) => Ok(Written::Before),
            Ok(answer) => Ok(Written::New(answer.sequence)),
            Err(error) => match error.kind() {
                PublishErrorKind::WrongLastSequence => Ok(Written::Before),
                _ => Err(refused(&subject, &error)),
            },
        }
    }

    /// Writes what one message does not take; gives what is left for it.
    async fn put_parts(
        &self,
        kind: Kind,
        payload: Vec<u8>,
    ) -> Result<(Bytes, Option<Parts>), JournalError> {
        let mut left = Bytes::from(payload);
        let most = self.client.max_payload().saturating_sub(HEADERS).max(1024);
        if left.len() <= most {
            return Ok((left, None));
        }
        let first = left.split_to(most);
        let mut parts = Parts {
            kind: kind_of_parts(kind),
            name: Uuid::now_v7().simple().to_string(),
            count: 0,
        };
        while !left.is_empty() {
            let part = left.split_to(most.min(left.len()));
            let subject = self.names.subject(parts.kind, &parts.subject(parts.count));
            parts.count += 1;
            let message = PublishMessage::build().payload(part);
            if let Err(error) = self.publish(subject, message).await {
                self.forget_parts(&parts).await;
                return Err(error);
            }
        }
        Ok((first, Some(parts)))
    }

    /// The record under the subject `rest`.
    pub(super) async fn get(&self, kind: Kind, rest: &str) -> Result<Option<Stored>, JournalError> {
        let subject = self.names.subject(kind, rest);
        match self.last(kind, &subject).await? {
            Some(message) => self.whole(kind, message).await.map(Some),
            None => Ok(None),
        }
    }

    async fn last(&self, kind: Kind, subject: &str) -> Result<Option<StreamMessage>, JournalError> {
        let stream = self.stream(kind).await?;
        // What steers deliveries is read from whoever leads the stream.
        if kind == Kind::State && !self.is_single {
            return match stream.get_last_raw_message_by_subject(subject).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if is_absent(&error.kind()) => Ok(None),
                Err(error) => Err(remote(format!("{subject}: {error}"))),
            };
        }
        match stream.direct_get_last_for_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(remote(format!("{subject}: {error}"))),
        }
    }

    /// A message of a stream with all its parts.
    pub(super) async fn whole(
        &self,
        kind: Kind,
        message: StreamMessage,
    ) -> Result<Stored, JournalError> {
        let parts = Parts::of(kind, &message.headers);
        Ok(Stored {
            sequence: message.sequence,
            payload: self.joined(message.payload, parts.as_ref()).await?,
            parts,
        })
    }

    /// A payload with what lies in parts beside it.
    pub(super) async fn joined(
        &self,
        first: Bytes,
        parts: Option<&Parts>,
    ) -> Result<Bytes, JournalError> {
        let Some(parts) = parts else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first);
        for number in 0..parts.count {
            let subject = self.names.subject(parts.kind, &parts.subject(number));
            let part = self.last(parts.kind, &subject).await?;
            let part = part.ok_or_else(|| JournalError::Record {
                id: 0,
                message: format!("a part of it is missing: {subject}"),
            })?;
            whole.extend_from_slice(&part.payload);
        }
        Ok(whole.freeze())
    }

    /// Removes a record and its parts.
    pub(super) async fn remove(
        &self,
        kind: Kind,
        rest: &str,
        parts: Option<&Parts>,
    ) -> Result<(), JournalError> {
        let subject = self.names.subject(kind, rest);
        let purged = self.stream(kind).await?.purge().filter(&subject).await;
        purged.map_err(|error| remote(format!("{subject}: {error}")))?;
        if let Some(parts) = parts {
            self.forget_parts(parts).await;
        }
        Ok(())
    }

    /// Overwrites parts where they lie, and removes them.
    pub(super) async fn erase_parts(&self, parts: &Parts) -> Result<(), JournalError> {
        let stream = self.stream(parts.kind).await?;
        for number in 0..parts.count {
            let subject = self.names.subject(parts.kind, &parts.subject(number));
            if let Some(part) = self.last(parts.kind, &subject).await? {
                let deleted = stream.delete_message(part.sequence).await;
                deleted.map_err(|error| remote(format!("{subject}: {error}")))?;
            }
        }
        Ok(())
    }

    /// Removes parts that nothing refers to any more. Where that cannot be
    /// done they go with the age of their stream.
    pub(super) async fn forget_parts(&self, parts: &Parts) {
        let subject = self.names.subject(parts.kind, &parts.subject_of_all());
        if let Ok(stream) = self.stream(parts.kind).await {
            let _ = stream.purge().filter(&subject).await;
        }
    }
}

impl Parts {
    /// Where the parts of a message of the stream `kind` lie.
    pub(super) fn of(kind: Kind, headers: &HeaderMap) -> Option<Self> {
        let count = headers.get(PARTS)?.as_str().parse().ok()?;
        Some(Self {
            kind: kind_of_parts(kind),
            name: headers.get(PARTS_NAME)?.as_str().to_owned(),
            count,
        })
    }

    fn subject(&self, number: usize) -> String {
        format!("part.{}.{number}", self.name)
    }

    fn subject_of_all(&self) -> String {
        format!("part.{}.*", self.name)
    }
}

/// The stream that parts lie in: they must not be in the way of whoever pulls
/// from, or walks over, the records themselves.
fn kind_of_parts(kind: Kind) -> Kind {
    match kind {
        Kind::Deliveries | Kind::Waiting | Kind::Dedupe => Kind::State,
        Kind::State | Kind::History | Kind::Dead => kind,
    }
}

fn is_absent(kind: &LastRawMessageErrorKind) -> bool {
    match kind {
        LastRawMessageErrorKind::NoMessageFound => true,
        LastRawMessageErrorKind::JetStream(error) => {
            error.error_code() == ErrorCode::NO_MESSAGE_FOUND
        }
        LastRawMessageErrorKind::InvalidSubject | LastRawMessageErrorKind::Other => false,
    }
}

fn refused(subject: &str, error: &async_nats::jetstream::context::PublishError) -> JournalError {
    use std::error::Error;
    let why = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    remote(format!("{subject} was not written: {why}"))
}
