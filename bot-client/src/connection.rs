//! One bot's WebSocket: the upgrade, reading, and non-blocking writing.

use std::{
    convert::Infallible,
    future::{self, Future, poll_fn},
    io::{self, Cursor},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use fastwebsockets::{
    OpCode, Payload, Role, WebSocketError, WebSocketRead, after_handshake_split,
    handshake::{self, generate_key},
};
use http_body_util::Empty;
use hyper::{Request, StatusCode, body::Bytes, header, rt::Executor};
use hyper_util::rt::TokioIo;
use rustls::InvalidMessage;
use tickwire_shared::wire::{SERVER_FRAME_BYTES_MAX, SUBPROTOCOL};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, Chain, ReadHalf, WriteHalf, sink, split},
    task::coop::unconstrained,
};

use crate::{
    dial::{Dialer, Stream},
    target::Target,
};

/// Why there is no WebSocket to the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot connect: {0}")]
    Network(#[from] io::Error),
    #[error("no ticket: {0}")]
    NoTicket(String),
    #[error("the server answered {0}")]
    Refused(StatusCode),
    #[error("the WebSocket handshake failed: {0}")]
    Handshake(WebSocketError),
    #[error("the server does not answer in HTTP; if it has a certificate, use wss:// in the URL")]
    NoHttp,
    #[error("the server does not answer in TLS; if it has no certificate, use ws:// in the URL")]
    NoTls,
    #[error("the server's certificate is not that of --tls-sha256; it logs its own when it starts")]
    WrongCertificate,
    #[error("the server does not speak {SUBPROTOCOL}")]
    WrongSubprotocol,
}

impl ConnectError {
    /// Whether a later attempt may succeed.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(status) => {
                matches!(*status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
            }
            Self::Network(_) | Self::Handshake(_) => true,
            Self::NoTicket(_)
            | Self::NoHttp
            | Self::NoTls
            | Self::WrongCertificate
            | Self::WrongSubprotocol => false,
        }
    }
}

/// How a connection ends, unless the bot closes it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("closed by the server with code {code} ({reason})")]
    Closed { code: u16, reason: String },
    #[error("the connection broke: {0}")]
    Broken(#[from] WebSocketError),
    #[error("the server sent a text or fragmented message")]
    NotBinary,
}

/// One message from the server.
pub(crate) enum Message<'a> {
    Binary(Payload<'a>),
    /// Must be answered by a pong with the same payload.
    Ping(Payload<'a>),
    Pong,
}

/// The reading end. [`Reader::next`] is not cancel-safe: dropping it halfway loses the position in
/// the stream. So the reader belongs to one task that does nothing else.
pub(crate) struct Reader(WebSocketRead<Chain<Cursor<Bytes>, ReadHalf<Stream>>>);

impl Reader {
    pub(crate) async fn next(&mut self) -> Result<Message<'_>, ReadError> {
        let frame = self.0.read_frame(&mut |_| future::ready(Ok::<_, Infallible>(()))).await?;
        match frame.opcode {
            OpCode::Binary if frame.fin => Ok(Message::Binary(frame.payload)),
            OpCode::Ping => Ok(Message::Ping(frame.payload)),
            OpCode::Pong => Ok(Message::Pong),
            OpCode::Close => Err(closed(&frame.payload)),
            OpCode::Binary | OpCode::Text | OpCode::Continuation => Err(ReadError::NotBinary),
        }
    }
}

fn closed(payload: &[u8]) -> ReadError {
    // RFC 6455: what a close frame without a code counts as.
    const NO_CODE: u16 = 1005;
    let (code, reason) = match payload.split_first_chunk() {
        Some((code, reason)) => (u16::from_be_bytes(*code), reason),
        None => (NO_CODE, payload),
    };
    ReadError::Closed { code, reason: String::from_utf8_lossy(reason).into_owned() }
}

/// The writing end, for frames that [`crate::outgoing`] has formatted.
pub(crate) struct Writer(WriteHalf<Stream>);

impl Writer {
    /// Writes as much as the kernel takes now.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // One task writes for all bots: tokio's cooperative budget would stop it at the 129th
        // write.
        let writing = pin!(unconstrained(poll_fn(|context| {
            let taken = ready!(Pin::new(&mut self.0).poll_write(context, bytes))?;
            // TLS may have buffered bytes that the kernel has not taken yet.
            let _ = Pin::new(&mut self.0).poll_flush(context)?;
            Poll::Ready(Ok(taken))
        })));
        // No waker is registered: the next send tries again.
        match writing.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(written) => written,
            Poll::Pending => Ok(0),
        }
    }
}

/// Connects and upgrades.
pub(crate) async fn connect(
    dialer: &Dialer,
    target: &Target,
    path: &str,
) -> Result<(Reader, Writer), ConnectError> {
    let socket = dialer.dial().await.map_err(not_dialed)?;
    let request = Request::get(path)
        .header(header::HOST, target.authority())
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "upgrade")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .body(Empty::<Bytes>::new())
        .expect("a parsed target has a valid authority and path");
    let (websocket, response) =
        handshake::client(&Spawn, request, socket).await.map_err(refused)?;
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    if chosen.is_none_or(|chosen| chosen != SUBPROTOCOL) {
        return Err(ConnectError::WrongSubprotocol);
    }
    let upgraded = websocket.into_inner().into_inner();
    let parts = upgraded.downcast::<TokioIo<Stream>>().expect("hyper was given a Stream");
    let (read, write) = split(parts.io.into_inner());
    // Bytes that the server sent right after its response were already read.
    let read = Cursor::new(parts.read_buf).chain(read);
    let (mut reader, _) = after_handshake_split(read, sink(), Role::Client);
    reader.set_auto_close(false);
    reader.set_auto_pong(false);
    // fastwebsockets rejects messages of exactly the limit too.
    reader.set_max_message_size(SERVER_FRAME_BYTES_MAX + 1);
    Ok((Reader(reader), Writer(write)))
}

pub(crate) fn not_dialed(error: io::Error) -> ConnectError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    match tls {
        // A TLS record's first byte is its content type, which is never a letter.
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            ConnectError::NoTls
        }
        Some(rustls::Error::InvalidCertificate(_)) => ConnectError::WrongCertificate,
        // A server without TLS closes the connection on a ClientHello.
        None if error.kind() == io::ErrorKind::UnexpectedEof => ConnectError::NoTls,
        Some(_) | None => ConnectError::Network(error),
    }
}

fn refused(error: WebSocketError) -> ConnectError {
    if let WebSocketError::HTTPError(error) = &error
        && error.is_parse()
    {
        return ConnectError::NoHttp;
    }
    if let WebSocketError::InvalidStatusCode(code) = error
        && let Ok(status) = StatusCode::from_u16(code)
    {
        return ConnectError::Refused(status);
    }
    ConnectError::Handshake(error)
}

/// Runs hyper's side of the handshake.
struct Spawn;

impl<F> Executor<F> for Spawn
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}
