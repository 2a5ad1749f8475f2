//! Signals to games, for operators.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use tickwire_shared::{game::SIGNAL_MAX, ids::MatchId};

use super::{Problem, extract::JsonObject, security::Operator};
use crate::{directory::JoinRefused, front_door::FrontDoor, matchmaker::MatchSelector};

/// The body of `POST /v1/signals`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalRequest {
    #[serde(rename = "match")]
    match_id: u32,
    values: Vec<i32>,
}

pub(super) async fn signal(
    State(door): State<Arc<FrontDoor>>,
    _: Operator,
    JsonObject(SignalRequest { match_id, values }): JsonObject<SignalRequest>,
) -> Result<StatusCode, Problem> {
    if values.len() > SIGNAL_MAX {
        return Err(Problem::bad_request(format!("a signal has at most {SIGNAL_MAX} values")));
    }
    let entry = door.matchmaker.find(MatchSelector::Match(MatchId(match_id)))?;
    match door.shards.signal(&entry, values.into()).await.ok_or_else(Problem::silent)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(JoinRefused::NoMatch.into()),
    }
}
