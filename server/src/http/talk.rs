//! Operators' notices, and the lobby chat.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use tickwire_shared::{
    ids::MatchId,
    social::{CHAT_CHARS_MAX, NOTICE_CHARS_MAX, clean_line, clean_name},
};

use super::{
    Peer, Problem,
    extract::JsonObject,
    security::{Operator, bearer},
};
use crate::{
    front_door::FrontDoor,
    lobby::LobbyLine,
    tickets::{TicketRole, unix_now},
};

/// The body of `POST /v1/notices`, and its answer with the text cleaned.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notice {
    /// The match; all matches by default.
    #[serde(rename = "match")]
    match_id: Option<u32>,
    text: String,
}

pub(super) async fn notice(
    State(door): State<Arc<FrontDoor>>,
    _: Operator,
    JsonObject(Notice { match_id, text }): JsonObject<Notice>,
) -> Result<(StatusCode, Json<Notice>), Problem> {
    let text = clean_line(&text, NOTICE_CHARS_MAX).map_err(|_| {
        Problem::bad_request(format!("a notice has 1 to {NOTICE_CHARS_MAX} characters"))
    })?;
    if !door.notice(match_id.map(MatchId), &text)? {
        let message = "a shard does not answer: its matches get the notice later, or not at all";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_told", message));
    }
    Ok((StatusCode::CREATED, Json(Notice { match_id, text })))
}

/// The body of `POST /v1/chat`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saying {
    name: Option<String>,
    text: String,
}

/// The answer of `GET /v1/chat`.
#[derive(Debug, Serialize)]
pub(super) struct Lines {
    lines: Vec<LobbyLine>,
}

pub(super) async fn lines(State(door): State<Arc<FrontDoor>>) -> Json<Lines> {
    Json(Lines { lines: door.followers.chat_lines() })
}

pub(super) async fn say(
    State(door): State<Arc<FrontDoor>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    JsonObject(said): JsonObject<Saying>,
) -> Result<(StatusCode, Json<LobbyLine>), Problem> {
    let shown = door.tickets.as_ref().zip(bearer(&headers));
    let shown = shown.map(|(tickets, token)| tickets.check(token, unix_now())).transpose();
    let is_closed = door.tickets.is_some() && !door.config.tickets.guests;
    let refuse = |why| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", why);
    let ticket = match shown {
        Ok(None) if is_closed => return Err(refuse("a ticket is needed".into())),
        Err(error) if is_closed => return Err(refuse(format!("a ticket is needed: {error}"))),
        shown => shown.ok().flatten(),
    };
    // A backend passes on the lines of all its players.
    let is_operators = ticket.as_ref().is_some_and(|ticket| ticket.role == TicketRole::Operator);
    let limited = (!is_operators).then(|| peer.client(&door, &headers));
    let text = clean_line(&said.text, CHAT_CHARS_MAX).map_err(Problem::bad_request)?;
    let name = ticket.and_then(|ticket| clean_name(&ticket.name));
    let name = name.or_else(|| clean_name(&said.name?)).unwrap_or_else(|| "guest".into());
    let line = door.followers.chat(limited, &name, &text).ok_or_else(|| {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Problem::new(status, "too_fast", "too many lines in a short time")
    })?;
    Ok((StatusCode::CREATED, Json(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_notice_that_a_shard_does_not_take_is_a_problem() {
        let (door, entry) = FrontDoor::with_failed_shard();
        for match_id in [None, Some(entry.id.0)] {
            let sent = JsonObject(Notice { match_id, text: "soon".into() });
            let problem = notice(State(Arc::clone(&door)), Operator, sent).await.unwrap_err();
            assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE, "{}", problem.message);
        }
    }
}
