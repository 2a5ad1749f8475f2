//! Connecting to the server below the WebSocket: TCP, and TLS for `wss://` URLs.
//!
//! The server's certificate is pinned by its SHA-256, which the server logs and browsers show, and
//! not verified by an authority; so a self-signed one works too. A simulated network, if there is
//! one, is between TCP and TLS.

use std::{cell::Cell, fmt, io, net::SocketAddr, str::FromStr, sync::Arc};

use aws_lc_rs::digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tickwire_shared::testing::Profile;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{net, target::Target};

/// A connection: plain TCP, TLS, or either over a simulated network.
pub(crate) type Stream = Box<dyn ReadWrite>;

/// See [`Stream`].
pub(crate) trait ReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ReadWrite for T {}

/// SHA-256 of a certificate: 32 bytes in hex, with or without colons.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; 32]);

/// Why a text is not a fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the SHA-256 of a certificate; the server logs its own when it starts")]
pub struct BadFingerprint;

/// Connects to one server.
pub(crate) struct Dialer {
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    net: Option<Profile>,
    /// The seed of the next connection's network.
    seed: Cell<u64>,
}

impl Dialer {
    /// A dialer for the target, whose name resolves to this address. With a fingerprint it uses
    /// TLS; with a profile, a simulated network.
    pub(crate) fn new(
        target: &Target,
        address: SocketAddr,
        fingerprint: Option<Fingerprint>,
        net: Option<Profile>,
        seed: u64,
    ) -> io::Result<Self> {
        let tls = fingerprint.map(|fingerprint| {
            let name = ServerName::try_from(target.host().to_owned()).map_err(io::Error::other)?;
            let connector = connector(fingerprint).map_err(io::Error::other)?;
            Ok::<_, io::Error>((connector, name))
        });
        Ok(Self { address, tls: tls.transpose()?, net, seed: Cell::new(seed) })
    }

    /// The server's address.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a connection that is ready for HTTP.
    pub(crate) async fn dial(&self) -> io::Result<Stream> {
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        let socket: Stream = match &self.net {
            None => Box::new(socket),
            Some(profile) => {
                let seed = self.seed.get();
                self.seed.set(seed.wrapping_add(1));
                net::over(profile, seed, Box::new(socket))
            }
        };
        match &self.tls {
            None => Ok(socket),
            Some((tls, name)) => Ok(Box::new(tls.connect(name.clone(), socket).await?)),
        }
    }
}

fn connector(fingerprint: Fingerprint) -> Result<TlsConnector, Error> {
    let provider = Arc::new(default_provider());
    let verifier = Arc::new(OneCertificate { fingerprint, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Each bot stands for a new player, whose handshake can't resume an earlier TLS session.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let digits = text.chars().filter(|&char| char != ':');
        let digits: Option<Vec<_>> = digits.map(|char| char.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(BadFingerprint)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Trusts exactly one certificate, whatever its name and issuer.
#[derive(Debug)]
struct OneCertificate {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OneCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let hash = digest::digest(&digest::SHA256, certificate);
        if hash.as_ref() == self.fingerprint.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_servers_and_browsers_write_them() {
        let colons = ["0A"; 32].join(":");
        let expected = Ok(Fingerprint([10; 32]));
        assert_eq!(colons.parse(), expected);
        assert_eq!("0a".repeat(32).parse(), expected);
        for wrong in ["", "0a", &"0a".repeat(33), &"0g".repeat(32)] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(BadFingerprint), "{wrong}");
        }
    }
}
