//! How large the journal is, as metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::journal::Counts;
use crate::journal::upkeep::Room;
use crate::model::verdict::DeliveryState;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Refused {
    reason: &'static str,
}

impl Refused {
    pub(super) fn of(reason: &'static str) -> Self {
        Self { reason }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kept {
    state: &'static str,
}

/// What is known of the journal.
#[derive(Default)]
pub(super) struct JournalMetrics {
    file: Gauge,
    log: Gauge,
    unused: Gauge,
    disk: Gauge,
    refusing: Gauge,
    pub(super) refused: Family<Refused, Counter>,
    deliveries: Family<Kept, Gauge>,
    waiting: Gauge,
    given_up: Gauge,
}

impl JournalMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "journal_file_bytes",
                "Size of the journal's file",
                &self.file,
            ),
            ("journal_log_bytes", "Size of the journal's log", &self.log),
            (
                "journal_unused_bytes",
                "Bytes of the journal's file that nothing needs",
                &self.unused,
            ),
            (
                "journal_disk_free_bytes",
                "Free bytes of the journal's disk",
                &self.disk,
            ),
            (
                "journal_refusing",
                "Whether the journal takes no new events",
                &self.refusing,
            ),
            (
                "journal_waiting",
                "Events that wait until somebody can decide on them",
                &self.waiting,
            ),
            (
                "journal_given_up",
                "Events that have waited for too long and are kept",
                &self.given_up,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "journal_refused",
            "Events that the journal did not take, by why",
            self.refused.clone(),
        );
        registry.register(
            "journal_deliveries",
            "Deliveries in the journal, by where they stand",
            self.deliveries.clone(),
        );
    }

    /// Notes how large it is.
    pub(super) fn note_room(&self, room: &Room) {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.file, room.file);
        set(&self.log, room.log);
        set(&self.unused, room.unused);
        set(&self.disk, room.disk.unwrap_or_default());
        set(&self.refusing, u64::from(room.refusal.is_some()));
    }

    /// Notes what is in it.
    pub(super) fn note_counts(&self, counts: &Counts) {
        for state in DeliveryState::ALL {
            let found = counts.deliveries.iter().find(|(known, _)| *known == state);
            let kept = Kept {
                state: state.as_str(),
            };
            let count = found.map_or(0, |(_, count)| *count);
            let gauge = self.deliveries.get_or_create(&kept);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.waiting, counts.deferred);
        set(&self.given_up, counts.given_up);
    }
}
