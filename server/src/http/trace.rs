//! What the flight recorders of the shards hold, for `chrome://tracing` and ui.perfetto.dev.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{Problem, api::silent, ask::Named, security::Operator};
use crate::{admission::Admission, mailbox::Recorded, matches::Flight};

/// The last ticks of one match.
pub(super) async fn of_match(
    State(admission): State<Arc<Admission>>,
    _: Operator,
    Named(entry): Named,
) -> Result<Json<Value>, Problem> {
    let flights = admission.shards().flights(Recorded::Match(entry.id)).await;
    if flights.get(entry.shard).is_none_or(Option::is_none) {
        return Err(silent());
    }
    Ok(Json(describe(flights)))
}

/// The second before the last overrun of each shard that answers, with all its matches.
pub(super) async fn of_overruns(
    State(admission): State<Arc<Admission>>,
    _: Operator,
) -> Json<Value> {
    Json(describe(admission.shards().flights(Recorded::Overrun).await))
}

fn describe(flights: Vec<Option<Vec<Flight>>>) -> Value {
    let flights: Vec<_> = flights.into_iter().map(Option::unwrap_or_default).collect();
    let mut events = Vec::new();
    for (shard, flights) in flights.iter().enumerate().filter(|(_, flights)| !flights.is_empty()) {
        let name = format!("shard {shard}");
        events.push(
            json!({ "name": "process_name", "ph": "M", "pid": shard, "args": { "name": name } }),
        );
        flights.iter().for_each(|flight| flight.trace_events(shard, &mut events));
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}
