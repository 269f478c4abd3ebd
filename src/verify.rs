//! Who sent this?
//!
//! In: a request, the verifiers of a trigger, the secrets that are known. Out:
//! one of four results. This is the only stage that makes a
//! [`VerifiedEvent`]; it reads headers and raw bytes, compares in constant
//! time, and never looks at the body as JSON before the proof has held.

use std::sync::Arc;

use crate::model::event::{Proof, Proven, RawEvent, SharedEvent, VerifiedEvent};
use crate::model::headers::Headers;
use crate::model::ids::ListenerId;
use crate::model::secret::{SecretKeyRef, SecretLookup, SecretValue, Secrets};
use crate::model::verdict::Reason;

mod bitbucket;
mod body;
mod config;
mod delivery;
mod github;
mod gitlab;
mod harbor;
mod hmac;
pub mod registry;
mod scheme;
mod sign;
mod slack;

pub use config::compile;
pub use delivery::{Identity, identify};
pub use hmac::Hash;
pub use scheme::{Check, Scheme};

/// What verification found.
#[derive(Debug)]
pub enum Verification {
    /// The request is genuine.
    Verified(VerifiedEvent),
    /// It claims to be from the sender and does not prove it.
    Refused(Reason),
    /// It does not claim to be from the sender of this trigger.
    NotMine(Reason),
    /// Nobody can say yet: a secret is missing.
    Deferred(Reason, SecretKeyRef),
}

/// A compiled verifier: a sender's scheme and the secrets that may prove it.
#[derive(Clone, Debug)]
pub struct Verifier {
    scheme: &'static Scheme,
    secrets: Vec<SecretKeyRef>,
}

impl Verifier {
    /// A verifier that any one of `secrets` satisfies.
    pub fn new(scheme: &'static Scheme, secrets: Vec<SecretKeyRef>) -> Self {
        Self { scheme, secrets }
    }

    /// The secrets that it reads.
    pub fn secrets(&self) -> &[SecretKeyRef] {
        &self.secrets
    }

    /// Whether what it checks proves anything.
    pub fn proves(&self) -> bool {
        !self.scheme.is_presence()
    }

    /// The sender whose scheme it checks.
    pub fn name(&self) -> &'static str {
        self.scheme.name
    }
}

/// One request while the triggers of a listener verify it. MACs are computed
/// once a secret, however many triggers share it.
pub struct Arrival<'s> {
    event: Arc<SharedEvent>,
    secrets: &'s dyn Secrets,
    received_ms: i64,
    proofs: Vec<(String, SecretKeyRef, Finding)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Match,
    Mismatch,
    Unknown(Reason),
}

impl<'s> Arrival<'s> {
    /// Takes a request in that came at `received_ms` of Unix time.
    pub fn new(raw: RawEvent, secrets: &'s dyn Secrets, received_ms: i64) -> Self {
        Self {
            event: Arc::new(share(raw)),
            secrets,
            received_ms,
            proofs: Vec::new(),
        }
    }

    /// Verifies the request for a trigger with these verifiers, all of which
    /// must be satisfied. No verifier at all is the explicit choice to believe
    /// everybody.
    pub fn verify(&mut self, verifiers: &[Verifier]) -> Verification {
        let mut proof = Proof::NoVerifier;
        for verifier in verifiers {
            match self.check(verifier) {
                Ok(Some(secret)) => {
                    proof = Proof::Secret {
                        verifier: verifier.scheme.name,
                        secret,
                    }
                }
                Ok(None) => {}
                Err(negative) => return negative,
            }
        }
        Verification::Verified(attest(&self.event, proof))
    }

    /// The request, of which `proven` holds by the journal. No other secret
    /// counts for that: who asks for another one asks the request.
    #[must_use]
    pub fn recalling(mut self, proven: &[Proven]) -> Self {
        let known = proven.iter().cloned();
        self.proofs
            .extend(known.map(|one| (one.verifier, one.secret, Finding::Match)));
        self
    }

    /// What is proved of it so far.
    pub fn proven(&self) -> Vec<Proven> {
        let matches = self.proofs.iter().filter(|proof| proof.2 == Finding::Match);
        matches
            .map(|(verifier, secret, _)| Proven {
                verifier: verifier.clone(),
                secret: secret.clone(),
            })
            .collect()
    }

    /// The request itself.
    pub fn request(&self) -> &RawEvent {
        self.event.raw()
    }

    /// The identity that the request will have if it is what it claims.
    pub fn claimed_identity(&self, listener: &ListenerId) -> Option<Identity> {
        delivery::claimed(listener, &self.event)
    }

    /// The secret that proves it; none where nothing was to be proved.
    fn check(&mut self, verifier: &Verifier) -> Result<Option<SecretKeyRef>, Verification> {
        // What is proved needs no proof: an event from the journal has no
        // credentials any more.
        let known = verifier.secrets.iter();
        let known = known.filter(|secret| {
            self.proofs.iter().any(|(scheme, known, finding)| {
                *finding == Finding::Match && scheme == verifier.scheme.name && known == *secret
            })
        });
        if let Some(secret) = known.map(SecretKeyRef::clone).next() {
            return Ok(Some(secret));
        }
        let event = Arc::clone(&self.event);
        let raw = event.raw();
        if !verifier.scheme.claimed_by(&raw.headers) {
            return Err(Verification::NotMine(Reason::NotThisSender));
        }
        let presented = verifier
            .scheme
            .presented(&raw.headers, self.received_ms)
            .map_err(Verification::Refused)?;
        if verifier.scheme.is_presence() {
            return Ok(None);
        }
        let mut unknown = None;
        for secret in &verifier.secrets {
            let finding = self.proofs.iter().find_map(|(scheme, known, finding)| {
                (scheme == verifier.scheme.name && known == secret).then_some(*finding)
            });
            let finding = finding.unwrap_or_else(|| {
                let finding = match usable(self.secrets.find(secret)) {
                    Err(reason) => Finding::Unknown(reason),
                    Ok(key) if verifier.scheme.proves(&presented, &key, raw) => Finding::Match,
                    Ok(_) => Finding::Mismatch,
                };
                self.proofs
                    .push((verifier.scheme.name.to_owned(), secret.clone(), finding));
                finding
            });
            match finding {
                Finding::Match => return Ok(Some(secret.clone())),
                Finding::Mismatch => {}
                Finding::Unknown(reason) => {
                    unknown.get_or_insert((reason, secret.clone()));
                }
            }
        }
        Err(match unknown {
            Some((reason, secret)) => Verification::Deferred(reason, secret),
            None => Verification::Refused(verifier.scheme.mismatch()),
        })
    }
}

/// An event that an earlier process verified and journaled: the door for a
/// restarted worker, which starts after the recorded match.
pub fn recall(raw: RawEvent) -> VerifiedEvent {
    attest(&Arc::new(share(raw)), Proof::Recalled)
}

fn share(raw: RawEvent) -> SharedEvent {
    let is_ping = !raw.rule.as_tekton && registry::is_ping(&raw.headers);
    SharedEvent::new(raw, body::parse, registry::recognise, is_ping)
}

/// The headers of a verified request that may be written down: those that
/// carry credentials of any sender are gone, and those in `more`.
pub fn recordable(event: &VerifiedEvent, more: &[String]) -> Headers {
    let mut headers = event.headers().clone();
    for name in registry::credential_headers() {
        headers.remove(name);
    }
    for name in more {
        headers.remove(name);
    }
    headers
}

fn attest(event: &Arc<SharedEvent>, proof: Proof) -> VerifiedEvent {
    VerifiedEvent::attest(Arc::clone(event), proof)
}

fn usable(lookup: SecretLookup) -> Result<SecretValue, Reason> {
    match lookup {
        // An empty key would let everybody in.
        SecretLookup::Found(value) if value.expose().is_empty() => Err(Reason::SecretEmpty),
        SecretLookup::Found(value) => Ok(value),
        SecretLookup::NoSecret => Err(Reason::SecretMissing),
        SecretLookup::NoKey => Err(Reason::SecretKeyMissing),
        SecretLookup::NotSynced => Err(Reason::SecretsNotSynced),
    }
}

#[cfg(test)]
mod tests;
