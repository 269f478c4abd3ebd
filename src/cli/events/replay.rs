//! `tripline events replay`.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::{count, print, say};

use super::client::{AdminClient, Refused};
use super::filter::Filter;
use super::{Format, table};

/// Events that one request replays: whoever interrupts waits for no more.
const AT_ONCE: usize = 10;

/// What is performed once more, and how.
#[derive(Args)]
pub(super) struct ReplayArgs {
    /// Ids of events, or numbers of deliveries: their triggers alone
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All dead letters that the filter means: their triggers alone
    #[arg(long, conflicts_with = "ids")]
    dead: bool,
    #[command(flatten)]
    filter: Filter,
    /// By the triggers of then, with what they decided
    #[arg(long)]
    as_recorded: bool,
    /// Only say what would fire, and why; write nothing
    #[arg(long)]
    dry_run: bool,
    /// With a filter: also events that were replayed before
    #[arg(long)]
    again: bool,
    /// With a filter: how many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// What was done so far.
#[derive(Default)]
struct Tally {
    replayed: usize,
    silent: usize,
    failed: usize,
    skipped: usize,
    results: Vec<Value>,
}

/// Replays. Its status is 1 where something that was meant was not performed.
pub(super) async fn replay(
    client: &AdminClient,
    args: ReplayArgs,
    format: Format,
) -> Result<ExitCode> {
    let mut tally = Tally::default();
    let left = match args.ids.is_empty() {
        true => by_filter(client, &args, format, &mut tally).await?,
        false => {
            by_id(client, &args, format, &mut tally).await?;
            false
        }
    };
    if format == Format::Json {
        print(&format!("{:#}\n", json!({ "results": tally.results })));
    }
    say(&tally.summary(args.dry_run));
    if left {
        say(&format!(
            "there may be more: the limit of {} is reached; go on with the same command, which leaves out what was replayed, or with a larger --limit",
            args.limit
        ));
    }
    let is_whole = tally.failed == 0 && (args.ids.is_empty() || tally.silent == 0);
    Ok(ExitCode::from(u8::from(!is_whole)))
}

/// The events that are named, one after the other.
async fn by_id(
    client: &AdminClient,
    args: &ReplayArgs,
    format: Format,
    tally: &mut Tally,
) -> Result<()> {
    for id in &args.ids {
        let mut order = order_of(args);
        let path = match id.parse::<i64>() {
            Ok(number) => {
                order.insert("deliveries".into(), json!([number]));
                "/api/v1/replay".to_owned()
            }
            Err(_) => {
                if let Some(trigger) = &args.filter.trigger {
                    order.insert("triggers".into(), json!([trigger]));
                }
                format!("/api/v1/events/{id}/replay")
            }
        };
        match client.post(&path, &Value::Object(order)).await {
            Ok(answer) => match answer["results"].as_array() {
                Some(results) => tally.take(results.clone(), format),
                None => tally.take(vec![answer], format),
            },
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(refused) if !refused.is_misunderstood() => {
                    say(&format!("tripline: {refused}"));
                    tally.failed += 1;
                }
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// All that the filter means, up to the limit. Whether there may be more.
async fn by_filter(
    client: &AdminClient,
    args: &ReplayArgs,
    format: Format,
    tally: &mut Tally,
) -> Result<bool> {
    ensure!(
        args.dead || !args.filter.is_empty(),
        "say which: ids of events, a filter such as --since 2h, or --dead"
    );
    let filter = match args.dead {
        true => args.filter.deliveries()?,
        false => args.filter.events()?,
    };
    let filter: Map<String, Value> = filter
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let mut cursor = Value::Null;
    loop {
        let left = args.limit.saturating_sub(tally.results_seen());
        if left == 0 {
            return Ok(true);
        }
        let mut order = order_of(args);
        let what = if args.dead { "deadLetters" } else { "filter" };
        order.insert(what.into(), filter.clone().into());
        order.insert("again".into(), args.again.into());
        order.insert("limit".into(), left.min(AT_ONCE).into());
        if !cursor.is_null() {
            order.insert("cursor".into(), cursor.take());
        }
        let mut answer = client.post("/api/v1/replay", &Value::Object(order)).await?;
        tally.skipped += super::number(&answer["skipped"]);
        if let Value::Array(results) = answer["results"].take() {
            tally.take(results, format);
        }
        cursor = answer["next"].take();
        if cursor.is_null() {
            return Ok(false);
        }
    }
}

fn order_of(args: &ReplayArgs) -> Map<String, Value> {
    Map::from_iter([
        ("asRecorded".to_owned(), args.as_recorded.into()),
        ("dryRun".to_owned(), args.dry_run.into()),
    ])
}

impl Tally {
    fn results_seen(&self) -> usize {
        self.replayed + self.silent + self.failed
    }

    /// Counts results, and prints them for people as they come.
    fn take(&mut self, results: Vec<Value>, format: Format) {
        for result in results {
            let triggers = result["triggers"].as_array();
            let fires = triggers.is_some_and(|rows| rows.iter().any(|row| row["fires"] == true));
            let waits = super::number(&result["waitsAgain"]) > 0;
            if !result["error"].is_null() {
                self.failed += 1;
            } else if fires || waits {
                self.replayed += 1;
            } else {
                self.silent += 1;
            }
            match format {
                Format::Table => print(&table::replayed(&result)),
                Format::Json => self.results.push(result),
            }
        }
    }

    fn summary(&self, dry_run: bool) -> String {
        let verb = if dry_run {
            "would be replayed"
        } else {
            "replayed"
        };
        let mut parts = vec![format!("{} {verb}", count(self.replayed, "event"))];
        for (number, what) in [
            (self.silent, "in which nothing fires"),
            (self.failed, "that cannot be replayed"),
            (self.skipped, "left out: a replay, or replayed before"),
        ] {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        parts.join(", ")
    }
}
