//! Places: counted permits for connections and sessions, released when dropped.
//!
//! A [`Tally`] counts how many places each key holds and rejects more than a limit; it stores only
//! keys that hold one. A connection must pass the [`ConnectionLimiter`]: it needs a place in the
//! server, a place of its address, and a token from its address' bucket. The memory for this is
//! bounded by the number of connections and by [`BUCKETS_MAX`].

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex},
};

use tickwire_shared::time::Micros;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    bucket::{Bucket, Rate},
    handshakes::{HandshakePlace, Handshakes},
    limits::Limits,
    locks::lock,
};

/// Most addresses with a bucket of their own. Addresses beyond them (which takes as many connects
/// in four seconds) share one bucket.
const BUCKETS_MAX: usize = 65_536;

/// Counts places by key.
#[derive(Debug)]
pub(crate) struct Tally<K> {
    held: Mutex<HashMap<K, u32>>,
}

/// One place of a [`Tally`].
pub(crate) struct Place<K: Eq + Hash> {
    tally: Arc<Tally<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { held: Mutex::default() })
    }

    /// Takes a place for this key, unless it holds `max` already.
    pub(crate) fn take(self: &Arc<Self>, key: &K, max: u32) -> Option<Place<K>> {
        let mut held = lock(&self.held);
        let count = held.get(key).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        held.insert(key.clone(), count + 1);
        Some(Place { tally: Arc::clone(self), key: key.clone() })
    }
}

impl<K: Eq + Hash> Place<K> {
    /// Whose place it is.
    pub(crate) const fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = lock(&self.tally.held);
        match held.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                held.remove(&self.key);
            }
        }
    }
}

impl<K: Eq + Hash> fmt::Debug for Place<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ConnectionLimiter {
    all: Arc<Semaphore>,
    handshakes: Arc<Handshakes>,
    addresses: Arc<Tally<Address>>,
    kept: Arc<Tally<Address>>,
    arriving: Arc<Tally<Address>>,
    per_address_max: u32,
    connects: Mutex<Buckets>,
    requests: Mutex<Buckets>,
}

/// The places that a connection holds from accept to close.
#[derive(Debug)]
pub(crate) struct ConnectionPlace {
    _all: OwnedSemaphorePermit,
    /// The place of its client's address, unless that is not limited.
    address: Option<AddressPlace>,
    /// Seats that are kept after lost connections, by address, and the most for each address.
    kept: (Arc<Tally<Address>>, u32),
}

/// One of the places of an address.
pub(crate) type AddressPlace = Place<Address>;

impl ConnectionPlace {
    /// Counts a proxy's connection for the client address that the proxy has named.
    pub(crate) fn counts_for(&mut self, address: AddressPlace) {
        self.address = Some(address);
    }

    /// Takes a place for the seat that is kept after this connection is lost. `None`: its address
    /// is not limited. An address may keep as many seats as it may have connections; without a
    /// limit it could occupy any number of seats by losing one connection after another.
    pub(crate) fn keep(&self) -> Result<Option<AddressPlace>, Rejection> {
        let Some(address) = &self.address else { return Ok(None) };
        let (kept, max) = &self.kept;
        kept.take(&address.key, *max).map(Some).ok_or(Rejection::AddressFull)
    }
}

/// Why a connection or a request is rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rejection {
    /// The server is at its connection limit.
    AtCapacity,
    /// The address is at its connection limit.
    AddressFull,
    /// Its address connects too often.
    AddressTooFast,
    /// Its address sends requests too often.
    AddressAsksTooOften,
}

impl Rejection {
    pub(crate) const ALL: [Self; 4] =
        [Self::AtCapacity, Self::AddressFull, Self::AddressTooFast, Self::AddressAsksTooOften];

    /// The text for the client.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::AtCapacity => "the server has no connection left",
            Self::AddressFull => "the address has as many connections as it may",
            Self::AddressTooFast => "the address connects too often",
            Self::AddressAsksTooOften => "the address sends requests too often",
        }
    }

    /// The name in counters and responses.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AtCapacity => "at_capacity",
            Self::AddressFull => "address_full",
            Self::AddressTooFast => "address_too_fast",
            Self::AddressAsksTooOften => "address_asks_too_often",
        }
    }
}

/// The key of per-address limits: an IPv4 address, or an IPv6 /56, which is what a household or a
/// rented machine is assigned (RIPE-690). Counting by /64 would give each of them 256 shares.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Address {
    V4(Ipv4Addr),
    V6([u8; 7]),
}

impl Address {
    /// `None` for 127.0.0.1 and ::1, which are not limited: a local proxy or a load test. Other
    /// loopback addresses are limited, so that tests can use them.
    fn of(ip: IpAddr) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST) => None,
            IpAddr::V4(ip) => Some(Self::V4(ip)),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, ..] = ip.octets();
                Some(Self::V6([a, b, c, d, e, f, g]))
            }
        }
    }
}

impl ConnectionLimiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections_max)),
            handshakes: Handshakes::new(limits.handshakes_max),
            addresses: Tally::new(),
            kept: Tally::new(),
            arriving: Tally::new(),
            per_address_max: limits.connections_per_address_max,
            connects: Mutex::new(Buckets::new(limits.connects())),
            requests: Mutex::new(Buckets::new(limits.requests())),
        }
    }

    /// Takes a place for a connection that was just accepted, and one among the connections without
    /// a request yet. With `ip` `None` it counts for no address yet.
    pub(crate) fn enter(
        &self,
        ip: Option<IpAddr>,
        now: Micros,
    ) -> Result<(ConnectionPlace, HandshakePlace), Rejection> {
        let address = match ip {
            Some(ip) => self.place_of(ip, now)?,
            None => None,
        };
        let all = Arc::clone(&self.all).try_acquire_owned().ok().ok_or(Rejection::AtCapacity)?;
        let kept = (Arc::clone(&self.kept), self.per_address_max);
        Ok((ConnectionPlace { _all: all, address, kept }, self.handshakes.enter()))
    }

    /// Takes a place of an address for a request whose body is still to come, through a proxy: an
    /// address may have as many as connections. `None`: the address is not limited.
    pub(crate) fn place_of_body(&self, ip: IpAddr) -> Result<Option<AddressPlace>, Rejection> {
        let Some(address) = Address::of(ip) else { return Ok(None) };
        let place = self.arriving.take(&address, self.per_address_max);
        place.map(Some).ok_or(Rejection::AddressFull)
    }

    /// How many connections were evicted before their first request, to make room for newer ones.
    pub(crate) fn handshakes_evicted(&self) -> u64 {
        self.handshakes.evicted()
    }

    /// How many more connections the server can accept.
    pub(crate) fn places_free(&self) -> usize {
        self.all.available_permits()
    }

    /// Whether an address may send another request.
    pub(crate) fn allow_request(&self, ip: IpAddr, now: Micros) -> Result<(), Rejection> {
        let may = Address::of(ip).is_none_or(|address| lock(&self.requests).take(address, now));
        if may { Ok(()) } else { Err(Rejection::AddressAsksTooOften) }
    }

    /// Takes a place of an address that connects. `None`: the address is not limited.
    pub(crate) fn place_of(
        &self,
        ip: IpAddr,
        now: Micros,
    ) -> Result<Option<AddressPlace>, Rejection> {
        let Some(address) = Address::of(ip) else { return Ok(None) };
        if !lock(&self.connects).take(address, now) {
            return Err(Rejection::AddressTooFast);
        }
        let place = self.addresses.take(&address, self.per_address_max);
        place.map(Some).ok_or(Rejection::AddressFull)
    }
}

/// A bucket for each address.
#[derive(Debug)]
pub(crate) struct Buckets {
    rate: Rate,
    each: HashMap<Address, Bucket>,
    /// Shared by addresses that don't fit into the map.
    others: Bucket,
}

impl Buckets {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, each: HashMap::new(), others: Bucket::full(Micros(0)) }
    }

    /// Takes a token from an address' bucket. Unlike connections, this machine is limited too.
    pub(crate) fn take_ip(&mut self, ip: IpAddr, now: Micros) -> bool {
        self.take(Address::of(ip).unwrap_or(Address::V4(Ipv4Addr::LOCALHOST)), now)
    }

    fn take(&mut self, address: Address, now: Micros) -> bool {
        if self.each.len() >= BUCKETS_MAX {
            self.each.retain(|_, bucket| !bucket.is_full(now));
        }
        let has_place = self.each.len() < BUCKETS_MAX || self.each.contains_key(&address);
        let bucket = if has_place {
            self.each.entry(address).or_insert_with(|| Bucket::full(now))
        } else {
            &mut self.others
        };
        bucket.take(1, self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros::from_secs(1);

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let limiter = limiter(Limits { connections_per_address_max: 2, ..Limits::default() });
        let held: Vec<_> =
            (0..2).map(|_| limiter.enter(Some(ip("10.0.0.1")), NOW).unwrap()).collect();
        assert_eq!(enter(&limiter, "10.0.0.1"), Err(Rejection::AddressFull));
        assert_eq!(enter(&limiter, "::ffff:10.0.0.1"), Err(Rejection::AddressFull));
        assert_eq!(enter(&limiter, "10.0.0.2"), Ok(()));
        drop(held);
        assert_eq!(enter(&limiter, "10.0.0.1"), Ok(()));
        assert!(lock(&limiter.addresses.held).is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let limiter = limiter(Limits { connections_per_address_max: 1, ..Limits::default() });
        let _held = limiter.enter(Some(ip("2001:db8:0:100::1")), NOW).unwrap();
        assert_eq!(enter(&limiter, "2001:db8:0:1ff:ffff::2"), Err(Rejection::AddressFull));
        assert_eq!(enter(&limiter, "2001:db8:0:200::1"), Ok(()));
    }

    #[test]
    fn connects_are_paced_but_not_those_of_this_machine() {
        let limiter = limiter(Limits { connects_per_address_hz: 1, ..Limits::default() });
        for _ in 0..BURST {
            assert_eq!(enter(&limiter, "10.0.0.1"), Ok(()));
        }
        assert_eq!(enter(&limiter, "10.0.0.1"), Err(Rejection::AddressTooFast));
        for _ in 0..100 {
            assert_eq!(enter(&limiter, "127.0.0.1"), Ok(()));
        }
    }

    #[test]
    fn requests_are_paced_on_however_many_connections() {
        let limiter = limiter(Limits { requests_per_address_hz: 1, ..Limits::default() });
        let ask = |from, now| limiter.allow_request(ip(from), now);
        assert!((0..BURST).all(|_| ask("10.0.0.1", NOW).is_ok()));
        assert_eq!(ask("10.0.0.1", NOW), Err(Rejection::AddressAsksTooOften));
        assert_eq!(ask("10.0.0.2", NOW), Ok(()));
        assert_eq!(ask("10.0.0.1", NOW.plus(Micros::from_secs(1))), Ok(()));
        assert!((0..100).all(|_| ask("127.0.0.1", NOW).is_ok()));
    }

    #[test]
    fn many_addresses_take_bounded_memory() {
        let mut buckets = Buckets {
            rate: Rate::per_second(1, 4),
            each: HashMap::new(),
            others: Bucket::full(NOW),
        };
        for n in 0..BUCKETS_MAX as u32 + 10 {
            let _ = buckets.take(Address::V4(Ipv4Addr::from_bits(n)), NOW);
        }
        assert_eq!(buckets.each.len(), BUCKETS_MAX);
        assert!(buckets.take(Address::V4(Ipv4Addr::from_bits(7)), NOW), "it has its own bucket");
        assert!(!buckets.take(Address::V4(Ipv4Addr::BROADCAST), NOW), "the shared bucket is empty");
        assert!(buckets.take(Address::V4(Ipv4Addr::BROADCAST), Micros::from_secs(60)));
        assert_eq!(buckets.each.len(), 1);
    }

    /// Four seconds' worth.
    const BURST: usize = 4;

    fn limiter(limits: Limits) -> ConnectionLimiter {
        ConnectionLimiter::new(&limits)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn enter(limiter: &ConnectionLimiter, from: &str) -> Result<(), Rejection> {
        limiter.enter(Some(ip(from)), NOW).map(|_| ())
    }
}
