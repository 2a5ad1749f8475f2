//! Certificates, and TLS clients.

use std::{
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tickwire_server::tls::TlsConfig;

use super::{Client, Stream, scratch};

/// A self-signed certificate in files.
pub(crate) struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    pub(crate) fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (scratch(&format!("{name}.cert")), scratch(&format!("{name}.key")));
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        let der = CertificateDer::from_pem_file(&cert).unwrap();
        Self { cert, key, der }
    }

    pub(crate) fn config(&self) -> TlsConfig {
        TlsConfig::Files { cert: self.cert.clone(), key: self.key.clone() }
    }

    pub(crate) fn join(
        &self,
        addr: SocketAddr,
        version: &'static SupportedProtocolVersion,
    ) -> Client {
        let mut client = self.open(addr, version, "match=auto");
        client.say_hello(None);
        client.wait_welcome();
        client
    }

    pub(crate) fn open(
        &self,
        addr: SocketAddr,
        version: &'static SupportedProtocolVersion,
        query: &str,
    ) -> Client {
        let stream = Stream::Tls(Box::new(self.session(addr, version)));
        Client::open_on(stream, query, "sec-websocket-protocol: tickwire.v1\r\n")
    }

    pub(crate) fn is_presented_by(&self, addr: SocketAddr) -> bool {
        let mut session = self.session(addr, &rustls::version::TLS13);
        session.conn.complete_io(&mut session.sock).is_ok()
    }

    /// A connection of a client that trusts only this certificate.
    fn session(
        &self,
        addr: SocketAddr,
        version: &'static SupportedProtocolVersion,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(connection, TcpStream::connect(addr).unwrap())
    }
}
