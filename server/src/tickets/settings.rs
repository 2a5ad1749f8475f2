//! Settings of tickets: their key, their life, and whether guests get them.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::LIFE_MAX;
use crate::config::ConfigError;

/// Longest life of a guest's ticket: with longer ones, a few addresses could fill the memory of
/// used tickets and so lock out everybody.
const GUEST_LIFE_MAX: Duration = Duration::from_secs(300);

/// The key that signs tickets, and which tickets the server issues.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TicketConfig {
    /// File with the secret for HS256; white space at its end is no part of it.
    pub secret_file: Option<PathBuf>,
    /// PEM file with the public key for EdDSA.
    pub public_key_file: Option<PathBuf>,
    /// How long a ticket that this server issues is valid.
    ///
    /// Long enough for a page to load and a socket to connect.
    pub life: Duration,
    /// Whether `POST /v1/join` gives tickets to play or watch to anybody, not only to operators.
    pub guests: bool,
}

/// Settings of tickets: flags, environment, and the file's `[tickets]`.
#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct TicketSettings {
    /// File with a secret of at least 32 bytes that signs tickets by HS256; the server issues
    /// them too
    #[arg(long = "ticket-secret-file", value_name = "FILE", env = "TICKWIRE_TICKET_SECRET_FILE")]
    secret_file: Option<PathBuf>,
    /// PEM file with the public Ed25519 key of the backend that issues tickets
    #[arg(
        long = "ticket-public-key-file",
        value_name = "FILE",
        env = "TICKWIRE_TICKET_PUBLIC_KEY_FILE"
    )]
    public_key_file: Option<PathBuf>,
    /// Seconds for which a ticket that the server issues is valid [default: 60]
    #[arg(long = "ticket-life-s", value_name = "S", env = "TICKWIRE_TICKET_LIFE_S")]
    life_s: Option<u32>,
    /// Give a ticket to play or watch to anybody who asks, not only to operators
    #[arg(long, num_args = 0..=1, default_missing_value = "true", env = "TICKWIRE_GUESTS")]
    guests: Option<bool>,
}

impl Default for TicketConfig {
    fn default() -> Self {
        let life = Duration::from_secs(60);
        Self { secret_file: None, public_key_file: None, life, guests: false }
    }
}

impl TicketConfig {
    /// Whether the server requires tickets.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.secret_file.is_some() || self.public_key_file.is_some()
    }

    pub(crate) fn with(mut self, settings: TicketSettings) -> Result<Self, ConfigError> {
        // A flag replaces the file's key, also one of the other kind.
        if settings.secret_file.is_some() || settings.public_key_file.is_some() {
            self.secret_file = settings.secret_file;
            self.public_key_file = settings.public_key_file;
        }
        self.life = settings.life_s.map_or(self.life, |s| Duration::from_secs(s.into()));
        self.guests = settings.guests.unwrap_or(self.guests);
        if self.secret_file.is_some() && self.public_key_file.is_some() {
            let both = "tickets are signed by a secret or by a key pair, not both";
            return Err(ConfigError::new(both));
        }
        if self.life.is_zero() || self.life > LIFE_MAX {
            let range = format!("ticket_life_s must be 1 to {}", LIFE_MAX.as_secs());
            return Err(ConfigError::new(range));
        }
        if self.guests && self.life > GUEST_LIFE_MAX {
            let most = GUEST_LIFE_MAX.as_secs();
            let range = format!("ticket_life_s must be at most {most} if guests get tickets");
            return Err(ConfigError::new(range));
        }
        Ok(self)
    }
}
