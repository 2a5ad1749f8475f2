//! `GET /v1/play`: the WebSocket handshake, after which the raw socket goes to the match's shard.
//!
//! A client that may not join gets a close code rather than an HTTP status, since a browser shows
//! its page only the former.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header},
};
use fastwebsockets::upgrade::{UpgradeFut, is_upgrade_request, upgrade};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tickwire_shared::{close::CloseReason, ids::MatchId, wire::SUBPROTOCOL};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::server::TlsStream;

use super::{Peer, Problem};
use crate::{
    front_door::{Admitted, FrontDoor},
    matches::{Newcomer, Role},
    places::ConnectionPlace,
    socket::{Socket, Upgraded},
};

/// How long a refused client may take to answer the close frame.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(2);

/// The query of `/v1/play`.
#[derive(Debug)]
pub struct PlayQuery {
    /// `None`: any match.
    match_id: Option<MatchId>,
    mode: Option<String>,
    role: Role,
    ticket: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Params {
    /// `auto` (the default) or a match id.
    #[serde(rename = "match")]
    match_id: Option<String>,
    /// The mode, for any match.
    mode: Option<String>,
    #[serde(default)]
    role: PlayRole,
    /// Set (to anything) by a client whose hello will carry a resume token, which says more than
    /// a ticket.
    resume: Option<String>,
    /// The ticket, if the server requires one.
    ticket: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PlayRole {
    #[default]
    Player,
    Spectator,
}

pub(super) async fn play(
    State(door): State<Arc<FrontDoor>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
) -> Result<Response<Body>, Problem> {
    let query = PlayQuery::parse(request.uri()).map_err(Problem::bad_request)?;
    let selector = door
        .matchmaker
        .selector(query.match_id, query.mode.as_deref())
        .map_err(Problem::bad_request)?;
    if !is_upgrade_request(&request) {
        let status = StatusCode::UPGRADE_REQUIRED;
        return Err(Problem::new(status, "upgrade_required", "this route is a WebSocket"));
    }
    let offers_subprotocol = offers_subprotocol(request.headers());
    let address = peer.client(&door, request.headers()).to_canonical();
    let behind = peer.behind(&door, request.headers())?;
    let (response, upgraded) = upgrade(&mut request).map_err(Problem::bad_request)?;
    // Only now: a connection whose upgrade fails keeps its place.
    let place = peer.take_place();
    let mut place =
        place.ok_or_else(|| Problem::bad_request("the connection was upgraded before"))?;
    if let Some(address) = behind {
        place.counts_for(address);
    }
    let mut response = response.map(Body::new);
    let admitted = if offers_subprotocol {
        let chosen = HeaderValue::from_static(SUBPROTOCOL);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
        door.admit(selector, query.role, query.ticket.as_deref())
    } else {
        Err(CloseReason::WrongSubprotocol)
    };
    if let Ok(Admitted { entry, newcomer: Newcomer { id, role, claim } }) = &admitted {
        let (id, match_id) = (id.0, entry.id.0);
        let subject = claim.subject.as_ref().map(|place| &**place.key());
        tracing::debug!(id, match_id, ?role, subject, %address, "admitted");
    }
    tokio::spawn(connect(door, admitted, upgraded, place, address));
    Ok(response)
}

impl PlayQuery {
    /// Parses a query. The error says what is wrong with it.
    pub fn parse(uri: &Uri) -> Result<Self, String> {
        let Query(params) =
            Query::<Params>::try_from_uri(uri).map_err(|rejection| rejection.body_text())?;
        let role = params.role();
        let match_id = match params.match_id.as_deref() {
            None | Some("auto") => None,
            Some(id) => {
                let id = id.parse().map_err(|_| "match must be `auto` or a match id")?;
                Some(MatchId(id))
            }
        };
        Ok(Self { match_id, mode: params.mode, role, ticket: params.ticket })
    }
}

impl Params {
    const fn role(&self) -> Role {
        match (self.role, &self.resume) {
            (PlayRole::Spectator, _) => Role::Spectator,
            (PlayRole::Player, Some(_)) => Role::Resumer,
            (PlayRole::Player, None) => Role::Player,
        }
    }
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offers = offers.filter_map(|offer| offer.to_str().ok()).flat_map(|o| o.split(','));
    offers.any(|offer| offer.trim() == SUBPROTOCOL)
}

/// Hands the socket to the shard once the client has the handshake's response.
async fn connect(
    door: Arc<FrontDoor>,
    admitted: Result<Admitted, CloseReason>,
    upgraded: UpgradeFut,
    place: ConnectionPlace,
    address: IpAddr,
) {
    let Some((stream, leftover)) = Stream::take_over(upgraded).await else { return };
    let upgraded = match stream.into_upgraded(place) {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::warn!(%error, "can't hand a socket over"),
    };
    let taken = match admitted {
        Ok(admitted) => door.connect(admitted, upgraded, leftover.to_vec()),
        Err(reason) => Err((upgraded, reason)),
    };
    if let Err((upgraded, reason)) = taken {
        door.count_refused(reason);
        tracing::debug!(%reason, %address, "refused");
        refuse(upgraded, reason).await;
    }
}

/// The stream below a WebSocket.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Takes a connection from hyper once the client has the handshake's response, with the bytes
    /// that the client has sent since.
    pub(super) async fn take_over(upgraded: UpgradeFut) -> Option<(Self, Bytes)> {
        let upgraded = upgraded.await.ok()?.into_inner().into_inner();
        Some(match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => (Self::Plain(parts.io.into_inner()), parts.read_buf),
            Err(upgraded) => {
                let parts = upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>();
                let parts = parts.expect("the listener serves plain TCP and TLS streams");
                (Self::Tls(Box::new(parts.io.into_inner())), parts.read_buf)
            }
        })
    }

    pub(super) fn into_upgraded(self, place: ConnectionPlace) -> std::io::Result<Upgraded> {
        match self {
            Self::Plain(stream) => Ok(Upgraded { stream: stream.into_std()?, tls: None, place }),
            Self::Tls(stream) => {
                let (stream, tls) = stream.into_inner();
                Ok(Upgraded { stream: stream.into_std()?, tls: Some(Box::new(tls)), place })
            }
        }
    }
}

/// Sends a close frame and waits for the client to close too, as shards do.
async fn refuse(upgraded: Upgraded, reason: CloseReason) {
    let mut socket = Socket::new(upgraded);
    socket.close(reason);
    let (stream, _place) = socket.into_stream();
    let heard = async {
        let mut stream = TcpStream::from_std(stream)?;
        let mut ignored = [0; 256];
        while stream.read(&mut ignored).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // A timeout or an error makes no difference now.
    let _ = tokio::time::timeout(REFUSED_TIMEOUT, heard).await;
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;
    use crate::{http, listener};

    #[tokio::test]
    async fn a_connection_that_no_shard_takes_is_refused_and_counted() {
        let (door, entry) = FrontDoor::with_failed_shard();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = http::routes(Arc::clone(&door));
        tokio::spawn(listener::serve(listener, routes, Arc::clone(&door)));

        let mut stream = TcpStream::connect(addr).await.unwrap();
        let head = "GET /v1/play?match=1 HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    sec-websocket-protocol: tickwire.v1\r\n\r\nwhat it says at once";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it is not reset");
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        let frame = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let code = CloseReason::Overloaded.code().to_be_bytes();
        assert_eq!((answer[frame], &answer[frame + 2..frame + 4]), (0x88, &code[..]));
        assert_eq!(door.refusals()[CloseReason::Overloaded.name()], 1);
        assert_eq!(entry.taken(), 0, "the seat is free again");
    }
}
