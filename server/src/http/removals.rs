//! Removing players, for operators.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tickwire_shared::ids::{MatchId, Seat};

use super::{Problem, extract::JsonObject, security::Operator};
use crate::{front_door::FrontDoor, mailbox::Removal, matchmaker::MatchSelector};

/// The body of `POST /v1/removals`: a seat of a match, or a subject of tickets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemovalRequest {
    #[serde(rename = "match")]
    match_id: Option<u32>,
    seat: Option<u16>,
    subject: Option<String>,
}

/// The answer of `POST /v1/removals`.
#[derive(Debug, Serialize)]
pub(super) struct Removed {
    /// How many sessions have ended.
    removed: usize,
}

pub(super) async fn remove(
    State(door): State<Arc<FrontDoor>>,
    _: Operator,
    JsonObject(request): JsonObject<RemovalRequest>,
) -> Result<Json<Removed>, Problem> {
    let (only, removal) = match request {
        RemovalRequest { match_id: Some(id), seat: Some(seat), subject: None } => {
            let entry = door.matchmaker.find(MatchSelector::Match(MatchId(id)))?;
            (Some(entry.shard), Removal::Seat(entry.id, Seat(seat)))
        }
        RemovalRequest { match_id: None, seat: None, subject: Some(subject) } => {
            (None, Removal::Subject(subject.into()))
        }
        RemovalRequest { .. } => {
            let either = "name either a `match` and a `seat`, or a `subject`";
            return Err(Problem::bad_request(either));
        }
    };
    let removed = door.shards.remove(only, &removal).await.ok_or_else(Problem::silent)?;
    tracing::info!(?removal, removed, "removed by an operator");
    Ok(Json(Removed { removed }))
}
