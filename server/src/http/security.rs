//! Checks for every request: the rate limit, the origin and a deadline; and security headers for
//! every response. Also the check for operators.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Extension, RequestPartsExt,
    extract::{FromRequestParts, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts,
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Peer, Problem, extract::read_body};
use crate::{
    config::ConfigError,
    front_door::FrontDoor,
    tickets::{TicketRole, Tickets, unix_now},
};

/// How long a request may take until its response begins; a body that trickles in is cut off.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A page may load from and connect to this server only, and may not be framed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];
/// The answer to a browser's CORS preflight: methods and headers for pages of other origins, and that
/// it need not ask again for two hours, the longest that browsers accept.
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, last-event-id"),
];
/// Response headers that pages of other origins may read, beside those that CORS always allows.
const EXPOSED: &str = "location, retry-after, www-authenticate";
/// HSTS, over TLS: for a year, a browser connects to this host only by TLS.
const STRICT_TRANSPORT: &str = "max-age=31536000";

/// Origins whose pages may use the server. The server's own pages always may.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Each is `*`, or an origin exactly as browsers send it: any other spelling would never match.
    pub fn new(origins: Vec<String>) -> Result<Self, ConfigError> {
        match origins.iter().find(|origin| *origin != "*" && !is_spelled_as_browsers_do(origin)) {
            None => Ok(Self(origins)),
            Some(origin) => {
                let such = "an origin must be `*` or like https://play.example";
                Err(ConfigError::new(format!("{such}, not {origin}")))
            }
        }
    }

    /// Whether the origin of a request is allowed. A request that does not come from a page has no
    /// origin, and is allowed.
    fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        self.names(origin) || is_own(origin, headers)
    }

    fn names(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed == "*" || allowed == origin)
    }
}

/// Whether it is a scheme, a host and, unless it is the scheme's default, a port, in lower case.
fn is_spelled_as_browsers_do(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return false };
    let is_usual = matches!((scheme, uri.port_u16()), ("http", Some(80)) | ("https", Some(443)));
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    !is_usual && origin == format!("{scheme}://{host}{port}").to_lowercase()
}

/// Whether the origin is the host that the request is for.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == host
}

/// See the module.
pub(super) async fn guard(
    State(door): State<Arc<FrontDoor>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let origins = &door.config.origins;
    // CORS headers are only for configured origins: same-origin requests don't need them.
    let origin = request.headers().get(header::ORIGIN).cloned();
    let origin = origin.filter(|o| o.to_str().is_ok_and(|origin| origins.names(origin)));
    let answer = answer(&door, &peer, origin.as_ref(), request, next).await;
    let mut response = answer.unwrap_or_else(Problem::into_response);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if door.is_draining() {
        // A proxy would keep the connection, and lose a request that meets the server's end.
        headers.entry(header::CONNECTION).or_insert(HeaderValue::from_static("close"));
    }
    if door.tls.is_some() {
        let value = HeaderValue::from_static(STRICT_TRANSPORT);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static(EXPOSED);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    peer.answered(&response);
    response
}

/// Answers a request, or rejects it; `named` is its origin if that is a configured one.
async fn answer(
    door: &FrontDoor,
    peer: &Peer,
    named: Option<&HeaderValue>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let allowed = peer.allow_request(door, request.headers());
    let is_allowed = door.config.origins.allow(request.headers());
    let answered = async {
        let awaited = peer.await_body(door, &request)?;
        let request = read_body(request).await;
        drop(awaited);
        allowed?;
        if !is_allowed {
            let message = "pages of this origin may not use the server";
            return Err(Problem::new(StatusCode::FORBIDDEN, "origin", message));
        }
        let request = request?;
        if named.is_some() && request.method() == Method::OPTIONS {
            return Ok((StatusCode::NO_CONTENT, PREFLIGHT).into_response());
        }
        Ok(next.run(request).await)
    };
    tokio::time::timeout(REQUEST_TIMEOUT, answered).await.unwrap_or_else(|_| {
        let message = "the request took too long";
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", message))
    })
}

/// Extractor for operators' routes: rejects requests without an operator's token. On a server
/// without a key that listens on loopback only, any request from this machine is an operator's.
#[derive(Debug)]
pub(super) struct Operator;

impl FromRequestParts<Arc<FrontDoor>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<FrontDoor>) -> Result<Self, Problem> {
        let headers = parts.extract::<HeaderMap>().await.unwrap_or_default();
        let Some(tickets) = &door.tickets else {
            let is_local = door.config.listen.ip().is_loopback();
            if is_local && is_for_this_machine(&headers) && !is_passed_on(&headers) {
                return Ok(Self);
            }
            let message = "without a key, operators are only on this machine, at localhost or \
                           127.0.0.1, of a server that listens on no other address";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message));
        };
        check_operators_token(tickets, &headers).map(|()| Self)
    }
}

/// Whether a request carries a valid operator's token; never on a server without a key.
pub(super) fn shows_operators_token(door: &FrontDoor, headers: &HeaderMap) -> bool {
    door.tickets.as_ref().is_some_and(|tickets| check_operators_token(tickets, headers).is_ok())
}

fn check_operators_token(tickets: &Tickets, headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |why: String| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", why);
    let needed = "an operator's token is needed";
    let token = bearer(headers).ok_or_else(|| refuse(needed.into()))?;
    match tickets.check(token, unix_now()) {
        Ok(ticket) if ticket.role == TicketRole::Operator => Ok(()),
        Ok(_) => Err(refuse(format!("{needed}, and this one is for another role"))),
        Err(error) => Err(refuse(format!("{needed}: {error}"))),
    }
}

/// Headers that proxies add, beside `X-Forwarded-…`.
const PASSED_ON: [&str; 3] = ["forwarded", "via", "x-real-ip"];

/// Whether a proxy has forwarded the request: its client may be elsewhere, and name any host.
fn is_passed_on(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .map(HeaderName::as_str)
        .any(|name| PASSED_ON.contains(&name) || name.starts_with("x-forwarded-"))
}

/// Whether the Host header names this machine. Any other name is a proxy's, or DNS rebinding: a
/// foreign page whose domain its owner points at this machine.
fn is_for_this_machine(headers: &HeaderMap) -> bool {
    // With two Host headers, a proxy may go by the other one.
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host().trim_matches(['[', ']']);
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// The bearer token of a request. The scheme is case-insensitive (RFC 9110).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_pages_and_named_origins_may_talk() {
        let origins = Origins(vec!["https://play.example".into()]);
        check(&origins, None, true);
        check(&origins, Some("https://game.example:8443"), true);
        check(&origins, Some("http://game.example:8443"), true);
        check(&origins, Some("https://play.example"), true);
        check(&origins, Some("https://evil.example"), false);
        check(&origins, Some("https://play.example.evil.example"), false);
        check(&origins, Some("null"), false);
        check(&Origins(vec!["*".into()]), Some("https://evil.example"), true);
    }

    #[test]
    fn origins_are_spelled_as_browsers_do() {
        let is_one = |origin: &str| Origins::new(vec![origin.into()]).is_ok();
        for right in ["*", "https://play.example", "http://[::1]:8000", "app://game"] {
            assert!(is_one(right), "{right}");
        }
        let wrong = ["", "play.example", "https://play.example/", "https://play.example/game"];
        for wrong in
            [&wrong[..], &["https://Play.example", "https://play.example:443", "https://a b"]]
                .concat()
        {
            assert!(!is_one(wrong), "{wrong}");
        }
    }

    #[test]
    fn this_machine_has_few_names() {
        let is_for_us = |host: &'static str| {
            let host = HeaderValue::from_static(host);
            is_for_this_machine(&HeaderMap::from_iter([(header::HOST, host)]))
        };
        let ours = ["localhost", "localhost:8080", "127.0.0.1:8080", "127.0.0.2", "[::1]:8080"];
        assert!(ours.into_iter().all(is_for_us));
        let others = ["", "evil.example", "localhost.evil.example:8080", "10.0.0.1", "a b"];
        assert!(!others.into_iter().any(is_for_us));
        assert!(!is_for_this_machine(&HeaderMap::new()));
    }

    #[track_caller]
    fn check(origins: &Origins, origin: Option<&str>, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("game.example:8443"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        assert_eq!(origins.allow(&headers), expected, "{origin:?}");
    }
}
