//! The worker's lane: bind, render, commit, act.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::act::{ActError, Action, Actor, Effect};
use crate::bind::{self, BodyView};
use crate::catalog::{Trigger, Way};
use crate::failpoint::{self, Point};
use crate::intercept::Placed;
use crate::intercept::calls::Calls;
use crate::journal::{Journal, Rendered};
use crate::model::event::VerifiedEvent;
use crate::model::finding::Finding;
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, EventId};
use crate::model::json::{self, ReadError};
use crate::model::limits::BODY_PARSED_BYTES;
use crate::model::secret::Secrets;
use crate::model::verdict::Reason;
use crate::render::{self, IgnoredAnnotation, Origin};
use crate::verify;

use super::failure::Failure;
use super::walk::Walker;

/// One delivery, with everything that performing it takes.
pub struct Work<'a> {
    /// Its number.
    pub id: DeliveryId,
    /// The event that it stands for.
    pub event_id: EventId,
    /// The event.
    pub event: &'a VerifiedEvent,
    /// Its headers without credentials.
    pub headers: &'a Headers,
    /// The trigger that matched it.
    pub trigger: &'a Trigger,
    /// What interceptors added.
    pub extensions: &'a Map<String, Value>,
    /// Where its interceptors go on, where somebody else has to be asked.
    pub resume: Option<usize>,
    /// Headers that carry credentials for other triggers of the listener.
    pub withheld: &'a [String],
    /// When the event was accepted, in milliseconds of Unix time.
    pub accepted_ms: i64,
    /// What an earlier attempt has committed.
    pub rendered: Option<Committed>,
}

/// What an earlier attempt has committed, and how far that came.
#[derive(Debug)]
pub struct Committed {
    /// The resources.
    pub rendered: Rendered,
    /// How many of them, counted from the first, are where they belong.
    pub acted: usize,
    /// Whether it may have made more of them than that.
    pub is_unclear: bool,
}

/// What performing takes besides the delivery.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// Where it is written down what a delivery makes.
    pub journal: &'a dyn Journal,
    /// Where objects go.
    pub action: &'a dyn Action,
    /// The secrets that are known now.
    pub secrets: &'a dyn Secrets,
    /// Who asks interceptors elsewhere.
    pub calls: &'a dyn Calls,
}

/// An event that has passed all interceptors of its trigger.
pub struct Arrived {
    /// The event, where a webhook has put another one in its place, with its
    /// headers.
    pub replaced: Option<(VerifiedEvent, Headers)>,
    /// What interceptors added.
    pub extensions: Map<String, Value>,
    /// One entry a step that ran.
    pub findings: Vec<Finding>,
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Performed {
    /// How many resources the delivery has, where they are rendered.
    pub resources: usize,
    /// How many of them, counted from the first, are where they belong now.
    pub acted: usize,
    /// What this attempt did, one for each of the resources that it came to.
    pub effects: Vec<Effect>,
    /// What its author should know although it worked; or why it did not.
    pub outcome: Result<Option<String>, Failure>,
}

/// What a delivery makes, before anything of it is done.
#[derive(Debug)]
pub struct Prepared {
    /// The resources, and what went into them.
    pub rendered: Rendered,
    /// What their author should know although it worked.
    pub remark: Option<String>,
}

impl Arrived {
    /// An event about which nobody else has to be asked.
    pub fn unasked(extensions: &Map<String, Value>) -> Self {
        Self {
            replaced: None,
            extensions: extensions.clone(),
            findings: Vec::new(),
        }
    }
}

/// Takes the event past the interceptors that are still to be asked.
pub async fn arrive(
    work: &Work<'_>,
    secrets: &dyn Secrets,
    calls: &dyn Calls,
) -> Result<Arrived, Failure> {
    let Some(resume) = work.resume else {
        return Ok(Arrived::unasked(work.extensions));
    };
    let (event_id, path) = (work.event_id.to_string(), work.trigger.path());
    let walker = Walker {
        secrets,
        calls,
        namespace: &work.trigger.source.namespace,
        placed: Placed {
            event_id: &event_id,
            trigger: &path,
            must_answer: false,
        },
        is_verified: work.trigger.ways().any(Way::authenticates),
        received_ms: work.accepted_ms,
    };
    let way = &work.trigger.way;
    let extensions = work.extensions.clone();
    let arrived = walker.walk(way, work.event, resume, extensions).await?;
    Ok(Arrived {
        replaced: arrived.replaced.map(|event| {
            let mut headers = verify::recordable(&event, &work.trigger.credential_headers());
            for name in work.withheld {
                headers.remove(name);
            }
            (event, headers)
        }),
        extensions: arrived.extensions,
        findings: arrived.findings,
    })
}

/// Binds and renders: everything before the first effect.
pub fn prepare(work: &Work<'_>, arrived: &Arrived) -> Result<Prepared, Failure> {
    let event_id = work.event_id.to_string();
    let (event, headers) = match &arrived.replaced {
        Some((event, headers)) => (event, headers),
        None => (work.event, work.headers),
    };
    let as_sent = as_sent(event, work.trigger);
    let scope = bind::Scope {
        body: body(event, as_sent.as_ref()),
        headers,
        extensions: &arrived.extensions,
        event_id: &event_id,
    };
    let trigger = work.trigger;
    let source = &trigger.source;
    let params = bind::bind(&trigger.bindings, &scope, &source.template.params)?;
    let origin = Origin {
        event: work.event_id,
        trigger: &source.id,
        listener: &source.listener,
        trigger_name: &source.name,
        namespace: &source.namespace,
        uid: work.event_id.uid_for(&source.id),
    };
    let rendered = render::render(&trigger.template, &params, &origin)?;
    Ok(Prepared {
        remark: left_out(&rendered.ignored),
        rendered: Rendered {
            params,
            manifests: rendered.manifests,
            as_of: None,
        },
    })
}

/// The body that bindings read.
fn body<'e>(
    event: &'e VerifiedEvent,
    as_sent: Option<&'e Result<Value, ReadError>>,
) -> BodyView<'e> {
    match (as_sent, event.body()) {
        (Some(Ok(body)), _) | (None, Ok(body)) => BodyView::Json(body),
        (Some(Err(_)), _) => BodyView::Invalid(Reason::BodyNotJson.meaning()),
        (None, Err(reason)) => BodyView::Invalid(reason.meaning()),
    }
}

/// What was sent as a form, for a trigger without interceptors: Tekton makes
/// JSON of forms for those alone. It may be JSON all the same.
fn as_sent(event: &VerifiedEvent, trigger: &Trigger) -> Option<Result<Value, ReadError>> {
    let (source, raw) = (&trigger.source, event.raw_body());
    let has_none = source.interceptors.is_empty() && source.group.is_none();
    let is_form = event.rule().is_open() && event.is_form() && !raw.is_empty();
    let read = || json::read(raw, BODY_PARSED_BYTES).map(|read| read.value);
    (has_none && is_form).then(read)
}

/// What the author should know: whom the event has passed without an answer,
/// and what was left out.
fn remark(findings: &[Finding], left_out: Option<String>) -> Option<String> {
    let passed = findings.iter().filter_map(|finding| finding.detail.clone());
    let all: Vec<String> = passed.chain(left_out).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn left_out(ignored: &[IgnoredAnnotation]) -> Option<String> {
    let keys: Vec<String> = ignored
        .iter()
        .map(|ignored| format!("`{}` of resource {}", ignored.key, ignored.resource))
        .collect();
    (!keys.is_empty()).then(|| {
        format!(
            "annotations that parameters spelled were left out: {}; only the template's author may give them",
            keys.join(", ")
        )
    })
}

/// Performs a delivery. What it makes is committed before the first effect; a
/// later attempt enters after that line and never renders again. It begins with
/// the first resource that is not where it belongs.
pub async fn perform(mut work: Work<'_>, shop: &Workshop<'_>) -> Performed {
    let mut performed = Performed {
        resources: 0,
        acted: 0,
        effects: Vec::new(),
        outcome: Ok(None),
    };
    let (rendered, is_again, remark) = match work.rendered.take() {
        Some(committed) => {
            performed.acted = committed.acted;
            (Arc::new(committed.rendered), committed.is_unclear, None)
        }
        None => match render_and_commit(&work, shop).await {
            Ok((rendered, remark)) => (rendered, false, remark),
            Err(failure) => {
                performed.outcome = Err(failure);
                return performed;
            }
        },
    };
    performed.resources = rendered.manifests.len();
    performed.outcome = match act(&work, &rendered, is_again, shop, &mut performed).await {
        Ok(()) => Ok(remarks(remark, &performed.effects)),
        Err(error) => Err(error.into()),
    };
    performed
}

/// Everything before the first effect.
async fn render_and_commit(
    work: &Work<'_>,
    shop: &Workshop<'_>,
) -> Result<(Arc<Rendered>, Option<String>), Failure> {
    let arrived = arrive(work, shop.secrets, shop.calls).await?;
    let prepared = prepare(work, &arrived)?;
    let rendered = Arc::new(Rendered {
        // Whoever comes later can find out what has happened since.
        as_of: shop.action.moment().await,
        ..prepared.rendered
    });
    let remark = remark(&arrived.findings, prepared.remark);
    failpoint::reach(Point::BeforeCommit);
    let committed = shop
        .journal
        .commit(work.id, Arc::clone(&rendered), arrived.findings);
    committed.await?;
    failpoint::reach(Point::AfterCommit);
    Ok((rendered, remark))
}

/// Makes what is not there, in order, up to the first failure.
async fn act(
    work: &Work<'_>,
    rendered: &Rendered,
    is_again: bool,
    shop: &Workshop<'_>,
    performed: &mut Performed,
) -> Result<(), ActError> {
    let source = &work.trigger.source;
    let actor = Actor {
        namespace: &source.account_namespace,
        account: &source.service_account,
    };
    let since = rendered.as_of.as_deref();
    for manifest in rendered.manifests.iter().skip(performed.acted) {
        if !performed.effects.is_empty() {
            failpoint::reach(Point::BetweenResources);
        }
        let acting = match is_again {
            true => shop.action.perform_again(manifest, actor, since),
            false => shop.action.perform(manifest, actor),
        };
        performed.effects.push(acting.await?);
        failpoint::reach(Point::AfterCreate);
        performed.acted += 1;
    }
    Ok(())
}

/// What the author should know, with what somebody has deleted.
fn remarks(remark: Option<String>, effects: &[Effect]) -> Option<String> {
    let gone = effects.iter().filter_map(|effect| match effect {
        Effect::Gone(place) => Some(format!(
            "{place} was made by an earlier attempt and deleted since; it is not made again"
        )),
        Effect::Created(_) | Effect::AlreadyThere(_) => None,
    });
    let all: Vec<String> = remark.into_iter().chain(gone).collect();
    (!all.is_empty()).then(|| all.join("; "))
}
