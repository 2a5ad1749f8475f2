//! The claims of a ticket, as its issuer writes them, and their limits.

use serde::{Deserialize, Deserializer, Serialize};
use tickwire_shared::{game::TICKET_DATA_MAX, ids::MatchId, social::NAME_CHARS_MAX};

use super::{LIFE_MAX, TicketRole};

/// Longest subject and id.
const ID_BYTES_MAX: usize = 64;
/// How far the issuer's clock may be ahead, in seconds.
pub(super) const LEEWAY_S: u64 = 60;

/// The payload of the JSON Web Token.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Checked together with the signature, since it may be a list.
    #[serde(skip_deserializing)]
    pub(super) aud: &'static str,
    pub(super) sub: String,
    pub(super) role: TicketRole,
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub(super) match_id: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(super) data: Vec<i32>,
    #[serde(deserialize_with = "seconds")]
    pub(super) exp: u64,
    #[serde(default, deserialize_with = "seconds_or_none", skip_serializing)]
    pub(super) nbf: u64,
    pub(super) jti: String,
}

impl Claims {
    /// Which claim is out of bounds, in a ticket that has not expired.
    pub(super) fn flaw(&self, now: u64) -> Option<&'static str> {
        if !is_id(&self.sub) || !is_id(&self.jti) {
            Some("sub and jti must have 1 to 64 bytes")
        } else if let Some(flaw) = flaw_of(&self.name, &self.data) {
            Some(flaw)
        } else if self.role != TicketRole::Operator
            && self.exp - now > LIFE_MAX.as_secs() + LEEWAY_S
        {
            Some("exp must be within an hour")
        } else if self.nbf > now + LEEWAY_S {
            Some("nbf is in the future")
        } else {
            None
        }
    }
}

/// The contents of a new ticket.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The issuer's id of the bearer.
    pub subject: &'a str,
    /// What the bearer may do.
    pub role: TicketRole,
    /// The only match that it is valid for, if any.
    pub match_id: Option<MatchId>,
    /// The bearer's display name.
    pub name: &'a str,
    /// What the game is told of the bearer.
    pub data: &'a [i32],
}

impl Grant<'_> {
    /// Why a ticket with these contents would not be valid.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let no_subject = (!is_id(self.subject)).then_some("subject must have 1 to 64 bytes");
        no_subject.or_else(|| flaw_of(self.name, self.data))
    }
}

fn is_id(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len())
}

/// What is out of bounds in the name or data of a player.
fn flaw_of(name: &str, data: &[i32]) -> Option<&'static str> {
    const _: () = assert!(NAME_CHARS_MAX == 24 && TICKET_DATA_MAX == 16, "the texts say so");
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        Some("name must have at most 24 characters, and no control characters")
    } else if data.len() > TICKET_DATA_MAX {
        Some("data must have at most 16 integers")
    } else {
        None
    }
}

/// A NumericDate (RFC 7519): it may have a fraction.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    f64::deserialize(deserializer).map(|seconds| seconds as u64)
}

fn seconds_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    or_default(deserializer).map(|seconds: f64| seconds as u64)
}

/// Accepts `null` for a missing claim, since some libraries write it for unset values.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
