//! An event on its way: bytes from a stranger, then something whose sender is
//! known.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::headers::Headers;
use super::json::Weighed;
use super::secret::SecretKeyRef;
use super::sender::{Facts, Sender};
use super::verdict::Reason;

/// A request as it came in. Nothing in it has been believed or parsed yet.
#[derive(Clone, Debug)]
pub struct RawEvent {
    /// The request method.
    pub method: String,
    /// Path and query without the part that chose the listener: `requestURL`.
    pub url: String,
    /// The headers, `Host` apart, as Go's server keeps them.
    pub headers: Headers,
    /// The body, byte for byte.
    pub body: Bytes,
    /// What its listener takes for a body.
    pub rule: BodyRule,
}

/// What a listener takes for a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BodyRule {
    /// Whether it must be an object or `null`: Tekton's payload validation.
    /// Without it any JSON is a body, and so are forms and nothing at all.
    pub validated: bool,
    /// Whether forms and pings are nothing special, as in Tekton Triggers.
    pub as_tekton: bool,
}

impl BodyRule {
    /// Whether an event may have a body that nobody can read.
    pub fn is_open(self) -> bool {
        self.as_tekton && !self.validated
    }

    /// The rule for what a webhook puts in the place of an event.
    #[must_use]
    pub fn of_answers(self) -> Self {
        Self {
            validated: false,
            ..self
        }
    }
}

impl Default for BodyRule {
    fn default() -> Self {
        Self {
            validated: true,
            as_tekton: false,
        }
    }
}

/// How it is known that an event is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The trigger asks for no proof.
    NoVerifier,
    /// A secret of the trigger gives what the request carries.
    Secret {
        /// The verifier that compared.
        verifier: &'static str,
        /// The secret that matched.
        secret: SecretKeyRef,
    },
    /// An earlier process verified it and wrote so into its journal.
    Recalled,
}

/// A secret that gives what a request carries. It stands when the secret
/// rotates later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// The verifier that compared.
    pub verifier: String,
    /// The secret that matched.
    pub secret: SecretKeyRef,
}

/// An event whose sender is known. Cheap to clone: the parsed body is shared
/// by every trigger that looks at the event.
#[derive(Clone, Debug)]
pub struct VerifiedEvent {
    event: Arc<SharedEvent>,
    proof: Proof,
}

/// What all triggers of a listener share of one event.
#[derive(Debug)]
pub struct SharedEvent {
    raw: RawEvent,
    parse: Parse,
    recognise: Recognise,
    /// By its headers alone.
    sender: Option<&'static Sender>,
    is_ping: bool,
    parsed: OnceLock<Result<Parsed, Reason>>,
}

/// Reads the body of a request.
pub type Parse = fn(&RawEvent) -> Result<Weighed, Reason>;

/// Tells whose request it is, from its headers and, where it is there, its
/// body.
pub type Recognise = fn(&Headers, Option<&Value>) -> Option<&'static Sender>;

#[derive(Debug)]
struct Parsed {
    body: Weighed,
    sender: Option<&'static Sender>,
}

impl SharedEvent {
    /// Wraps a request with the functions that will parse and recognise it
    /// once somebody has been convinced that it is genuine, and with what its
    /// headers say of it.
    pub fn new(raw: RawEvent, parse: Parse, recognise: Recognise, is_ping: bool) -> Self {
        Self {
            sender: recognise(&raw.headers, None),
            is_ping,
            raw,
            parse,
            recognise,
            parsed: OnceLock::new(),
        }
    }

    /// The request, for verification.
    pub fn raw(&self) -> &RawEvent {
        &self.raw
    }

    /// Who has sent it, if that is who its headers say.
    pub fn claimed_sender(&self) -> Option<&'static Sender> {
        self.sender
    }

    fn parsed_bytes(&self) -> usize {
        match self.parsed.get() {
            Some(Ok(parsed)) => parsed.body.bytes,
            Some(Err(_)) | None => 0,
        }
    }

    /// The same request, with a body that nobody has asked for yet.
    fn unparsed(&self) -> Self {
        Self::new(self.raw.clone(), self.parse, self.recognise, self.is_ping)
    }

    fn parsed(&self) -> Result<&Parsed, Reason> {
        let parsed = self.parsed.get_or_init(|| {
            let body = (self.parse)(&self.raw)?;
            let by_body = || (self.recognise)(&self.raw.headers, Some(&body.value));
            let sender = self.sender.or_else(by_body);
            Ok(Parsed { body, sender })
        });
        parsed.as_ref().map_err(|reason| *reason)
    }
}

impl VerifiedEvent {
    /// States that the event is genuine. Only `verify` may call this: every
    /// stage after it trusts the type.
    pub fn attest(event: Arc<SharedEvent>, proof: Proof) -> Self {
        Self { event, proof }
    }

    /// The same event without its parsed body, to save memory: who asks for
    /// that later waits for the parser.
    #[must_use]
    pub fn unparsed(&self) -> Self {
        Self {
            event: Arc::new(self.event.unparsed()),
            proof: self.proof.clone(),
        }
    }

    /// How it is known to be genuine.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The body as JSON: parsed at the first call, shared afterwards.
    pub fn body(&self) -> Result<&Value, Reason> {
        self.event.parsed().map(|parsed| &parsed.body.value)
    }

    /// Bytes that the parsed body takes up; 0 where nobody has asked for it.
    pub fn parsed_bytes(&self) -> usize {
        self.event.parsed_bytes()
    }

    /// Whether its headers say that the sender only tests the connection.
    pub fn is_ping(&self) -> bool {
        self.event.is_ping
    }

    /// Who sent it, where that is a sender that Tripline knows.
    pub fn sender(&self) -> Option<&'static Sender> {
        let by_headers = self.event.sender;
        by_headers.or_else(|| self.event.parsed().ok()?.sender)
    }

    /// The facts that filters ask for, where the sender is known.
    pub fn facts(&self) -> Option<Facts<'_>> {
        let parsed = self.event.parsed().ok()?;
        let sender = parsed.sender?;
        Some(Facts::new(
            sender,
            &self.event.raw.headers,
            &parsed.body.value,
        ))
    }

    /// The headers, credentials included: for expressions that compare them.
    pub fn headers(&self) -> &Headers {
        &self.event.raw.headers
    }

    /// Path and query without the part that chose the listener.
    pub fn url(&self) -> &str {
        &self.event.raw.url
    }

    /// The request method.
    pub fn method(&self) -> &str {
        &self.event.raw.method
    }

    /// What its listener takes for a body.
    pub fn rule(&self) -> BodyRule {
        self.event.raw.rule
    }

    /// Whether its type says that it is a form.
    pub fn is_form(&self) -> bool {
        let content_type = self.headers().get("Content-Type").unwrap_or_default();
        content_type == "application/x-www-form-urlencoded"
    }

    /// The request as it came, for whoever has to look at it anew.
    pub fn to_raw(&self) -> RawEvent {
        self.event.raw.clone()
    }

    /// The body, byte for byte.
    pub fn raw_body(&self) -> &Bytes {
        &self.event.raw.body
    }
}
