//! Lists: events, deliveries, dead letters, what waits.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::console::admin::Admin;
use crate::journal::history::{Page, Paging, WaitingSummary};
use crate::model::verdict::DeliveryState;

use super::error::{ApiError, respond};
use super::query::{self, EVENTS, Query};
use super::view;

type Answer = Result<Response, ApiError>;

/// Events, newest first.
pub(super) async fn events(State(admin): State<Arc<Admin>>, RawQuery(raw): RawQuery) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let (filter, paging) = (query.events()?, query.paging()?);
    query.end(EVENTS)?;
    let page = admin.history.events(filter, paging).await?;
    Ok(respond(StatusCode::OK, &view::page(&page, view::event)))
}

/// Deliveries, newest first.
pub(super) async fn deliveries(State(admin): State<Arc<Admin>>, RawQuery(raw): RawQuery) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let (mut filter, paging) = (query.deliveries()?, query.paging()?);
    filter.states = query.read("state", query::states)?.unwrap_or_default();
    query.end("listener, trigger, state, reason, from, until, limit and cursor")?;
    let page = admin.history.deliveries(filter, paging).await?;
    Ok(respond(StatusCode::OK, &view::page(&page, view::delivery)))
}

/// Deliveries that were given up and not replayed since, and with the first
/// page events that were given up before anybody had decided on them.
pub(super) async fn dead_letters(
    State(admin): State<Arc<Admin>>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let (mut filter, paging) = (query.deliveries()?, query.paging()?);
    filter.states = vec![DeliveryState::Dead];
    filter.unreplayed = !query.switch("replayed")?;
    query.end("listener, trigger, reason, from, until, replayed, limit and cursor")?;
    let listener = filter.listener.clone();
    // What was given up has no delivery to be asked about.
    let with_given_up =
        paging.cursor.is_none() && filter.trigger.is_none() && filter.reason.is_none();
    let limit = paging.limit;
    let page = admin.history.deliveries(filter, paging).await?;
    let mut answer = view::page(&page, view::delivery);
    if with_given_up && let Value::Object(answer) = &mut answer {
        let wanted = |waiting: &WaitingSummary| {
            waiting.given_up_ms.is_some()
                && listener
                    .as_ref()
                    .is_none_or(|listener| *listener == waiting.listener)
        };
        let given_up = select(
            &admin,
            Paging {
                limit,
                cursor: None,
            },
            wanted,
        )
        .await?;
        answer.insert("givenUp".into(), view::page(&given_up, view::waiting));
    }
    Ok(respond(StatusCode::OK, &answer))
}

/// Events that wait until somebody can decide on them.
pub(super) async fn waiting(State(admin): State<Arc<Admin>>, RawQuery(raw): RawQuery) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let (paging, given_up) = (query.paging()?, query.switch("givenUp")?);
    query.end("givenUp, limit and cursor")?;
    let wanted = |waiting: &WaitingSummary| waiting.given_up_ms.is_some() == given_up;
    let page = select(&admin, paging, wanted).await?;
    Ok(respond(StatusCode::OK, &view::page(&page, view::waiting)))
}

/// A page of what waits, of those that are wanted: it may be short.
async fn select(
    admin: &Admin,
    paging: Paging,
    wanted: impl Fn(&WaitingSummary) -> bool,
) -> Result<Page<WaitingSummary>, ApiError> {
    let mut page = admin.history.waiting(paging).await?;
    page.items.retain(wanted);
    Ok(page)
}
