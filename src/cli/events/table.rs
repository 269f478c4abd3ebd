//! Answers of the admin port, in lines for people.

use std::fmt::Write;

use serde_json::Value;

/// Text of a value: nothing where there is none.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Columns as wide as their widest cell.
fn columns(head: &[&str], lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max();
        widest.unwrap_or_default().max(head[column].len())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let mut out = String::new();
    for line in std::iter::once(&head).chain(lines) {
        let cells = line.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn more(answer: &Value, out: &mut String) {
    if !answer["next"].is_null() {
        out.push_str("… and more: give a larger --limit\n");
    }
}

/// State and reason.
fn standing(delivery: &Value) -> String {
    match &delivery["reason"] {
        Value::Null => text(&delivery["state"]),
        reason => format!("{} {}", text(&delivery["state"]), text(reason)),
    }
}

/// A list of events: a line for each of their deliveries.
pub(super) fn events(answer: &Value) -> String {
    let lines: Vec<Vec<String>> = rows(&answer["items"]).iter().flat_map(lines_of).collect();
    let head = [
        "RECEIVED", "EVENT", "LISTENER", "DELIVERY", "TRIGGER", "STATE",
    ];
    let mut out = columns(&head, &lines);
    more(answer, &mut out);
    out
}

/// One event, as it comes.
pub(super) fn event_lines(event: &Value) -> String {
    let lines = lines_of(event);
    let lines = lines
        .iter()
        .map(|line| format!("{}\n", line.join("  ").trim_end()));
    lines.collect()
}

fn lines_of(event: &Value) -> Vec<Vec<String>> {
    let own = |name: &str| text(&event[name]);
    let deliveries = rows(&event["deliveries"]).iter();
    let deliveries = deliveries.map(|delivery| {
        vec![
            own("receivedAt"),
            own("id"),
            own("listener"),
            text(&delivery["id"]),
            text(&delivery["trigger"]),
            standing(delivery),
        ]
    });
    deliveries.collect()
}

/// Deliveries that were given up, and events on which nobody could decide.
pub(super) fn dead_letters(answer: &Value) -> String {
    let line = |delivery: &Value| {
        let own = |name: &str| text(&delivery[name]);
        vec![
            own("updatedAt"),
            own("id"),
            own("event"),
            own("trigger"),
            own("attempts"),
            own("reason"),
            own("replayedBy"),
        ]
    };
    let lines: Vec<Vec<String>> = rows(&answer["items"]).iter().map(line).collect();
    let head = [
        "DIED",
        "DELIVERY",
        "EVENT",
        "TRIGGER",
        "ATTEMPTS",
        "REASON",
        "REPLAYED BY",
    ];
    let mut out = columns(&head, &lines);
    more(answer, &mut out);
    if !rows(&answer["givenUp"]["items"]).is_empty() {
        out.push_str("\nevents on which nobody could decide in time:\n");
        out.push_str(&waiting(&answer["givenUp"]));
    }
    out
}

/// Events that wait.
pub(super) fn waiting(answer: &Value) -> String {
    let line = |waiting: &Value| {
        let triggers: Vec<String> = rows(&waiting["triggers"]).iter().map(text).collect();
        vec![
            text(&waiting["receivedAt"]),
            text(&waiting["event"]),
            text(&waiting["listener"]),
            triggers.join(", "),
            text(&waiting["givenUpAt"]),
        ]
    };
    let lines: Vec<Vec<String>> = rows(&answer["items"]).iter().map(line).collect();
    let head = ["RECEIVED", "EVENT", "LISTENER", "TRIGGERS", "GIVEN UP"];
    let mut out = columns(&head, &lines);
    more(answer, &mut out);
    out
}

/// What an event's triggers made of it once more.
pub(super) fn replayed(result: &Value) -> String {
    let event = text(&result["event"]);
    if !result["error"].is_null() {
        return format!("{event}: {}\n", text(&result["error"]["message"]));
    }
    let mut out = match &result["replay"] {
        Value::Null => format!("{event}\n"),
        replay => format!("{event} → {}\n", text(replay)),
    };
    for row in rows(&result["triggers"]) {
        let fires = if row["fires"] == true {
            "fires"
        } else {
            "does not fire"
        };
        let _ = write!(
            out,
            "  {}: {fires}, {}",
            text(&row["trigger"]),
            text(&row["verdict"])
        );
        for part in ["reason", "detail"] {
            if !row[part].is_null() {
                let _ = write!(out, ": {}", text(&row[part]));
            }
        }
        out.push('\n');
    }
    if result["waitsAgain"].as_u64().unwrap_or_default() > 0 {
        out.push_str("  had been given up; it is judged again\n");
    }
    out
}

/// All that is recorded of an event.
pub(super) fn event(answer: &Value) -> String {
    let mut out = format!("event      {}\n", text(&answer["id"]));
    for request in rows(&answer["requests"]) {
        for (name, key) in [
            ("listener", "listener"),
            ("received", "receivedAt"),
            ("sender", "sender"),
            ("delivery", "deliveryId"),
            ("replays", "replayOf"),
            ("erased", "erasedAt"),
            ("url", "url"),
        ] {
            if !request[key].is_null() {
                let _ = writeln!(out, "{name:10} {}", text(&request[key]));
            }
        }
        for proven in rows(&request["proven"]) {
            let (by, secret) = (text(&proven["verifier"]), text(&proven["secret"]));
            let _ = writeln!(out, "proved     by secret {secret} ({by})");
        }
        let _ = writeln!(out, "body       {} bytes", text(&request["bodyBytes"]));
        if let Some(headers) = request["headers"].as_object() {
            for (name, values) in headers {
                let values: Vec<String> = rows(values).iter().map(text).collect();
                let _ = writeln!(out, "  {name}: {}", values.join(", "));
            }
        }
        for body in ["body", "bodyBase64"] {
            if !request[body].is_null() {
                let _ = writeln!(out, "{}", text(&request[body]));
            }
        }
        for one in rows(&request["deliveries"]) {
            out.push('\n');
            out.push_str(&delivery(one));
        }
    }
    for waiting in rows(&answer["waiting"]) {
        let triggers: Vec<String> = rows(&waiting["triggers"]).iter().map(text).collect();
        let how = match &waiting["givenUpAt"] {
            Value::Null => "waits".to_owned(),
            at => format!("was given up at {}", text(at)),
        };
        let _ = writeln!(out, "\n{how} for {}", triggers.join(", "));
    }
    for replay in rows(&answer["replays"]) {
        let _ = writeln!(out, "replayed by {}", text(replay));
    }
    out
}

/// All that is recorded of a delivery.
pub(super) fn delivery(delivery: &Value) -> String {
    let (id, trigger) = (text(&delivery["id"]), text(&delivery["trigger"]));
    let mut out = format!(
        "delivery {id} of trigger {trigger}: {}\n",
        standing(delivery)
    );
    if !delivery["dueAt"].is_null() {
        let _ = writeln!(out, "  due at {}", text(&delivery["dueAt"]));
    }
    if !delivery["replayedBy"].is_null() {
        let _ = writeln!(out, "  replayed by {}", text(&delivery["replayedBy"]));
    }
    for finding in rows(&delivery["findings"]) {
        let (step, verdict) = (text(&finding["step"]), text(&finding["verdict"]));
        let _ = writeln!(out, "  {step}: {verdict} {}", text(&finding["detail"]));
    }
    for param in rows(&delivery["params"]) {
        let _ = writeln!(out, "  param {} = {}", text(&param["name"]), param["value"]);
    }
    for manifest in rows(&delivery["manifests"]) {
        let name = text(&manifest["metadata"]["name"]);
        let _ = writeln!(out, "  makes {} {name}", text(&manifest["kind"]));
    }
    for attempt in rows(&delivery["attemptsMade"]) {
        let (at, took) = (text(&attempt["startedAt"]), text(&attempt["durationMs"]));
        let (reason, detail) = (text(&attempt["reason"]), text(&attempt["detail"]));
        let _ = writeln!(out, "  attempt at {at}, {took} ms {reason} {detail}");
    }
    out.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_stand_below_one_another() {
        let lines = [
            vec!["a".to_owned(), "long".to_owned()],
            vec!["bbb".to_owned(), "c".to_owned()],
        ];
        assert_eq!(columns(&["X", "Y"], &lines), "X    Y\na    long\nbbb  c\n");
    }

    #[test]
    fn a_replay_tells_why_a_trigger_does_not_fire() {
        let result = json!({"event": "e", "replay": null, "waitsAgain": 0, "triggers": [
            {"trigger": "t", "fires": false, "verdict": "refused", "reason": "token_missing", "detail": "why"},
        ]});
        assert_eq!(
            replayed(&result),
            "e\n  t: does not fire, refused: token_missing: why\n"
        );
    }
}
