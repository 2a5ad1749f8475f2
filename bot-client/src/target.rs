//! The URL of the server that the swarm plays on.

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use hyper::Uri;

/// The URL of a server or of one of its matches: `ws://HOST:PORT` or `wss://HOST:PORT`. Bots fill
/// matches in order, unless it has a path and query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    is_secure: bool,
    authority: String,
    host: String,
    port: u16,
    path: String,
}

/// Why bots can't play on a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadTarget {
    /// It is not a URL.
    #[error("not a URL; expected something like ws://127.0.0.1:8080")]
    NoUrl,
    /// It is not the URL of a WebSocket.
    #[error("the URL must start with ws:// or wss://")]
    NotWs,
}

/// Path and query for a URL without a path.
const AUTO: &str = "/v1/play?match=auto";

impl Target {
    /// The address to connect to: the host's first one.
    pub(crate) fn resolve(&self) -> io::Result<SocketAddr> {
        let mut addresses = (self.host.as_str(), self.port).to_socket_addrs()?;
        addresses.next().ok_or_else(|| io::Error::other("the host has no address"))
    }

    /// Whether it uses TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host, without the port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Value of the `Host` header.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query of the WebSocket.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Path of the WebSocket.
    pub(crate) fn play_path(&self) -> &str {
        self.path.split_once('?').map_or(&self.path, |(path, _)| path)
    }

    /// Path at which a ticket is requested: beside that of the WebSocket, also behind a proxy.
    pub(crate) fn join_path(&self) -> String {
        let prefix = self.play_path().strip_suffix("/play").unwrap_or("/v1");
        format!("{prefix}/join")
    }

    /// Path and query of the WebSocket for a spectator.
    pub(crate) fn spectators_path(&self) -> String {
        with_query(&self.path, "role=spectator")
    }
}

/// A path with this added to its query.
pub(crate) fn with_query(path: &str, pair: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{pair}")
}

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(url: &str) -> Result<Self, BadTarget> {
        let uri: Uri = url.parse().map_err(|_| BadTarget::NoUrl)?;
        let authority = uri.authority().ok_or(BadTarget::NoUrl)?;
        let is_secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            Some(_) | None => return Err(BadTarget::NotWs),
        };
        let path = match uri.path_and_query().map(|path| path.as_str()) {
            None | Some("" | "/") => AUTO,
            Some(path) => path,
        };
        Ok(Self {
            is_secure,
            authority: authority.to_string(),
            host: authority.host().trim_matches(['[', ']']).into(),
            port: authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            path: path.into(),
        })
    }
}

impl Default for Target {
    /// The server's default address.
    fn default() -> Self {
        Self {
            is_secure: false,
            authority: String::from("127.0.0.1:8080"),
            host: String::from("127.0.0.1"),
            port: 8080,
            path: AUTO.into(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_alone_means_any_match() {
        check("ws://127.0.0.1:8080", Ok(("127.0.0.1:8080", AUTO)));
        check("ws://[::1]:9/", Ok(("[::1]:9", AUTO)));
        check("ws://a.example/v1/play?match=3", Ok(("a.example", "/v1/play?match=3")));
        check("http://127.0.0.1:8080", Err(BadTarget::NotWs));
        check("wss://a.example/", Ok(("a.example", AUTO)));
        check("https://127.0.0.1:8080", Err(BadTarget::NotWs));
        check("nonsense nonsense", Err(BadTarget::NoUrl));
    }

    #[test]
    fn tickets_are_requested_beside_where_bots_play() {
        let join_path = |url: &str| url.parse().map(|target: Target| target.join_path());
        assert_eq!(join_path("ws://a.example"), Ok("/v1/join".into()));
        let behind_a_proxy = "wss://a.example/eu/v1/play?match=3";
        assert_eq!(join_path(behind_a_proxy), Ok("/eu/v1/join".into()));
    }

    #[test]
    fn the_default_is_what_its_url_says() {
        assert_eq!("ws://127.0.0.1:8080".parse(), Ok(Target::default()));
    }

    #[track_caller]
    fn check(url: &str, expected: Result<(&str, &str), BadTarget>) {
        let target = url.parse::<Target>();
        let parts = target.as_ref().map(|target| (target.authority(), target.path()));
        assert_eq!(parts.map_err(|&error| error), expected, "{url}");
    }
}
