//! Where to join: a match, the URL to connect to, and a ticket.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header, uri::Authority},
};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;
use tickwire_shared::ids::MatchId;

use super::{
    Problem,
    api::refuse_when_draining,
    extract::JsonObject,
    security::{Operator, bearer},
};
use crate::{
    directory::{Access, JoinRefused},
    front_door::FrontDoor,
    tickets::{Grant, TICKET_BYTES_MAX, TicketRole, random_id, unix_now},
};

/// The body of `POST /v1/join`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinRequest {
    /// A match id; `auto` (the default) is any match with a free seat, or a new one.
    #[serde(rename = "match", default, deserialize_with = "match_or_auto")]
    match_id: Option<u32>,
    /// With `auto`: one of the game's modes; the first by default.
    mode: Option<String>,
    /// The ticket's subject; only an operator may set it.
    subject: Option<String>,
    /// The ticket's role; player by default. Only an operator may request an operator's.
    role: Option<TicketRole>,
    /// The player's display name.
    name: Option<String>,
    /// What the game is told of the player; only an operator may set it.
    data: Option<Vec<i32>>,
}

/// Where to connect to.
#[derive(Debug, Serialize)]
pub(super) struct JoinAnswer {
    #[serde(rename = "match")]
    match_id: u32,
    url: String,
    /// `null` if the server has no ticket key, or only a public one.
    ticket: Option<String>,
    /// In seconds since 1970.
    expires_at: Option<u64>,
}

/// Picks or opens a match, and issues a ticket. No seat stays reserved: the WebSocket takes one.
pub(super) async fn join(
    State(door): State<Arc<FrontDoor>>,
    operator: Result<Operator, Problem>,
    headers: HeaderMap,
    JsonObject(request): JsonObject<JoinRequest>,
) -> Result<Json<JoinAnswer>, Problem> {
    refuse_when_draining(&door)?;
    let is_operator = operator.is_ok();
    if let Err(problem) = operator {
        request.check_guest(&door, &headers, problem)?;
    }
    // `None` leaves the ticket valid for any match: its bearer gets another one if this one has
    // become full.
    let only = request.match_id.map(MatchId);
    let role = request.role.unwrap_or(TicketRole::Player);
    let subject = request.subject.unwrap_or_else(|| format!("guest-{}", random_id()));
    let (name, data) = (request.name.unwrap_or_default(), request.data.unwrap_or_default());
    let grant = Grant { subject: &subject, role, match_id: only, name: &name, data: &data };
    // Before a match is opened, so that a rejected request leaves none behind.
    if door.tickets.is_some()
        && let Some(flaw) = grant.flaw()
    {
        return Err(Problem::bad_request(flaw));
    }
    let expires_at = unix_now() + door.config.tickets.life.as_secs();
    let ticket = door.tickets.as_ref().and_then(|tickets| tickets.issue(&grant, expires_at));
    if ticket.is_none() && !data.is_empty() {
        let message = "data goes into a ticket, and this server issues none";
        return Err(Problem::bad_request(message));
    }
    if ticket.as_ref().is_some_and(|ticket| ticket.len() > TICKET_BYTES_MAX) {
        let message = format!("the ticket would have over {TICKET_BYTES_MAX} bytes");
        return Err(Problem::bad_request(message));
    }
    let base = base_url(&door, &headers)?;
    let matchmaker = &door.matchmaker;
    let selector =
        matchmaker.selector(only, request.mode.as_deref()).map_err(Problem::bad_request)?;
    let entry = match role {
        TicketRole::Player => matchmaker.reserve(selector).map(|seat| Arc::clone(seat.entry())),
        TicketRole::Spectator | TicketRole::Operator => matchmaker.find_or_open(selector),
    };
    let entry = entry?;
    // A guest's ticket would name the match, and so admit to it.
    if entry.access == Access::Private && door.tickets.is_some() && !is_operator {
        return Err(JoinRefused::NoMatch.into());
    }
    let match_id = entry.id.0;
    let mut url = format!("{base}/v1/play?match={match_id}");
    if role != TicketRole::Player {
        url.push_str("&role=spectator");
    }
    if let Some(ticket) = &ticket {
        url.push_str("&ticket=");
        url.push_str(ticket);
    }
    let expires_at = ticket.is_some().then_some(expires_at);
    Ok(Json(JoinAnswer { match_id, url, ticket, expires_at }))
}

impl JoinRequest {
    /// Checks that anybody may make this request; `problem` says why it is not an operator's.
    fn check_guest(
        &self,
        door: &FrontDoor,
        headers: &HeaderMap,
        problem: Problem,
    ) -> Result<(), Problem> {
        let are_guests = door.tickets.is_none() || door.config.tickets.guests;
        let is_bold = self.subject.is_some()
            || self.data.is_some()
            || self.role == Some(TicketRole::Operator);
        // A request with a token gets the error of the token.
        if !are_guests || is_bold && bearer(headers).is_some() {
            return Err(problem);
        }
        if is_bold {
            let message = "only operators may set subject, data, or the role operator";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message));
        }
        Ok(())
    }
}

/// The URL by which clients reach this server, up to the routes.
fn base_url(door: &FrontDoor, headers: &HeaderMap) -> Result<String, Problem> {
    if let Some(url) = &door.config.public_url {
        return Ok(url.trim_end_matches('/').into());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| host.parse::<Authority>().is_ok());
    let host = host.ok_or_else(|| Problem::bad_request("the request has no valid Host header"))?;
    // A proxy may have ended TLS.
    let is_forwarded = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let scheme = if door.tls.is_some() || is_forwarded { "wss" } else { "ws" };
    Ok(format!("{scheme}://{host}"))
}

fn match_or_auto<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(from)?;
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    let is_any = value.is_null() || value == "auto";
    let wrong = || D::Error::custom(format!("match is `auto` or a match id, not {value}"));
    if is_any { Ok(None) } else { id.map(Some).ok_or_else(wrong) }
}
