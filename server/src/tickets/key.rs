//! Keys that sign and verify tickets, and their rotation.

use std::{fmt::Display, fs};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    errors::{self, ErrorKind},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{AUDIENCE, LIFE_MAX, TicketConfig};
use crate::config::ConfigError;

/// RFC 7518 wants a secret as long as the hash.
const SECRET_BYTES_MIN: usize = 32;

/// The current key, and the previous one with the end of its validity.
pub(super) struct Keys {
    now: Key,
    before: Option<(Key, u64)>,
    validation: Validation,
}

impl Keys {
    pub(super) fn new(key: Key) -> Self {
        let mut validation = Validation::new(key.algorithm);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "exp"]);
        // Time is an argument here: the caller checks the expiry.
        validation.validate_exp = false;
        Self { now: key, before: None, validation }
    }

    /// Makes this the current key. Returns whether it differs from the one before.
    pub(super) fn replace(&mut self, key: Key, now: u64) -> bool {
        let is_new = key.source != self.now.source;
        if is_new {
            let before = std::mem::replace(&mut self.now, key);
            self.before = Some((before, now + LIFE_MAX.as_secs()));
        }
        is_new
    }

    /// A token's claims, if one of the keys has signed it for this audience.
    pub(super) fn read<T: DeserializeOwned>(&self, token: &str, now: u64) -> errors::Result<T> {
        let decode = |key: &Key| jsonwebtoken::decode::<T>(token, &key.verify, &self.validation);
        let decoded = match (decode(&self.now), &self.before) {
            (Err(error), Some((before, until)))
                if *error.kind() == ErrorKind::InvalidSignature && now < *until =>
            {
                decode(before)
            }
            (decoded, _) => decoded,
        };
        let token = decoded?;
        // `crit` lists extensions that a verifier must understand (RFC 7515); we support none.
        if token.header.crit.is_some() {
            return Err(ErrorKind::InvalidToken.into());
        }
        Ok(token.claims)
    }

    /// Signs claims, if the key can sign.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Option<String> {
        let Key { algorithm, sign, .. } = &self.now;
        jsonwebtoken::encode(&Header::new(*algorithm), claims, sign.as_ref()?).ok()
    }
}

pub(super) struct Key {
    /// The bytes of the key, to notice a change.
    source: Vec<u8>,
    algorithm: Algorithm,
    verify: DecodingKey,
    sign: Option<EncodingKey>,
}

impl Key {
    /// Reads the configured key; `None` if the settings name none.
    pub(super) fn read(config: &TicketConfig) -> Result<Option<Self>, ConfigError> {
        if let Some(path) = &config.secret_file {
            let fail = |why: &dyn Display| ConfigError::of_file("ticket_secret_file", path, why);
            let secret = fs::read(path).map_err(|error| fail(&error))?;
            if secret.starts_with(b"-----BEGIN") {
                let pem = "a key in PEM is no secret; a public one is ticket_public_key_file";
                return Err(fail(&pem));
            }
            let short = || fail(&format_args!("a secret has at least {SECRET_BYTES_MIN} bytes"));
            return Self::secret(secret.trim_ascii_end()).ok_or_else(short).map(Some);
        }
        let Some(path) = &config.public_key_file else { return Ok(None) };
        let fail = |why: &dyn Display| ConfigError::of_file("ticket_public_key_file", path, why);
        let source = fs::read(path).map_err(|error| fail(&error))?;
        let no_key = || fail(&"it has no public Ed25519 key in PEM (BEGIN PUBLIC KEY)");
        Self::public(source).ok_or_else(no_key).map(Some)
    }

    /// Parses a public key; `None` if it is not one.
    pub(super) fn public(source: Vec<u8>) -> Option<Self> {
        let verify = DecodingKey::from_ed_pem(&source).ok()?;
        Some(Self { source, algorithm: Algorithm::EdDSA, verify, sign: None })
    }

    /// A key from a shared secret; `None` if that is too short.
    pub(super) fn secret(secret: &[u8]) -> Option<Self> {
        let key = || Self {
            source: secret.into(),
            algorithm: Algorithm::HS256,
            verify: DecodingKey::from_secret(secret),
            sign: Some(EncodingKey::from_secret(secret)),
        };
        (secret.len() >= SECRET_BYTES_MIN).then(key)
    }
}
