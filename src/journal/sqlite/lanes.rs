//! What is due, by listener and trigger: one seek in an index for each, however
//! much there is of each. So what may not begin now costs nothing.

use rusqlite::{Connection, OptionalExtension, params};

use crate::journal::JournalError;
use crate::journal::leasing::{Cursor, Lease, Portion, Request};
use crate::model::ids::{ListenerId, TriggerId};

/// Triggers that one lease looks at.
const LOOKED_AT: usize = 256;

/// The next trigger that has something waiting, and when that is due.
pub(super) const NEXT_LANE: &str = "SELECT lane, due_ms FROM deliveries
     WHERE state IN ('pending', 'retrying') AND lane > ?1 ORDER BY lane, due_ms LIMIT 1";

/// What a trigger's deliveries are found by.
pub(super) fn lane(listener: &ListenerId, trigger: &TriggerId) -> String {
    let ListenerId { namespace, name } = listener;
    format!("{namespace}\n{name}\n{trigger}")
}

/// The trigger that [`lane`] has made a text of.
fn parse(lane: &str) -> (ListenerId, TriggerId) {
    let mut parts = lane.splitn(3, '\n').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let (namespace, name) = (part(), part());
    (ListenerId { namespace, name }, TriggerId(part()))
}

/// A trigger of a listener that has something due, and room for some of it.
struct Lane {
    listener: ListenerId,
    trigger: TriggerId,
    room: Portion,
}

/// A delivery that is to be leased, and whose it is.
pub(super) type Chosen = (i64, (ListenerId, TriggerId));

/// Chooses what is to be leased: of every trigger the oldest, of every listener
/// as many. What is left is noted in `lease`.
pub(super) fn choose(
    connection: &Connection,
    request: &Request,
    lease: &mut Lease,
) -> Result<Vec<Chosen>, JournalError> {
    if nothing_is_due(connection, request, lease)? {
        return Ok(Vec::new());
    }
    let lanes = look(connection, request, lease)?;
    let listeners = lanes.chunk_by(|one, other| one.listener == other.listener);
    let part = (request.limit / listeners.clone().count().max(1)).max(1);
    let (mut chosen, mut before) = (Vec::<Chosen>::new(), None);
    for of_listener in listeners {
        let (mut wanted, mut taken) = (part, 0);
        for (place, lane) in of_listener.iter().enumerate() {
            if chosen.len() >= request.limit {
                // The next lease begins with those that have got nothing.
                lease.resume = before.map(Cursor);
                return Ok(chosen);
            }
            let room = lane
                .room
                .trigger
                .min(lane.room.listener.saturating_sub(taken));
            let take = wanted.div_ceil(of_listener.len() - place).max(1).min(room);
            let take = take.min(request.limit - chosen.len());
            let found = due(connection, lane, request.now_ms, take)?;
            taken += found.due.len();
            wanted = wanted.saturating_sub(found.due.len());
            let key = (lane.listener.clone(), lane.trigger.clone());
            chosen.extend(found.due.into_iter().map(|id| (id, key.clone())));
            match found.next_ms {
                None => {}
                Some(next_ms) if next_ms <= request.now_ms => lease.left.push(key.clone()),
                Some(next_ms) => lease.is_due_later(next_ms),
            }
            before = Some(key);
        }
    }
    Ok(chosen)
}

/// The common case: whatever is there is due later.
fn nothing_is_due(
    connection: &Connection,
    request: &Request,
    lease: &mut Lease,
) -> Result<bool, JournalError> {
    let next: Option<i64> = connection
        .prepare_cached(
            "SELECT min(due_ms) FROM deliveries WHERE state IN ('pending', 'retrying')",
        )?
        .query_row([], |row| row.get(0))?;
    lease.next_due_ms = next;
    Ok(next.is_none_or(|next| next > request.now_ms))
}

/// Looks at triggers in their order, from where the last lease has stopped.
fn look(
    connection: &Connection,
    request: &Request,
    lease: &mut Lease,
) -> Result<Vec<Lane>, JournalError> {
    lease.next_due_ms = None;
    let mut statement = connection.prepare_cached(NEXT_LANE)?;
    let after = request.after.as_ref();
    let mut at = after.map_or_else(String::new, |Cursor((listener, trigger))| {
        lane(listener, trigger)
    });
    let mut lanes = Vec::new();
    for _ in 0..LOOKED_AT {
        let next = statement.query_row(params![at], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        });
        let Some((found, due_ms)) = next.optional()? else {
            return Ok(lanes);
        };
        let (listener, trigger) = parse(&found);
        at = found;
        if due_ms > request.now_ms {
            lease.is_due_later(due_ms);
            continue;
        }
        let room = request.portions.of(&listener, &trigger);
        lanes.push(Lane {
            listener,
            trigger,
            room,
        });
    }
    lease.resume = Some(Cursor(parse(&at)));
    Ok(lanes)
}

/// What a trigger has.
struct Found {
    /// Those that are due, the oldest first.
    due: Vec<i64>,
    /// When the one behind them is due.
    next_ms: Option<i64>,
}

/// The oldest of a trigger that are due, at most so many.
fn due(
    connection: &Connection,
    of: &Lane,
    now_ms: i64,
    take: usize,
) -> Result<Found, JournalError> {
    if take == 0 {
        let next_ms = Some(now_ms);
        let due = Vec::new();
        return Ok(Found { due, next_ms });
    }
    let mut statement = connection.prepare_cached(
        "SELECT id, due_ms FROM deliveries
         WHERE state IN ('pending', 'retrying') AND lane = ?1
         ORDER BY due_ms, id LIMIT ?2",
    )?;
    let limit = i64::try_from(take).unwrap_or(i64::MAX).saturating_add(1);
    let lane = self::lane(&of.listener, &of.trigger);
    let mut rows = statement.query(params![lane, limit])?;
    let (mut due, mut next_ms) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let due_ms: i64 = row.get(1)?;
        if due_ms > now_ms || due.len() == take {
            next_ms = Some(due_ms);
            break;
        }
        due.push(row.get(0)?);
    }
    Ok(Found { due, next_ms })
}
