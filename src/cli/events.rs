//! `tripline events`: what a running gateway remembers, and what may be done
//! to it, through its admin port.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::gateway::block_on;
use super::{USAGE, fail, print, say};

mod client;
mod filter;
mod replay;
mod table;

use client::{AdminClient, Refused};
use filter::Filter;

/// Flags of `events`. Its status is 0, or 1 where something could not be
/// done, or 2 where it could not be understood.
#[derive(Args)]
pub(super) struct EventsArgs {
    #[command(flatten)]
    gateway: GatewayFlags,
    #[command(subcommand)]
    verb: EventsVerb,
}

/// Which gateway is asked.
#[derive(Args)]
struct GatewayFlags {
    /// The gateway's admin port
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9000",
        global = true
    )]
    admin: String,
    /// File with the bearer token, where the port needs one
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// How it is printed
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        global = true
    )]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people
    Table,
    /// The answers of the API
    Json,
}

#[derive(Subcommand)]
enum EventsVerb {
    /// List events, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show all that is recorded of an event, or of a delivery by its number
    Show {
        /// The event's id, or the delivery's number
        id: String,
        /// Also the body
        #[arg(long)]
        body: bool,
    },
    /// Print events as they come, until it is interrupted
    Tail {
        #[command(flatten)]
        filter: Filter,
    },
    /// List deliveries that were given up and not replayed since, and events
    /// on which nobody could decide
    Dead {
        #[command(flatten)]
        filter: Filter,
        /// Also those that were replayed
        #[arg(long)]
        replayed: bool,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// List events that wait until somebody can decide on them
    Waiting {
        /// Those on which nobody could decide in time
        #[arg(long)]
        given_up: bool,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Perform events once more: by id, or all that a filter means
    Replay(replay::ReplayArgs),
    /// Let deliveries be tried at once that wait for their next attempt
    Retry {
        /// Numbers of deliveries
        #[arg(required = true, value_name = "DELIVERY")]
        deliveries: Vec<i64>,
    },
    /// Give deliveries up, or put dead ones away
    Discard {
        /// Numbers of deliveries
        #[arg(required = true, value_name = "DELIVERY")]
        deliveries: Vec<i64>,
    },
    /// Remove the payload of events from the journal; ids, states and times
    /// stay
    Erase {
        /// Ids of events
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Cancel what is under way
        #[arg(long)]
        force: bool,
    },
}

/// Runs the verb.
pub(super) fn events(args: EventsArgs) -> ExitCode {
    let EventsArgs { gateway, verb } = args;
    let client = match AdminClient::new(&gateway.admin, gateway.token_file.as_deref()) {
        Ok(client) => client,
        Err(error) => return fail(&error, USAGE),
    };
    block_on(async move {
        let done = run(&client, verb, gateway.output).await;
        Ok(done.unwrap_or_else(|error| {
            let is_usage = error
                .downcast_ref::<Refused>()
                .is_some_and(Refused::is_misunderstood);
            fail(&error, if is_usage { USAGE } else { 1 })
        }))
    })
}

async fn run(client: &AdminClient, verb: EventsVerb, format: Format) -> Result<ExitCode> {
    match verb {
        EventsVerb::List { filter, limit } => {
            let listed = list(client, "events", filter.events()?, limit).await?;
            show(format, &listed, table::events);
        }
        EventsVerb::Show { id, body } => return one(client, &id, body, format).await,
        EventsVerb::Tail { filter } => tail(client, filter.events()?, format).await?,
        EventsVerb::Dead {
            filter,
            replayed,
            limit,
        } => {
            let mut query = filter.deliveries()?;
            if replayed {
                query.push(("replayed", "true".into()));
            }
            let listed = list(client, "dead-letters", query, limit).await?;
            show(format, &listed, table::dead_letters);
        }
        EventsVerb::Waiting { given_up, limit } => {
            let query = vec![("givenUp", given_up.to_string())];
            let listed = list(client, "waiting", query, limit).await?;
            show(format, &listed, table::waiting);
        }
        EventsVerb::Replay(args) => return replay::replay(client, args, format).await,
        EventsVerb::Retry { deliveries } => return each(client, "retry", &deliveries).await,
        EventsVerb::Discard { deliveries } => return each(client, "discard", &deliveries).await,
        EventsVerb::Erase { ids, force } => return erase(client, &ids, force).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(format: Format, answer: &Value, table: fn(&Value) -> String) {
    match format {
        Format::Table => print(&table(answer)),
        Format::Json => print(&format!("{answer:#}\n")),
    }
}

/// A list, as many pages of it as it takes.
async fn list(
    client: &AdminClient,
    path: &str,
    query: Vec<(&'static str, String)>,
    limit: usize,
) -> Result<Value> {
    let mut whole: Option<Value> = None;
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    while items.len() < limit.max(1) {
        let mut query = query.clone();
        query.push(("limit", (limit.max(1) - items.len()).min(500).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = client.get(&format!("/api/v1/{path}"), &query).await?;
        if let Value::Array(more) = page["items"].take() {
            items.extend(more);
        }
        cursor = page["next"].as_str().map(str::to_owned);
        whole.get_or_insert(page);
        if cursor.is_none() {
            break;
        }
    }
    let mut whole = whole.unwrap_or_default();
    whole["items"] = Value::Array(items);
    whole["next"] = cursor.map_or(Value::Null, Value::String);
    Ok(whole)
}

/// An event, or a delivery where the id is a number.
async fn one(client: &AdminClient, id: &str, body: bool, format: Format) -> Result<ExitCode> {
    if id.parse::<i64>().is_ok() {
        let found = client.get(&format!("/api/v1/deliveries/{id}"), &[]).await?;
        show(format, &found, table::delivery);
    } else {
        let query = [("body", body.to_string())];
        let found = client.get(&format!("/api/v1/events/{id}"), &query).await?;
        show(format, &found, table::event);
    }
    Ok(ExitCode::SUCCESS)
}

/// How often it is looked for new events.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Events that are looked at for new ones.
const NEWEST: usize = 100;

async fn tail(
    client: &AdminClient,
    query: Vec<(&'static str, String)>,
    format: Format,
) -> Result<()> {
    let mut seen = std::collections::VecDeque::<String>::new();
    let mut is_first = true;
    loop {
        let page = list(client, "events", query.clone(), NEWEST).await?;
        let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
        // What was there before is not new.
        let fresh = items.iter().rev().filter(|event| {
            let key = format!("{}{}", event["id"], event["receivedAt"]);
            let is_new = !seen.contains(&key);
            if is_new {
                seen.push_back(key);
            }
            is_new && !is_first
        });
        for event in fresh.collect::<Vec<_>>() {
            match format {
                Format::Table => print(&table::event_lines(event)),
                Format::Json => print(&format!("{event}\n")),
            }
        }
        while seen.len() > 10 * NEWEST {
            seen.pop_front();
        }
        is_first = false;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Does the same to each delivery; one that fails does not keep the others.
async fn each(client: &AdminClient, what: &str, deliveries: &[i64]) -> Result<ExitCode> {
    let mut failed = false;
    for id in deliveries {
        let path = format!("/api/v1/deliveries/{id}/{what}");
        match client.post(&path, &json!({})).await {
            Ok(_) => say(&format!("delivery {id}: {what}: done")),
            Err(error) => failed = complained(&error)?,
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

async fn erase(client: &AdminClient, ids: &[String], force: bool) -> Result<ExitCode> {
    let mut failed = false;
    for id in ids {
        let path = format!("/api/v1/events/{id}/erase");
        match client.post(&path, &json!({ "force": force })).await {
            Ok(erased) => say(&format!(
                "event {id}: erased, {} and {} cancelled",
                super::count(number(&erased["requests"]), "request"),
                erased["cancelled"].as_array().map_or(0, Vec::len),
            )),
            Err(error) => failed = complained(&error)?,
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

fn number(value: &Value) -> usize {
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or_default()
}

/// Says what was refused. Whatever else went wrong ends it.
fn complained(error: &anyhow::Error) -> Result<bool> {
    match error.downcast_ref::<Refused>() {
        Some(refused) => {
            say(&format!("tripline: {refused}"));
            Ok(true)
        }
        None => Err(anyhow::anyhow!("{error:#}")),
    }
}
