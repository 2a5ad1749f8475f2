//! Accepts connections, applies their limits, and serves HTTP on them with the given routes.

use std::{
    convert::Infallible,
    future::pending,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router, extract::Request, middleware::AddExtension, response::Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::{Layer, Service};

use crate::{
    front_door::FrontDoor,
    http::{Peer, reject},
    intake,
    limits::Limits,
    tls::Tls,
};

/// The kernel's send buffer: the kernel doubles this, and a small frame occupies about 1 KiB of it.
/// So it holds about a second of snapshots; for a client that is further behind they are skipped.
const SEND_BUFFER_BYTES: usize = 32 * 1024;
/// Most unsent bytes in the kernel's buffer (`TCP_NOTSENT_LOWAT`): more would only grow stale
/// there.
const UNSENT_BYTES_MAX: u32 = 16 * 1024;
/// The TCP user timeout is this much longer than the stall timeout, so that a client that
/// acknowledges nothing is usually closed by us first, with a reason.
const PEER_GRACE: Duration = Duration::from_secs(5);
/// Rejected connections that are answered with a reason at once. More are just closed.
pub(crate) const REJECTING_MAX: usize = 64;

/// Connections at once on the health port.
pub(crate) const HEALTH_CONNECTIONS_MAX: usize = 64;
/// Wait after a failed accept: connections that end free file descriptors.
const FULL_WAIT: Duration = Duration::from_millis(50);
/// How long a trusted proxy's connection may be without a request: longer than load balancers keep
/// one (the longest known: 600 s). A request that meets a connection's close on its way is lost.
const PROXY_IDLE_TIMEOUT: Duration = Duration::from_secs(620);

/// Accepts and serves connections. Never returns.
pub(crate) async fn serve(listener: TcpListener, routes: Router, door: Arc<FrontDoor>) {
    let rejecting = Arc::new(Semaphore::new(REJECTING_MAX));
    let limits = &door.config.limits;
    if let Err(error) = tune(SockRef::from(&listener), limits) {
        tracing::warn!(%error, "this kernel lacks an option that connections should have");
    }
    loop {
        let (stream, address) = accept(&listener, &door).await;
        if let Err(error) = tune(SockRef::from(&stream), limits) {
            tracing::debug!(%error, "a connection lacks an option");
        }
        let tls = door.tls.as_ref().map(Tls::acceptor);
        let (place, handshake) = match door.enter(address.ip()) {
            Ok(places) => places,
            Err(reason) => {
                // Over TLS, sending the reason would take a handshake.
                if tls.is_none()
                    && let Ok(permit) = Arc::clone(&rejecting).try_acquire_owned()
                {
                    tokio::spawn(async move {
                        reject(stream, reason).await;
                        drop(permit);
                    });
                }
                continue;
            }
        };
        let is_proxy = door.config.proxies.believes(address.ip());
        let head_timeout = if is_proxy { PROXY_IDLE_TIMEOUT } else { limits.head_timeout };
        let evicted = handshake.evicted();
        let peer = Peer::new(address.ip(), place, handshake);
        // As a service: `Router::layer` would build all routes anew.
        let routes = Extension(peer.clone()).layer(routes.clone());
        let door = Arc::clone(&door);
        tokio::spawn(async move {
            let outstays =
                async { if is_proxy { peer.outstays(&door).await } else { pending().await } };
            tokio::select! {
                () = outstays => tracing::debug!("a proxy's idle connection made room"),
                () = serve_stream(stream, tls, routes, &door, head_timeout) => {}
                () = evicted => tracing::debug!("a silent connection was evicted for a newer one"),
            }
        });
    }
}

async fn serve_stream(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    routes: AddExtension<Router, Peer>,
    door: &FrontDoor,
    head_timeout: Duration,
) {
    let Some(tls) = tls else {
        return serve_connection(stream, routes, door, head_timeout).await;
    };
    let accepted = timeout(door.config.limits.head_timeout, tls.accept(stream)).await;
    let error = match accepted.unwrap_or_else(|elapsed| Err(elapsed.into())) {
        Ok(stream) => return serve_connection(stream, routes, door, head_timeout).await,
        Err(error) => error,
    };
    // A load balancer that only checks whether the port is open hangs up.
    if !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) {
        door.count_failed_handshake();
    }
    tracing::debug!(%error, "a TLS handshake failed");
}

/// Serves the health port, whatever the load of the main one, with a limit of its own. Never
/// returns.
pub(crate) async fn serve_health(listener: TcpListener, routes: Router, door: Arc<FrontDoor>) {
    let places = Arc::new(Semaphore::new(HEALTH_CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let (stream, _) = accept(&listener, &door).await;
        let (routes, door) = (routes.clone(), Arc::clone(&door));
        tokio::spawn(async move {
            serve_connection(stream, routes, &door, door.config.limits.head_timeout).await;
            drop(place);
        });
    }
}

async fn accept(listener: &TcpListener, door: &FrontDoor) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {
                tracing::debug!(%error, "a connection was gone before it began");
            }
            Err(error) => {
                // Most likely out of file descriptors, which connections that end free.
                door.count_unaccepted(&error);
                tokio::time::sleep(FULL_WAIT).await;
            }
        }
    }
}

/// Serves a connection whose requests' heads may each take so long, the wait for them included.
async fn serve_connection<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: S,
    door: &FrontDoor,
    head_timeout: Duration,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(door.config.limits.head_bytes_max)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        if error.is_parse() {
            door.count_malformed();
        }
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Sets a connection's options. Those that the kernel does not have are left out: the server only
/// measures less exactly, or notices later that a client is gone.
fn tune(socket: SockRef<'_>, limits: &Limits) -> io::Result<()> {
    let tried = [
        socket.set_tcp_nodelay(true),
        intake::stamp(&*socket),
        socket.set_send_buffer_size(SEND_BUFFER_BYTES),
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX),
        socket.set_tcp_user_timeout(Some(limits.stall_timeout + PEER_GRACE)),
    ];
    tried.into_iter().collect()
}
