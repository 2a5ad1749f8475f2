//! Tickets: signed, expiring permissions to join, and operators' tokens.
//!
//! A ticket is a JSON Web Token for the audience `tickwire`, signed with HS256 by a secret that
//! the server shares with a studio's own backend, or with EdDSA by a key pair of which the server
//! has only the public key. It names its subject, role, match, display name, data for the game and
//! expiry, and admits its bearer once: its `jti` is remembered until it expires. An operator's token
//! is a ticket with the role `operator`, and may be used many times.
//!
//! At most [`USED_MAX`] used tickets are remembered; past that no ticket is accepted until some
//! expire.
//!
//! When the key's file changes, new tickets are signed by the new key. Tickets that the old key has
//! signed stay valid for an hour more, the longest that a ticket may live, so that none is lost.

mod claims;
mod key;
mod settings;

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, RwLock, atomic::AtomicBool},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tickwire_shared::{close::CloseReason, ids::MatchId};

pub use self::claims::Grant;
use self::claims::{Claims, LEEWAY_S};
use self::key::{Key, Keys};
pub use self::settings::TicketConfig;
pub(crate) use self::settings::TicketSettings;
use crate::{
    clock::since_epoch,
    config::ConfigError,
    locks::{lock, read, write},
    reload::reload_changed,
};

/// The audience of tickets, so that a backend's other tokens are not accepted as tickets.
const AUDIENCE: &str = "tickwire";
/// Longest ticket, in bytes. Ours have about 300.
pub(crate) const TICKET_BYTES_MAX: usize = 1024;
/// Longest remaining life of a ticket, which bounds how long used ones must be remembered. An
/// operator's token may live longer.
const LIFE_MAX: Duration = Duration::from_secs(3600);
/// Used tickets that are remembered, in some 30 MB: enough for 72 joins a second with tickets that
/// live an hour, or 4,000 with tickets that live a minute.
pub const USED_MAX: usize = 262_144;
/// Least time between two warnings in the log about tickets that are not valid.
const LOG_INTERVAL_S: u64 = 60;

/// What a ticket's bearer may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TicketRole {
    /// Take a seat, or watch.
    Player,
    /// Watch.
    Spectator,
    /// Operate the server: open matches, send notices, request tickets, watch.
    Operator,
}

/// A ticket's claims, once they have been checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// The issuer's id of the bearer.
    pub subject: Arc<str>,
    /// The only match that it is valid for, if it names one.
    pub match_id: Option<MatchId>,
    /// What the bearer may do.
    pub role: TicketRole,
    /// The bearer's display name.
    pub name: Box<str>,
    /// What the issuer says of the bearer to the game.
    pub data: Box<[i32]>,
    /// When it expires, in seconds since 1970.
    pub expires_at: u64,
    id: Box<str>,
}

/// Why a ticket is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TicketError {
    /// It is malformed, signed by another key, for another audience, or has a claim out of bounds.
    #[error("the ticket is not valid")]
    Invalid,
    /// It has expired.
    #[error("the ticket has expired")]
    Expired,
    /// It was used before.
    #[error("the ticket was used before")]
    Used,
    /// The server remembers as many used tickets as it can.
    #[error("too many tickets were used lately")]
    Overloaded,
}

impl From<TicketError> for CloseReason {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::Invalid => Self::BadTicket,
            TicketError::Expired => Self::TicketExpired,
            TicketError::Used => Self::TicketUsed,
            TicketError::Overloaded => Self::Overloaded,
        }
    }
}

/// Checks tickets, and issues them if the server has the secret.
pub struct Tickets {
    keys: RwLock<Keys>,
    used: Mutex<Used>,
    /// When the log last warned of a ticket that is not valid, in seconds since 1970.
    logged_at: Mutex<Option<u64>>,
}

/// Ids of used tickets, and when they expire.
#[derive(Default)]
struct Used {
    each: HashMap<Box<str>, u64>,
    swept_at: u64,
}

impl Used {
    fn insert(&mut self, id: &str, expires_at: u64, now: u64) -> Result<(), TicketError> {
        if self.each.contains_key(id) {
            return Err(TicketError::Used);
        }
        if self.each.len() >= USED_MAX && self.swept_at != now {
            self.each.retain(|_, expires_at| *expires_at > now);
            self.swept_at = now;
        }
        if self.each.len() >= USED_MAX {
            return Err(TicketError::Overloaded);
        }
        self.each.insert(id.into(), expires_at);
        Ok(())
    }
}

impl Tickets {
    /// Reads the key; `None` if the settings name none.
    pub(crate) fn open(config: &TicketConfig) -> Result<Option<Self>, ConfigError> {
        Ok(Key::read(config)?.map(Self::new))
    }

    /// Tickets signed by HS256. `None` if the secret is too short.
    #[must_use]
    pub fn with_secret(secret: &[u8]) -> Option<Self> {
        Key::secret(secret).map(Self::new)
    }

    fn new(key: Key) -> Self {
        Self {
            keys: RwLock::new(Keys::new(key)),
            used: Mutex::default(),
            logged_at: Mutex::default(),
        }
    }

    /// Takes up new keys from the file of `config`, for ever.
    pub(crate) async fn reload_file(&self, config: &TicketConfig, is_stale: &AtomicBool) {
        let files = [&config.secret_file, &config.public_key_file];
        let files: Vec<_> = files.into_iter().flatten().map(PathBuf::as_path).collect();
        let take = |key: Option<Key>| {
            if key.is_some_and(|key| self.replace(key, unix_now())) {
                tracing::info!("ticket key reloaded; the old one stays valid for an hour");
            }
        };
        reload_changed("ticket key", &files, is_stale, || Key::read(config), take).await;
    }

    fn replace(&self, key: Key, now: u64) -> bool {
        write(&self.keys).replace(key, now)
    }

    /// Verifies a ticket, except whether it was used. Time is in seconds since 1970.
    pub fn check(&self, token: &str, now: u64) -> Result<Ticket, TicketError> {
        if token.len() > TICKET_BYTES_MAX {
            return Err(self.refuse(&format!("it has over {TICKET_BYTES_MAX} bytes"), now));
        }
        let keys = read(&self.keys);
        let claims: Claims = keys.read(token, now).map_err(|error| self.refuse(&error, now))?;
        if claims.exp <= now {
            return Err(TicketError::Expired);
        }
        if let Some(flaw) = claims.flaw(now) {
            return Err(self.refuse(&flaw, now));
        }
        Ok(Ticket {
            subject: claims.sub.into(),
            match_id: claims.match_id.map(MatchId),
            role: claims.role,
            name: claims.name.into(),
            data: claims.data.into(),
            expires_at: claims.exp,
            id: claims.jti.into(),
        })
    }

    /// The client gets no details. They are in the log: once in a while even of one that leaves out
    /// debug lines, since a wrong key or clock refuses every player.
    fn refuse(&self, error: &dyn fmt::Display, now: u64) -> TicketError {
        // As a string, so that it is quoted: it may contain the bearer's text, with line breaks.
        let error = error.to_string();
        let mut logged_at = lock(&self.logged_at);
        if logged_at.is_none_or(|at| now.abs_diff(at) >= LOG_INTERVAL_S) {
            *logged_at = Some(now);
            tracing::warn!(error, "a ticket is not valid; more are logged at debug for a minute");
        } else {
            tracing::debug!(error, "a ticket is not valid");
        }
        TicketError::Invalid
    }

    /// The ids of used tickets, and when they expire.
    pub(crate) fn used(&self) -> Vec<(Box<str>, u64)> {
        let used = lock(&self.used);
        used.each.iter().map(|(id, expires_at)| (id.clone(), *expires_at)).collect()
    }

    /// Adds tickets that were used at an earlier server.
    pub(crate) fn mark_used(&self, tickets: Vec<(Box<str>, u64)>) {
        lock(&self.used).each.extend(tickets);
    }

    /// Marks a ticket as used, unless it was used before.
    pub(crate) fn redeem(&self, ticket: &Ticket, now: u64) -> Result<(), TicketError> {
        let mut used = lock(&self.used);
        used.insert(&ticket.id, ticket.expires_at.min(now + LIFE_MAX.as_secs() + LEEWAY_S), now)
    }

    /// Signs a new ticket, if this server has the secret.
    #[must_use]
    pub fn issue(&self, grant: &Grant<'_>, expires_at: u64) -> Option<String> {
        let claims = Claims {
            aud: AUDIENCE,
            sub: grant.subject.into(),
            role: grant.role,
            match_id: grant.match_id.map(|id| id.0),
            name: grant.name.into(),
            data: grant.data.into(),
            exp: expires_at,
            nbf: 0,
            jti: random_id(),
        };
        read(&self.keys).sign(&claims)
    }
}

impl fmt::Debug for Tickets {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

/// Seconds since 1970.
#[must_use]
pub fn unix_now() -> u64 {
    since_epoch().as_secs()
}

/// 128 random bits.
pub(crate) fn random_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().fold(String::new(), |id, byte| id + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::json;
    use tickwire_shared::social::NAME_CHARS_MAX;

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const SECRET: &[u8] = b"an example secret of 32 bytes...";

    #[test]
    fn a_ticket_lets_in_once() {
        let tickets = Tickets::with_secret(SECRET).unwrap();
        let ticket = tickets.check(&issue(&tickets, TicketRole::Player, 60), NOW).unwrap();
        assert_eq!((&*ticket.subject, &*ticket.name), ("u1", "Ada"));
        assert_eq!(ticket.match_id, Some(MatchId(7)));
        assert_eq!(tickets.redeem(&ticket, NOW), Ok(()));
        assert_eq!(tickets.redeem(&ticket, NOW), Err(TicketError::Used));
    }

    #[test]
    fn a_ticket_lives_for_its_time() {
        let tickets = Tickets::with_secret(SECRET).unwrap();
        let check = |life, at| tickets.check(&issue(&tickets, TicketRole::Player, life), at);
        assert!(check(60, NOW + 59).is_ok());
        assert_eq!(check(60, NOW + 60), Err(TicketError::Expired));
        assert!(check(3660, NOW).is_ok(), "the backend's clock may be a minute ahead");
        assert_eq!(check(3661, NOW), Err(TicketError::Invalid));
        assert!(tickets.check(&issue(&tickets, TicketRole::Operator, 86_400), NOW).is_ok());
    }

    #[test]
    fn the_log_says_what_is_out_of_bounds() {
        let flaw = |change: fn(&mut Claims)| {
            let mut claims = Claims {
                aud: AUDIENCE,
                sub: "u7".into(),
                role: TicketRole::Player,
                match_id: None,
                name: "Ada".into(),
                data: Vec::new(),
                exp: NOW + 60,
                nbf: NOW,
                jti: "1".into(),
            };
            change(&mut claims);
            claims.flaw(NOW).map_or("", |flaw| flaw.split(' ').next().unwrap())
        };
        assert_eq!(flaw(|_| {}), "");
        assert_eq!(flaw(|claims| claims.sub.clear()), "sub");
        assert_eq!(flaw(|claims| claims.jti = "x".repeat(65)), "sub");
        assert_eq!(flaw(|claims| claims.name = "é".repeat(NAME_CHARS_MAX + 1)), "name");
        assert_eq!(flaw(|claims| claims.name.push('\n')), "name");
        assert_eq!(flaw(|claims| claims.data = vec![-1; 16]), "");
        assert_eq!(flaw(|claims| claims.data = vec![-1; 17]), "data");
        assert_eq!(flaw(|claims| claims.exp = NOW + 86_400), "exp");
        assert_eq!(flaw(|claims| claims.nbf = NOW + 60), "");
        assert_eq!(flaw(|claims| claims.nbf = NOW + 61), "nbf");
    }

    #[test]
    fn what_other_libraries_write_is_read() {
        let tickets = Tickets::with_secret(SECRET).unwrap();
        let check = |aud: serde_json::Value, exp: f64| {
            let claims = json!({
                "aud": aud, "sub": "u7", "role": "player", "exp": exp, "nbf": NOW, "iat": NOW,
                "jti": "1", "iss": "studio",
            });
            let keys = tickets.keys.read().unwrap();
            tickets.check(&keys.sign(&claims).unwrap(), NOW).map(|ticket| ticket.expires_at)
        };
        assert_eq!(check(json!("tickwire"), NOW as f64 + 9.75), Ok(NOW + 9));
        assert_eq!(check(json!(["chat", "tickwire"]), NOW as f64 + 9.0), Ok(NOW + 9));
        for aud in [json!("chat"), json!(["chat"]), json!([]), json!(null)] {
            assert_eq!(check(aud, NOW as f64 + 9.0), Err(TicketError::Invalid));
        }
        let mut claims = json!({
            "aud": "tickwire", "sub": "u7", "role": "player", "exp": NOW + 9, "jti": "1",
            "name": null, "data": null, "nbf": null, "match": null,
        });
        let read = |claims: &serde_json::Value| {
            let keys = tickets.keys.read().unwrap();
            tickets.check(&keys.sign(claims).unwrap(), NOW).map(|ticket| ticket.name)
        };
        assert_eq!(read(&claims), Ok("".into()));
        claims["exp"] = json!(null);
        assert_eq!(read(&claims), Err(TicketError::Invalid));
        for (exp, error) in [(1.5, TicketError::Expired), (1e300, TicketError::Invalid)] {
            assert_eq!(check(json!("tickwire"), exp), Err(error));
        }
    }

    #[test]
    fn what_others_have_signed_is_refused() {
        let tickets = Tickets::with_secret(SECRET).unwrap();
        let others = Tickets::with_secret(b"another secret of more than 32 bytes").unwrap();
        let token = issue(&others, TicketRole::Player, 60);
        assert_eq!(tickets.check(&token, NOW), Err(TicketError::Invalid));
        let (head, rest) = token.split_once('.').unwrap();
        let (claims, _) = rest.split_once('.').unwrap();
        // {"alg":"none"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
        for wrong in [&unsigned, &format!("{head}.{claims}."), "", "..", &"a".repeat(5000)] {
            assert_eq!(tickets.check(wrong, NOW), Err(TicketError::Invalid));
        }
        assert!(Tickets::with_secret(b"short").is_none());
    }

    #[test]
    fn a_new_key_leaves_an_hour_to_what_the_old_one_has_signed() {
        let tickets = Tickets::with_secret(SECRET).unwrap();
        let replace = |secret: &[u8], now| tickets.replace(Key::secret(secret).unwrap(), now);
        let old = issue(&tickets, TicketRole::Operator, 86_400);
        assert!(!replace(SECRET, NOW));
        assert!(replace(b"another secret of more than 32 bytes", NOW));
        let new = issue(&tickets, TicketRole::Operator, 86_400);
        assert!(tickets.check(&new, NOW + 3600).is_ok());
        assert!(tickets.check(&old, NOW + 3599).is_ok());
        assert_eq!(tickets.check(&old, NOW + 3600), Err(TicketError::Invalid));
        assert!(replace(b"one that nobody has seen, 32 bytes", NOW + 1));
        assert_eq!(
            tickets.check(&old, NOW + 1),
            Err(TicketError::Invalid),
            "only one previous key is kept"
        );
        assert!(tickets.check(&new, NOW + 1).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let tickets = Tickets::with_secret(SECRET).unwrap();
        let mut ticket = tickets.check(&issue(&tickets, TicketRole::Player, 60), NOW).unwrap();
        for n in 0..USED_MAX {
            ticket.id = n.to_string().into();
            tickets.redeem(&ticket, NOW).unwrap();
        }
        ticket.id = "one more".into();
        assert_eq!(tickets.redeem(&ticket, NOW), Err(TicketError::Overloaded));
        // At this second they were swept, but the clock has been set back since.
        tickets.used.lock().unwrap().swept_at = NOW + 7_200;
        assert_eq!(tickets.redeem(&ticket, NOW + 60), Ok(()));
        assert_eq!(tickets.used.lock().unwrap().each.len(), 1);
    }

    #[test]
    fn a_key_pair_signs_too() {
        // The example of RFC 8037, appendix A.
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
            -----END PUBLIC KEY-----\n";
        let private = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
            -----END PRIVATE KEY-----\n";
        let tickets = Tickets::new(Key::public(public.into()).unwrap());
        let sign = EncodingKey::from_ed_pem(private.as_bytes()).unwrap();
        let claims = json!({
            "aud": AUDIENCE, "sub": "u2", "role": "spectator", "exp": NOW + 9, "jti": "x",
        });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &sign).unwrap();
        assert_eq!(tickets.check(&token, NOW).unwrap().role, TicketRole::Spectator);
        let crit = Some(vec!["x".into()]);
        let header = Header { crit, ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &sign).unwrap();
        assert_eq!(
            tickets.check(&token, NOW),
            Err(TicketError::Invalid),
            "an unknown critical extension"
        );
        let secret = Tickets::with_secret(SECRET).unwrap();
        let token = issue(&secret, TicketRole::Player, 60);
        assert_eq!(tickets.check(&token, NOW), Err(TicketError::Invalid));
        let grant =
            Grant { subject: "u", role: TicketRole::Player, match_id: None, name: "", data: &[] };
        assert!(tickets.issue(&grant, NOW + 1).is_none(), "it has no private key");
    }

    fn issue(tickets: &Tickets, role: TicketRole, life: u64) -> String {
        let grant =
            Grant { subject: "u1", role, match_id: Some(MatchId(7)), name: "Ada", data: &[] };
        tickets.issue(&grant, NOW + life).unwrap()
    }
}
