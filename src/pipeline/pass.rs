//! One event on one way, as far as nobody else has to be asked.

use serde_json::{Map, Value};

use crate::catalog::{Listener, Way};
use crate::intercept::Surroundings;
use crate::model::event::{Proof, VerifiedEvent};
use crate::model::finding::{Finding, Stop};
use crate::model::verdict::{Reason, Verdict};
use crate::verify::{Arrival, Verification, Verifier};

use super::judge::Circumstances;

/// What came of a way as far as nobody else has to be asked.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub findings: Vec<Finding>,
    /// The event, where somebody has verified it or nobody asks.
    pub event: Option<VerifiedEvent>,
    /// Whether a secret has proved who sent it.
    pub is_proven: bool,
    pub extensions: Map<String, Value>,
    pub rest: Option<usize>,
}

impl Passage {
    /// A way that ends before it begins.
    fn ended(step: &str, stop: Stop) -> Self {
        Self {
            verdict: stop.verdict,
            reason: Some(stop.reason),
            findings: vec![Finding::stopped(step, stop)],
            event: None,
            is_proven: false,
            extensions: Map::new(),
            rest: None,
        }
    }

    /// Whether the trigger knows who sent the event, or does not ask. An
    /// expression may have to say who sent it, and be unable to.
    pub(super) fn is_known(&self) -> bool {
        match self.verdict {
            Verdict::Refused | Verdict::NotMine => false,
            Verdict::Deferred => self.is_proven,
            Verdict::Matched | Verdict::Filtered | Verdict::Failed => self.event.is_some(),
        }
    }
}

/// The event, or the passage that ends before it begins.
pub(super) fn verified(
    arrival: &mut Arrival<'_>,
    verifiers: &[Verifier],
) -> Result<VerifiedEvent, Box<Passage>> {
    let (verdict, reason, detail) = match arrival.verify(verifiers) {
        Verification::Verified(event) => return Ok(event),
        Verification::Refused(reason) => (Verdict::Refused, reason, None),
        Verification::NotMine(reason) => (Verdict::NotMine, reason, None),
        Verification::Deferred(reason, secret) => {
            let detail = format!("waits for secret {secret}");
            (Verdict::Deferred, reason, Some(detail))
        }
    };
    let stop = Stop {
        verdict,
        reason,
        detail,
    };
    Err(Box::new(Passage::ended("verify", stop)))
}

/// Whether a secret of the way proves who sent an event, before anything else
/// of it is looked at.
pub(super) fn prove(
    arrival: &mut Arrival<'_>,
    way: &Way,
    (listener, namespace): (&Listener, &str),
    circumstances: &Circumstances<'_>,
) -> Result<bool, Box<Passage>> {
    let event = verified(arrival, &way.first.verifiers)?;
    let by_secret = *event.proof() != Proof::NoVerifier;
    let around = circumstances.around(listener, namespace, by_secret);
    let spoken = way.first.chain.authenticate(&event, &around);
    spoken.map_err(|(step, stop)| {
        Box::new(Passage {
            is_proven: by_secret,
            ..Passage::ended(step, stop)
        })
    })?;
    Ok(by_secret || way.first.chain.authenticates())
}

/// Takes an event along a way as far as nobody else has to be asked.
pub(super) fn pass(
    arrival: &mut Arrival<'_>,
    way: &Way,
    (listener, namespace): (&Listener, &str),
    (extensions, was_proven): (Map<String, Value>, bool),
    circumstances: &Circumstances<'_>,
) -> Passage {
    let event = match verified(arrival, &way.first.verifiers) {
        Ok(event) => event,
        Err(passage) => {
            return Passage {
                is_proven: was_proven,
                ..*passage
            };
        }
    };
    let chain = &way.first.chain;
    let by_secret = was_proven || *event.proof() != Proof::NoVerifier;
    // Where an expression has to say so, it comes before anything else does.
    let by_expression = chain.authenticates();
    let around = circumstances.around(listener, namespace, by_secret || by_expression);
    let outcome = chain.run(&event, &around, extensions);
    let has_spoken = !matches!(outcome.verdict, Verdict::Refused | Verdict::Deferred);
    let mut findings = vec![Finding::passed("verify")];
    findings.extend(outcome.findings);
    Passage {
        verdict: outcome.verdict,
        reason: outcome.reason,
        findings,
        event: Some(event),
        is_proven: by_secret || (by_expression && has_spoken),
        extensions: outcome.extensions,
        rest: outcome.rest,
    }
}

impl<'a> Circumstances<'a> {
    fn around(
        &self,
        listener: &'a Listener,
        namespace: &'a str,
        is_verified: bool,
    ) -> Surroundings<'a> {
        Surroundings {
            secrets: self.secrets,
            namespace,
            explain: self.explain,
            is_verified,
            withheld: &listener.credential_headers,
        }
    }
}
