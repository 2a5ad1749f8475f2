//! The HTTP routes: pages, API, health, and the WebSocket handshake.

mod api;
#[cfg(test)]
mod echo;
mod events;
mod extract;
mod join;
mod metrics;
mod monitor;
mod openapi;
mod pages;
mod play;
mod problem;
mod proxies;
mod removals;
mod security;
mod signals;
mod talk;
mod trace;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::HttpBody,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderMap, StatusCode},
    middleware,
    response::Response,
    routing::{MethodRouter, get, post},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    front_door::FrontDoor,
    handshakes::HandshakePlace,
    locks::lock,
    places::{AddressPlace, ConnectionPlace, Rejection},
};
pub(crate) use monitor::sample;
pub use play::PlayQuery;
use problem::{Problem, status_of};
pub use proxies::Proxies;
pub use security::Origins;

/// Longest body that a request may have.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How often idle connections of proxies are checked.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long writing the answer to a rejected connection may take.
const REJECT_TIMEOUT: Duration = Duration::from_secs(1);

/// All routes.
pub(crate) fn routes(door: Arc<FrontDoor>) -> Router {
    with_routes(pages::routes(), api_routes())
        .layer(middleware::from_fn_with_state(Arc::clone(&door), security::guard))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(door)
}

/// The routes of the health port.
pub(crate) fn health_routes(door: Arc<FrontDoor>) -> Router {
    with_routes(Router::new(), health()).with_state(door)
}

fn with_routes(
    router: Router<Arc<FrontDoor>>,
    routes: impl IntoIterator<Item = Route>,
) -> Router<Arc<FrontDoor>> {
    routes
        .into_iter()
        .fold(router, |router, (path, methods)| router.route(path, methods))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "no such route"))
        .method_not_allowed_fallback(async || {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Problem::new(status, "method_not_allowed", "the route has no such method")
        })
}

/// A path and its handlers.
type Route = (&'static str, MethodRouter<Arc<FrontDoor>>);

fn health() -> [Route; 3] {
    [
        ("/livez", get(api::livez)),
        ("/readyz", get(api::readyz)),
        ("/metrics", get(metrics::metrics)),
    ]
}

/// The routes of the API; `openapi.json` describes each.
fn api_routes() -> Vec<Route> {
    let mut routes = vec![
        ("/v1/play", get(play::play)),
        ("/v1/matches", get(api::list).post(api::create)),
        ("/v1/matches/{id}", get(api::show)),
        ("/v1/matches/{id}/trace", get(trace::of_match)),
        ("/v1/overruns", get(trace::of_overruns)),
        ("/v1/join", post(join::join)),
        ("/v1/monitor", get(monitor::monitor)),
        ("/v1/events", get(events::all)),
        ("/v1/matches/{id}/events", get(events::one)),
        ("/v1/chat", get(talk::lines).post(talk::say)),
        ("/v1/notices", post(talk::notice)),
        ("/v1/removals", post(removals::remove)),
        ("/v1/signals", post(signals::signal)),
        ("/v1/openapi.json", get(openapi::document)),
    ];
    routes.extend(health());
    routes
}

/// The other end of an HTTP connection, and the places that the connection holds.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The client's address, or a proxy's.
    ip: IpAddr,
    held: Arc<Mutex<Held>>,
}

/// Behind a lock only because a request's extensions must be `Clone + Sync`; never contended.
#[derive(Debug)]
struct Held {
    /// Moves on with the socket when it becomes a WebSocket.
    place: Option<ConnectionPlace>,
    /// Released by the first request.
    handshake: Option<HandshakePlace>,
    /// Since when it waits for its next request, unless it streams an answer.
    idle_since: Option<Instant>,
}

impl Peer {
    pub(crate) fn new(ip: IpAddr, place: ConnectionPlace, handshake: HandshakePlace) -> Self {
        let held = Held { place: Some(place), handshake: Some(handshake), idle_since: None };
        Self { ip, held: Arc::new(Mutex::new(held)) }
    }

    /// The client address of a request with these headers.
    fn client(&self, door: &FrontDoor, headers: &HeaderMap) -> IpAddr {
        door.config.proxies.client(self.ip, headers)
    }

    /// If this is a trusted proxy, takes a place of the client address that it names.
    fn behind(
        &self,
        door: &FrontDoor,
        headers: &HeaderMap,
    ) -> Result<Option<AddressPlace>, Problem> {
        let client = self.client(door, headers);
        if client == self.ip {
            return Ok(None);
        }
        door.enter_by_proxy(client).map_err(Problem::from)
    }

    /// Checks a request with these headers against the client's rate limit.
    fn allow_request(&self, door: &FrontDoor, headers: &HeaderMap) -> Result<(), Problem> {
        let mut held = lock(&self.held);
        (held.handshake, held.idle_since) = (None, None);
        drop(held);
        if headers.contains_key(proxies::FORWARDED_FOR) && !door.config.proxies.believes(self.ip) {
            door.note_unlisted_proxy(self.ip);
        }
        let is_operator = || security::shows_operators_token(door, headers);
        door.allow_request(self.client(door, headers), is_operator).map_err(Problem::from)
    }

    /// If this is a trusted proxy and the request's body is still to come, takes a place for that of
    /// the client address: through a proxy, one client could have any number of bodies trickle in.
    fn await_body(
        &self,
        door: &FrontDoor,
        request: &Request,
    ) -> Result<Option<AddressPlace>, Problem> {
        let client = self.client(door, request.headers());
        if client == self.ip || request.body().is_end_stream() {
            return Ok(None);
        }
        door.await_body(client).map_err(Problem::from)
    }

    /// An answer begins. The connection is idle from now on, unless the answer is a stream.
    fn answered(&self, answer: &Response) {
        if answer.body().size_hint().exact().is_some() {
            lock(&self.held).idle_since = Some(Instant::now());
        }
    }

    /// Completes when the connection has been idle for a while and the server is crowded: then a
    /// proxy may not keep it. The proxy may also hold it for a client that does not read its answer.
    pub(crate) async fn outstays(&self, door: &FrontDoor) {
        let patience = door.config.limits.head_timeout;
        loop {
            tokio::time::sleep(IDLE_CHECK_INTERVAL).await;
            let since = lock(&self.held).idle_since;
            if since.is_some_and(|since| since.elapsed() >= patience) && door.is_crowded() {
                return;
            }
        }
    }

    fn take_place(&self) -> Option<ConnectionPlace> {
        lock(&self.held).place.take()
    }
}

/// Answers a rejected connection with the reason, and closes it.
pub(crate) async fn reject(mut stream: TcpStream, reason: Rejection) {
    let status = status_of(reason);
    let body =
        json!({ "error": { "code": reason.name(), "message": reason.message() } }).to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\nretry-after: 1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with the request unread would reset the connection and lose the answer.
        let mut ignored = [0; 1024];
        while stream.read(&mut ignored).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // The client may be gone already.
    let _ = tokio::time::timeout(REJECT_TIMEOUT, said).await;
}
