//! Trusted proxies, and the client address that they name.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::config::ConfigError;

/// Each proxy appends the address that it received the request from.
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Networks of trusted proxies: their requests count for the client address that they name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Each is an address or a network.
    pub fn new(places: &[String]) -> Result<Self, ConfigError> {
        let read = |place: &String| {
            let network = place.parse().or_else(|_| place.parse::<IpAddr>().map(IpNet::from));
            network.ok().filter(|network: &IpNet| network.prefix_len() > 0).ok_or_else(|| {
                let such = "a proxy must be an address or a network such as 10.0.0.0/8";
                ConfigError::new(format!("{such}, not {place}"))
            })
        };
        places.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this is a trusted proxy's address.
    pub(crate) fn believes(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip.to_canonical()))
    }

    /// The client address of a request from `peer`: the last hop that is not a trusted proxy. Hops
    /// before it are not trusted, since a client can send the header too.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let said = headers.get_all(FORWARDED_FOR).iter().filter_map(|said| said.to_str().ok());
        let hops: Vec<_> = said.flat_map(|said| said.split(',')).map(str::trim).collect();
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            let port = |_| hop.parse::<SocketAddr>().map(|hop| hop.ip());
            let address = hop.trim_matches(['[', ']']).parse().or_else(port);
            match address {
                Ok(address) if self.believes(client) => client = address,
                Ok(_) | Err(_) => break,
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_are_believed() {
        let proxies = ["10.0.0.0/8", "192.0.2.7", "fd00::/8"].map(String::from);
        let proxies = Proxies::new(&proxies).unwrap();
        let client = |peer: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            said.iter().for_each(|said| {
                headers.append(FORWARDED_FOR, said.parse().unwrap());
            });
            proxies.client(peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(client("198.51.100.1", &["203.0.113.5"]), "198.51.100.1", "not a trusted proxy");
        assert_eq!(client("10.1.2.3", &["203.0.113.5"]), "203.0.113.5");
        assert_eq!(client("::ffff:10.1.2.3", &["[2001:db8::5]:4711"]), "2001:db8::5");
        assert_eq!(client("10.1.2.3", &["[2001:db8::5]"]), "2001:db8::5");
        let forged = ["1.1.1.1, 203.0.113.5", "192.0.2.7,10.9.9.9"];
        assert_eq!(
            client("fd00::1", &forged),
            "203.0.113.5",
            "hops that the client names are not trusted"
        );
        assert_eq!(client("10.1.2.3", &["203.0.113.5, unknown"]), "10.1.2.3");
        assert_eq!(client("10.1.2.3", &[]), "10.1.2.3");
    }
}
