//! TLS: certificates, and the handshake's settings.
//!
//! Only TLS 1.2 and 1.3 are supported, and only HTTP/1.1 is offered. When the certificate's files
//! change and make a valid pair, new handshakes use it; existing sessions go on. A certificate that
//! has expired, or soon will, is still served, with a warning in the log every hour.

mod session;

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::{Arc, RwLock, atomic::AtomicBool},
    time::Duration,
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
use x509_parser::certificate::Validity;

use crate::{config::ConfigError, locks, reload::reload_changed, tickets::unix_now};
pub(crate) use session::TlsSession;

/// How often the log warns about the certificate's end.
const WARN_INTERVAL: Duration = Duration::from_secs(3600);
/// It warns in the last 1/`LAST_PART` of the certificate's life.
const LAST_PART: i64 = 10;

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
    /// A certificate made at start, for development.
    SelfSigned,
}

/// Settings of TLS: flags, environment, and the file's `[tls]`.
#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
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
        match (self.cert, self.key, self.self_signed) {
            (None, None, None) => Ok(before),
            (None, None, Some(false)) => Ok(before.filter(|tls| *tls != TlsConfig::SelfSigned)),
            (None, None, Some(true)) => Ok(Some(TlsConfig::SelfSigned)),
            (Some(cert), Some(key), None | Some(false)) => Ok(Some(TlsConfig::Files { cert, key })),
            (Some(_), None, _) | (None, Some(_), _) => {
                Err(ConfigError::new("tls_cert and tls_key go together"))
            }
            (Some(_), Some(_), Some(true)) => {
                Err(ConfigError::new("a certificate is either given or self-signed"))
            }
        }
    }
}

/// The certificate and the handshake's configuration.
#[derive(Debug)]
pub(crate) struct Tls {
    certificate: Arc<Certificate>,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads or makes the certificate.
    pub(crate) fn open(config: &TlsConfig) -> Result<Self, ConfigError> {
        let (pair, files) = match config {
            TlsConfig::Files { cert, key } => (read(cert, key)?, Some((cert.clone(), key.clone()))),
            TlsConfig::SelfSigned => (self_signed()?, None),
        };
        pair.log("certificate");
        let certificate = Arc::new(Certificate { files, current: RwLock::new(Arc::new(pair)) });
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| ConfigError::new(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        // Session tickets: when many clients reconnect at once, their handshakes need no signature,
        // and the server stores nothing for them.
        config.ticketer =
            aws_lc_rs::Ticketer::new().map_err(|error| ConfigError::new(error.to_string()))?;
        // WebSockets over HTTP/2 are not supported.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { certificate, config: Arc::new(config) })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// When the certificate ends, in seconds since 1970.
    pub(crate) fn ends_at(&self) -> i64 {
        self.certificate.current().ends_at()
    }

    /// Reloads renewed files, and warns before the certificate expires. Never returns.
    pub(crate) async fn reload_files(&self, is_stale: &AtomicBool) {
        let Some((cert, key)) = &self.certificate.files else {
            return std::future::pending().await;
        };
        let take = |pair: Pair| {
            pair.log("certificate reloaded");
            pair.warn();
            let current = &self.certificate.current;
            *locks::write(current) = Arc::new(pair);
        };
        let warn = async {
            loop {
                self.certificate.current().warn();
                tokio::time::sleep(WARN_INTERVAL).await;
            }
        };
        let files = [cert.as_path(), key.as_path()];
        let read = || read(cert, key);
        tokio::join!(reload_changed("certificate", &files, is_stale, read, take), warn);
    }
}

/// The certificate that handshakes use now.
#[derive(Debug)]
struct Certificate {
    files: Option<(PathBuf, PathBuf)>,
    current: RwLock<Arc<Pair>>,
}

impl Certificate {
    fn current(&self) -> Arc<Pair> {
        Arc::clone(&locks::read(&self.current))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().key))
    }
}

/// A certificate with its key.
#[derive(Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

impl Pair {
    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, String> {
        let first = chain.first().ok_or("it has no certificate in PEM (BEGIN CERTIFICATE)")?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(first).map_err(|error| error.to_string())?;
        let validity = parsed.validity.clone();
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let key = key.map_err(|error| {
            let is_anothers = matches!(error, rustls::Error::InconsistentKeys(_));
            if is_anothers { "the key is another certificate's".into() } else { error.to_string() }
        });
        Ok(Self { key: Arc::new(key?), validity })
    }

    fn log(&self, what: &'static str) {
        tracing::info!(sha256 = self.fingerprint(), ends = %self.validity.not_after, "{what}");
    }

    /// In seconds since 1970.
    fn ends_at(&self) -> i64 {
        self.validity.not_after.timestamp()
    }

    /// Why clients reject it, or soon will, at a time in seconds since 1970.
    fn fault(&self, now: i64) -> Option<&'static str> {
        let begins_at = self.validity.not_before.timestamp();
        if now < begins_at {
            Some("the certificate is not valid yet: clients reject it")
        } else if now > self.ends_at() {
            Some("the certificate has ended: clients reject it; renew its files")
        } else if (self.ends_at() - now) * LAST_PART < self.ends_at() - begins_at {
            Some("the certificate ends soon: renew its files")
        } else {
            None
        }
    }

    fn warn(&self) {
        if let Some(fault) = self.fault(unix_now().cast_signed()) {
            let Validity { not_before, not_after } = &self.validity;
            tracing::warn!(%not_before, %not_after, "{fault}");
        }
    }

    /// SHA-256 of the certificate, as browsers show it.
    fn fingerprint(&self) -> String {
        let der = self.key.cert.first().map_or(&[][..], |cert| cert.as_ref());
        let hash = digest::digest(&digest::SHA256, der);
        hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

fn read(cert: &Path, key: &Path) -> Result<Pair, ConfigError> {
    let fail_cert = |why: &dyn Display| ConfigError::of_file("tls_cert", cert, why);
    let fail_key = |why: &dyn Display| ConfigError::of_file("tls_key", key, why);
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail_cert(&error))?;
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        let is_none = matches!(error, pem::Error::NoItemsFound);
        let none = "it has no private key in PEM (BEGIN PRIVATE KEY)";
        if is_none { fail_key(&none) } else { fail_key(&error) }
    })?;
    Pair::new(chain, der).map_err(|error| fail_cert(&error))
}

fn self_signed() -> Result<Pair, ConfigError> {
    let fail = |error: &dyn Display| ConfigError::new(format!("certificate: {error}"));
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| fail(&error))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let key = key.map_err(|error| fail(&error))?;
    Pair::new(vec![made.cert.der().clone()], key).map_err(|error| fail(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_clients_reject_or_soon_will_is_reported() {
        let day = |year, month, day| rcgen::date_time_ymd(year, month, day);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".into()]).unwrap();
        (params.not_before, params.not_after) = (day(2026, 3, 1), day(2026, 5, 30));
        let certificate = params.self_signed(&key).unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let pair = Pair::new(vec![certificate.der().clone()], der).unwrap();
        let told = |at: (i32, u8, u8)| pair.fault(day(at.0, at.1, at.2).unix_timestamp());
        assert!(told((2026, 2, 28)).unwrap().contains("not valid yet"));
        assert_eq!(told((2026, 5, 20)), None);
        assert!(told((2026, 5, 22)).unwrap().contains("ends soon"));
        assert!(told((2026, 5, 31)).unwrap().contains("has ended"));
    }

    #[test]
    fn a_flag_may_also_switch_off() {
        let says = |cert: Option<&str>, self_signed| {
            let file = cert.map(PathBuf::from);
            TlsSettings { cert: file.clone(), key: file, self_signed }
        };
        let given = TlsConfig::Files { cert: "a".into(), key: "a".into() };
        let made = TlsConfig::SelfSigned;
        for (settings, before, after) in [
            (says(None, None), Some(made.clone()), Some(made.clone())),
            (says(None, Some(true)), Some(given.clone()), Some(made.clone())),
            (says(None, Some(false)), Some(made.clone()), None),
            (says(None, Some(false)), Some(given.clone()), Some(given.clone())),
            (says(Some("a"), None), Some(made.clone()), Some(given.clone())),
            (says(Some("a"), Some(false)), Some(made), Some(given)),
        ] {
            assert_eq!(settings.over(before), Ok(after));
        }
        assert!(says(Some("a"), Some(true)).over(None).is_err());
    }
}
