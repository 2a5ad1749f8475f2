//! TLS: certificates, and the handshake's settings.
//!
//! Only TLS 1.2 and 1.3 are spoken, and only HTTP/1.1 is offered. Certificates are looked at every
//! `RELOAD_INTERVAL`: when the files have changed and make a valid pair, new handshakes use it;
//! sessions go on. A pair that is not valid is logged, and the old one stays.

mod session;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use ::aws_lc_rs::digest;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

use crate::config::ConfigError;
pub(crate) use session::TlsSession;

/// How often certificate files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Where the server's certificate comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlsConfig {
    /// PEM files: the chain, and the key of its first certificate.
    Files {
        /// The chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// One made at start, for development.
    SelfSigned,
}

/// Settings of TLS: flags, environment, and the file's `[tls]`.
#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsSettings {
    /// PEM file with the certificate chain; HTTPS and wss are served instead of HTTP and ws
    #[arg(long = "tls-cert", value_name = "FILE", env = "TICKWIRE_TLS_CERT")]
    cert: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long = "tls-key", value_name = "FILE", env = "TICKWIRE_TLS_KEY")]
    key: Option<PathBuf>,
    /// Serve with a certificate made at start, for development; its fingerprint is logged
    #[arg(
        long = "tls-self-signed",
        num_args = 0..=1,
        default_missing_value = "true",
        env = "TICKWIRE_TLS_SELF_SIGNED"
    )]
    self_signed: Option<bool>,
}

impl TlsSettings {
    pub(crate) fn over(self, before: Option<TlsConfig>) -> Result<Option<TlsConfig>, ConfigError> {
        match (self.cert, self.key, self.self_signed.unwrap_or(false)) {
            (None, None, false) => Ok(before),
            (None, None, true) => Ok(Some(TlsConfig::SelfSigned)),
            (Some(cert), Some(key), false) => Ok(Some(TlsConfig::Files { cert, key })),
            (Some(_), None, _) | (None, Some(_), _) => {
                Err(ConfigError::new("tls_cert and tls_key go together"))
            }
            (Some(_), Some(_), true) => {
                Err(ConfigError::new("a certificate is either given or self-signed"))
            }
        }
    }
}

/// What the front door needs to speak TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    certificate: Arc<Certificate>,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads or makes the certificate.
    pub(crate) fn open(config: &TlsConfig) -> Result<Self, ConfigError> {
        let key = match config {
            TlsConfig::Files { cert, key } => read(cert, key)?,
            TlsConfig::SelfSigned => self_signed()?,
        };
        tracing::info!(sha256 = fingerprint(&key), "certificate");
        let files = match config {
            TlsConfig::Files { cert, key } => Some((cert.clone(), key.clone())),
            TlsConfig::SelfSigned => None,
        };
        let current = RwLock::new(Arc::new(key));
        let certificate = Arc::new(Certificate { files, current });
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| ConfigError::new(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        // Who comes back, as all may at once, needs no signature; and no memory here.
        config.ticketer =
            aws_lc_rs::Ticketer::new().map_err(|error| ConfigError::new(error.to_string()))?;
        // A WebSocket can't be had over HTTP/2 here.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { certificate, config: Arc::new(config) })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// Follows the files' changes, for ever.
    pub(crate) async fn follow_files(&self) {
        let Some((cert, key)) = &self.certificate.files else {
            return std::future::pending().await;
        };
        let mut seen = changed_at(cert, key);
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let changed = changed_at(cert, key);
            if changed == seen {
                continue;
            }
            seen = changed;
            match read(cert, key) {
                Ok(key) => {
                    tracing::info!(sha256 = fingerprint(&key), "certificate reloaded");
                    let current = &self.certificate.current;
                    *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                }
                Err(error) => tracing::error!(%error, "the old certificate stays"),
            }
        }
    }
}

/// The certificate that handshakes use now.
#[derive(Debug)]
struct Certificate {
    files: Option<(PathBuf, PathBuf)>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, ConfigError> {
    let fail = |path: &Path, why: &dyn std::fmt::Display| {
        ConfigError::new(format!("{}: {why}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(cert, &error))?;
    if chain.is_empty() {
        return Err(fail(cert, &"it has no certificate in PEM (BEGIN CERTIFICATE)"));
    }
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        let is_none = matches!(error, pem::Error::NoItemsFound);
        let none = "it has no private key in PEM (BEGIN PRIVATE KEY)";
        if is_none { fail(key, &none) } else { fail(key, &error) }
    })?;
    certified(chain, der).map_err(|error| fail(cert, &error))
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
}

fn self_signed() -> Result<CertifiedKey, ConfigError> {
    let fail = |error: &dyn std::fmt::Display| ConfigError::new(format!("certificate: {error}"));
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| fail(&error))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let key = key.map_err(|error| fail(&error))?;
    certified(vec![made.cert.der().clone()], key).map_err(|error| fail(&error))
}

/// SHA-256 of the certificate, as browsers show it.
fn fingerprint(key: &CertifiedKey) -> String {
    let der = key.cert.first().map_or(&[][..], |cert| cert.as_ref());
    let hash = digest::digest(&digest::SHA256, der);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn changed_at(cert: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    let at = |path: &Path| -> io::Result<SystemTime> { std::fs::metadata(path)?.modified() };
    [at(cert).ok(), at(key).ok()]
}
