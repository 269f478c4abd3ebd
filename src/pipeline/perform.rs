//! The worker's lane: bind, render, commit, act.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::act::{ActError, Action, Actor, Effect, Patience};
use crate::bind::{self, BindError, BodyView};
use crate::catalog::Trigger;
use crate::journal::{Journal, JournalError, Rendered};
use crate::model::event::VerifiedEvent;
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryId, EventId};
use crate::model::verdict::Reason;
use crate::render::{self, IgnoredAnnotation, Origin, RenderError};

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
    /// What an earlier attempt has committed.
    pub rendered: Option<Rendered>,
}

/// Why a delivery could not be performed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A parameter could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A resource could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// What was rendered could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An effect failed.
    #[error(transparent)]
    Act(#[from] ActError),
}

impl Failure {
    /// The reason to record.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Bind(error) => error.reason(),
            Self::Render(error) => error.reason(),
            Self::Journal(_) => Reason::JournalUnavailable,
            Self::Act(error) => error.reason(),
        }
    }

    /// The stage that failed.
    pub fn stage(&self) -> &'static str {
        match self {
            Self::Bind(_) => "bind",
            Self::Render(_) => "render",
            Self::Journal(_) => "commit",
            Self::Act(_) => "act",
        }
    }

    /// How long the same delivery is worth trying.
    pub fn patience(&self) -> Patience {
        match self {
            Self::Bind(_) | Self::Render(_) => Patience::None,
            Self::Journal(_) => Patience::Long,
            Self::Act(error) => error.patience(),
        }
    }
}

/// What an attempt did.
#[derive(Debug)]
pub struct Performed {
    /// One for each manifest.
    pub effects: Vec<Effect>,
    /// What its author should know although it worked.
    pub remark: Option<String>,
}

/// What a delivery makes, before anything of it is done.
#[derive(Debug)]
pub struct Prepared {
    /// The resources, and what went into them.
    pub rendered: Rendered,
    /// What their author should know although it worked.
    pub remark: Option<String>,
}

/// Binds and renders: everything before the first effect.
pub fn prepare(work: &Work<'_>) -> Result<Prepared, Failure> {
    let event_id = work.event_id.to_string();
    let scope = bind::Scope {
        body: match work.event.body() {
            Ok(body) => BodyView::Json(body),
            Err(reason) => BodyView::Invalid(reason.meaning()),
        },
        headers: work.headers,
        extensions: work.extensions,
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
        remark: remark(&rendered.ignored),
        rendered: Rendered {
            params,
            manifests: rendered.manifests,
        },
    })
}

fn remark(ignored: &[IgnoredAnnotation]) -> Option<String> {
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
/// later attempt enters after that line and never renders again.
pub async fn perform(
    mut work: Work<'_>,
    journal: &dyn Journal,
    action: &dyn Action,
) -> Result<Performed, Failure> {
    let (rendered, remark) = match work.rendered.take() {
        Some(rendered) => (Arc::new(rendered), None),
        None => {
            let prepared = prepare(&work)?;
            let rendered = Arc::new(prepared.rendered);
            journal.commit(work.id, Arc::clone(&rendered)).await?;
            (rendered, prepared.remark)
        }
    };
    let source = &work.trigger.source;
    let actor = Actor {
        namespace: &source.account_namespace,
        account: &source.service_account,
    };
    let mut effects = Vec::with_capacity(rendered.manifests.len());
    for manifest in &rendered.manifests {
        effects.push(action.perform(manifest, actor).await?);
    }
    Ok(Performed { effects, remark })
}
