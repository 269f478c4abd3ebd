//! What the journal remembers, for people: read beside the writer, a bounded
//! part at once.

use rusqlite::Connection;

use crate::journal::history::{
    Change, DeliveryFilter, DeliveryRecord, DeliverySummary, Erasure, EventFilter, EventRecord,
    EventSummary, History, Page, Paging, WaitingSummary,
};
use crate::journal::{Done, JournalError};
use crate::model::ids::{DeliveryId, EventId};

use super::{SqliteJournal, erase};

mod deliveries;
mod events;
mod record;
mod waiting;

/// Rows that one page looks at. Where fewer of them are wanted than were asked
/// for, the page is short and has a cursor.
const WINDOW: usize = 10_000;

impl History for SqliteJournal {
    fn events(&self, filter: EventFilter, page: Paging) -> Done<'_, Page<EventSummary>> {
        self.read(move |connection| events::list(connection, &filter, &page))
    }

    fn event(&self, id: EventId) -> Done<'_, Option<EventRecord>> {
        self.read(move |connection| in_one_view(connection, || record::event(connection, id)))
    }

    fn deliveries(&self, filter: DeliveryFilter, page: Paging) -> Done<'_, Page<DeliverySummary>> {
        self.read(move |connection| deliveries::list(connection, &filter, &page))
    }

    fn delivery(&self, id: DeliveryId) -> Done<'_, Option<(DeliverySummary, DeliveryRecord)>> {
        self.read(move |connection| in_one_view(connection, || record::delivery(connection, id)))
    }

    fn waiting(&self, page: Paging) -> Done<'_, Page<WaitingSummary>> {
        self.read(move |connection| waiting::list(connection, &page))
    }

    fn erase(&self, id: EventId, force: bool, now_ms: i64) -> Done<'_, Erasure> {
        let erased = self.write(move |connection| erase::erase(connection, id, force, now_ms));
        Box::pin(async move {
            let erased = erased.await?;
            if matches!(erased, Erasure::Erased { .. }) {
                // The log still has what the database has no more.
                self.read(erase::empty_log).await?;
            }
            Ok(erased)
        })
    }

    fn discard(&self, id: DeliveryId, now_ms: i64) -> Done<'_, Change> {
        self.write(move |connection| erase::discard(connection, id, now_ms))
    }

    fn retry_now(&self, id: DeliveryId, now_ms: i64) -> Done<'_, Change> {
        self.write(move |connection| erase::retry_now(connection, id, now_ms))
    }

    fn wait_again(&self, id: EventId) -> Done<'_, usize> {
        self.write(move |connection| erase::wait_again(connection, id))
    }

    fn forget_payloads(&self, before_ms: i64, now_ms: i64) -> Done<'_, usize> {
        let forgotten =
            self.write(move |connection| erase::forget_payloads(connection, before_ms, now_ms));
        Box::pin(async move {
            let forgotten = forgotten.await?;
            if forgotten > 0 && forgotten < erase::AT_ONCE {
                // Who reads now lets the log be emptied another time.
                let _ = self.read(erase::empty_log).await;
            }
            Ok(forgotten)
        })
    }
}

/// Lets several questions see one state of the journal.
fn in_one_view<T>(
    connection: &Connection,
    ask: impl FnOnce() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    let view = connection.unchecked_transaction()?;
    let answer = ask()?;
    view.finish()?;
    Ok(answer)
}

/// Where a page ends: what its list is sorted by, and the number of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(i64, i64);

impl Place {
    /// What comes before all there is.
    const START: Self = Self(i64::MAX, i64::MAX);

    fn of(page: &Paging) -> Result<Self, JournalError> {
        let Some(cursor) = &page.cursor else {
            return Ok(Self::START);
        };
        let parts = cursor.split_once('.');
        let read = parts.and_then(|(at, id)| Some(Self(at.parse().ok()?, id.parse().ok()?)));
        read.ok_or(JournalError::Cursor)
    }

    fn cursor(self) -> String {
        format!("{}.{}", self.0, self.1)
    }
}

/// Collects a page from rows that are looked at one after the other.
struct Collecting<T> {
    items: Vec<T>,
    limit: usize,
    looked_at: usize,
    last: Option<Place>,
}

impl<T> Collecting<T> {
    fn new(page: &Paging) -> Self {
        Self {
            items: Vec::new(),
            limit: page.limit.max(1),
            looked_at: 0,
            last: None,
        }
    }

    /// Whether nothing more fits or may be looked at.
    fn is_over(&self) -> bool {
        self.items.len() >= self.limit || self.looked_at >= WINDOW
    }

    fn look(&mut self, at: Place, item: Option<T>) {
        self.looked_at += 1;
        self.last = Some(at);
        self.items.extend(item);
    }

    /// The page; `more` says whether there was another row.
    fn page(self, more: bool) -> Page<T> {
        Page {
            items: self.items,
            next: self.last.filter(|_| more).map(Place::cursor),
        }
    }
}
