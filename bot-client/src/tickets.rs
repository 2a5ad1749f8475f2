//! Tickets for bots, requested from the server with an operator's token.

use std::{fmt::Display, io};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};

use crate::{
    connection::{ConnectError, not_dialed},
    dial::Dialer,
    target::{Target, with_query},
};

/// Longest response that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Adds a fresh ticket, which admits one bot once, to a path.
pub(crate) async fn path_with_ticket(
    dialer: &Dialer,
    target: &Target,
    token: &str,
    wanted: &str,
    number: usize,
) -> Result<String, ConnectError> {
    let no_ticket = |why: &dyn Display| ConnectError::NoTicket(why.to_string());
    let request = Request::post(target.join_path())
        .header(header::HOST, target.authority())
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(join_request(wanted, number).to_string()))
        .map_err(|error| no_ticket(&error))?;
    let socket = TokioIo::new(dialer.dial().await.map_err(not_dialed)?);
    let (mut sender, connection) = http1::handshake(socket).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = answer.status();
    let refused = ConnectError::Refused(status);
    if refused.is_temporary() {
        return Err(refused);
    }
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(io::Error::other)?.to_bytes();
    // A proxy's answer is no JSON.
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(message) = answer["error"]["message"].as_str() {
        return Err(no_ticket(&message));
    }
    if !status.is_success() {
        return Err(refused);
    }
    let ticket = answer["ticket"].as_str().ok_or_else(|| no_ticket(&"the server signs none"))?;
    Ok(with_query(wanted, &format!("ticket={ticket}")))
}

/// Converts a path's query into the body of `POST /v1/join`.
fn join_request(path: &str, number: usize) -> Value {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut body = Map::from_iter([("subject".into(), json!(format!("bot-{number}")))]);
    for (name, value) in pairs {
        match (name, value.parse::<u32>()) {
            ("match", Ok(id)) => drop(body.insert("match".into(), json!(id))),
            ("role" | "mode", _) => drop(body.insert(name.into(), json!(value))),
            _ => {}
        }
    }
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_request_asks_for_what_the_path_does() {
        let any = json!({ "subject": "bot-3" });
        assert_eq!(join_request("/v1/play?match=auto", 3), any);
        let watch = json!({ "subject": "bot-3", "match": 7, "role": "spectator" });
        assert_eq!(join_request("/v1/play?match=7&role=spectator", 3), watch);
        // Otherwise a match of another mode would be opened for each ticket.
        let duel = json!({ "subject": "bot-3", "mode": "duel" });
        assert_eq!(join_request("/v1/play?match=auto&mode=duel", 3), duel);
    }
}
