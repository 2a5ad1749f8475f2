//! The front door: accepts connections, bounds and reads their request heads, and leaves the rest
//! to the routes.

use std::{io, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::{admission::Admission, http};

/// How long a client may take to send a request's head, and how long a connection is kept between
/// requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest head of a request, in bytes; hyper's least.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// What the kernel may hold of frames that a client has not acknowledged: it doubles this, and a
/// small frame occupies about 1 KiB of it. So about a second of snapshots; a client that is further
/// behind is better skipped.
const SEND_BUFFER_BYTES: usize = 32 * 1024;
/// What the kernel may hold that it has not even sent: more would only get old there.
const UNSENT_BYTES_MAX: u32 = 16 * 1024;
/// A peer that acknowledges nothing for this long is gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(20);

/// Accepts connections for ever.
pub async fn serve(listener: TcpListener, admission: Arc<Admission>) {
    let routes = http::routes(Arc::clone(&admission));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, most likely. Connections that end make room.
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "a connection was gone before it began");
            continue;
        }
        let Some(permit) = admission.connection() else {
            tokio::spawn(http::refuse_at_capacity(stream));
            continue;
        };
        let routes = routes.clone().layer(axum::Extension(http::Permit::new(permit)));
        tokio::spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
                .with_upgrades()
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    socket.set_tcp_user_timeout(Some(PEER_TIMEOUT))
}
