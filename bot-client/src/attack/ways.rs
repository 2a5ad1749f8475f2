//! The attacks: each opens one or more connections, and reads until the server closes them.
//!
//! An error means that the server has cut the connection, as it should.

use std::{io, time::Duration};

use tickwire_shared::{
    dice::Dice,
    link::ClientLink,
    time::Micros,
    wire::{ResumeToken, SUBPROTOCOL},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::Victim;
use crate::{dial::Stream, outgoing::Outgoing};

/// How long an attacker waits for the server's reaction.
const LISTEN_TIMEOUT: Duration = Duration::from_millis(500);
/// Time between the bytes of a trickled request.
const TRICKLE_INTERVAL: Duration = Duration::from_millis(200);
/// How long an attacker holds idle connections.
const HOLD_TIME: Duration = Duration::from_secs(8);

/// See the module.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Noise,
    GiantHead,
    SlowLoris,
    HalfOpen,
    TrickledBody,
    ConnectFlood,
    MatchFlood,
    WebSocketNoise,
    Unmasked,
    GiantLength,
    EndlessFragments,
    PingFlood,
    HelloTwice,
    NoHello,
    AckOfTheFuture,
    InputJump,
    InputFlood,
    OthersTicket,
    OthersSession,
    NeverRead,
}

impl Way {
    pub(super) const ALL: [Self; 20] = [
        Self::Noise,
        Self::GiantHead,
        Self::SlowLoris,
        Self::HalfOpen,
        Self::TrickledBody,
        Self::ConnectFlood,
        Self::MatchFlood,
        Self::WebSocketNoise,
        Self::Unmasked,
        Self::GiantLength,
        Self::EndlessFragments,
        Self::PingFlood,
        Self::HelloTwice,
        Self::NoHello,
        Self::AckOfTheFuture,
        Self::InputJump,
        Self::InputFlood,
        Self::OthersTicket,
        Self::OthersSession,
        Self::NeverRead,
    ];

    /// Makes one attack.
    pub(super) async fn attack(self, victim: &Victim, dice: &mut Dice) -> io::Result<()> {
        match self {
            Self::Noise => {
                send_and_read(Box::new(victim.connect_bare().await?), &noise(dice, 2_000)).await
            }
            Self::GiantHead => {
                let head = format!(
                    "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
                    "a".repeat(99_999)
                );
                send_and_read(victim.dialer.dial().await?, head.as_bytes()).await
            }
            Self::SlowLoris => {
                trickle(victim, b"GET /v1/play HTTP/1.1\r\nhost: localhost\r\n", b'x').await
            }
            Self::HalfOpen => {
                let idle = victim.connect_bare().await?;
                let upgraded = victim.upgrade("match=auto").await?;
                sleep(HOLD_TIME).await;
                drop((idle, upgraded));
                Ok(())
            }
            Self::TrickledBody => {
                let head =
                    b"POST /v1/join HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999\r\n\r\n";
                trickle(victim, head, b' ').await
            }
            Self::ConnectFlood => {
                for _ in 0..16 {
                    drop(victim.connect_from_elsewhere(dice).await?);
                }
                Ok(())
            }
            Self::MatchFlood => {
                let request =
                    "POST /v1/matches HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
                send_and_read(victim.dialer.dial().await?, request.repeat(50).as_bytes()).await
            }
            Self::WebSocketNoise => {
                victim.play(&[hello(dice, None), noise(dice, 2_000)].concat()).await
            }
            Self::Unmasked => victim.play(&[0x82, 3, 0x01, 0x02, 0x03]).await,
            Self::GiantLength => {
                let head = vec![0x82, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255];
                victim.play(&[hello(dice, None), head].concat()).await
            }
            Self::EndlessFragments => {
                let (first, empty) = (vec![0x02, 0x80, 1, 2, 3, 4], [0x00, 0x80, 1, 2, 3, 4]);
                victim.play(&[hello(dice, None), first, empty.repeat(20_000)].concat()).await
            }
            Self::PingFlood => {
                let pings = [0x89, 0x80, 1, 2, 3, 4].repeat(20_000);
                victim.play(&[hello(dice, None), pings].concat()).await
            }
            Self::HelloTwice => victim.play(&hello(dice, None).repeat(2)).await,
            Self::NoHello => victim.play(&[]).await,
            Self::AckOfTheFuture => {
                let ack = messages(dice, &[&[0x02, 0xFF, 0xFF, 0xFF, 0x7F]]);
                victim.play(&[hello(dice, None), ack].concat()).await
            }
            Self::InputJump => {
                let input = [&[0x01][..], &[0xFF; 4], &[1, 0, 0, 0], &[0; 12]].concat();
                let input = messages(dice, &[&input]);
                victim.play(&[hello(dice, None), input].concat()).await
            }
            Self::InputFlood => {
                let inputs = messages(dice, &[&[0x01; 24][..]; 5_000]);
                victim.play(&[hello(dice, None), inputs].concat()).await
            }
            Self::OthersTicket => {
                // Its algorithm is `none`, and its signature is made up.
                let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSIsImV4cCI6OTk5OTk5OTk5OX0.";
                let query = format!("match=auto&ticket={token}{}", dice.next());
                send_and_read(victim.upgrade(&query).await?, &[]).await
            }
            Self::OthersSession => {
                let socket = victim.upgrade("match=1&resume=1").await?;
                let token = ResumeToken(u128::from(dice.next()).to_le_bytes());
                send_and_read(socket, &hello(dice, Some(token))).await
            }
            Self::NeverRead => {
                let mut socket = victim.upgrade("match=auto").await?;
                socket.write_all(&hello(dice, None)).await?;
                sleep(HOLD_TIME).await;
                Ok(())
            }
        }
    }
}

/// A frame with a hello.
pub(super) fn hello(dice: &mut Dice, resume: Option<ResumeToken>) -> Vec<u8> {
    let mut payload = Vec::new();
    ClientLink::default().write_hello("", resume, &mut payload);
    messages(dice, &[&payload])
}

/// A frame with a ping of the protocol: WebSocket pings don't reset the idle timeout.
pub(super) fn ping(dice: &mut Dice) -> Vec<u8> {
    let mut payload = Vec::new();
    ClientLink::default().write_ping(Micros(0), &mut payload);
    messages(dice, &[&payload])
}

fn messages(dice: &mut Dice, payloads: &[&[u8]]) -> Vec<u8> {
    let mut outgoing = Outgoing::new(Dice::new(dice.next()));
    for payload in payloads {
        outgoing.binary(|out| out.extend_from_slice(payload));
    }
    outgoing.unsent().to_vec()
}

fn noise(dice: &mut Dice, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| dice.next() as u8).collect()
}

/// Sends bytes, and reads the server's reaction.
async fn send_and_read(mut socket: Stream, bytes: &[u8]) -> io::Result<()> {
    let said = async {
        socket.write_all(bytes).await?;
        let mut answer = [0; 4096];
        while socket.read(&mut answer).await? > 0 {}
        Ok(())
    };
    timeout(LISTEN_TIMEOUT, said).await.unwrap_or(Ok(()))
}

/// Sends a beginning, and then single bytes until the server cuts the connection.
async fn trickle(victim: &Victim, begin: &[u8], byte: u8) -> io::Result<()> {
    let mut socket = victim.dialer.dial().await?;
    socket.write_all(begin).await?;
    loop {
        sleep(TRICKLE_INTERVAL).await;
        socket.write_all(&[byte]).await?;
    }
}

impl Victim {
    /// Sends frames on a new WebSocket.
    async fn play(&self, frames: &[u8]) -> io::Result<()> {
        send_and_read(self.upgrade("match=auto").await?, frames).await
    }

    /// Connects without TLS, even if the victim uses it.
    async fn connect_bare(&self) -> io::Result<TcpStream> {
        TcpStream::connect(self.dialer.address()).await
    }

    /// Connects from another loopback address than the usual one, if the victim is on this machine.
    async fn connect_from_elsewhere(&self, dice: &mut Dice) -> io::Result<TcpStream> {
        let address = self.dialer.address();
        if !address.ip().is_loopback() || address.is_ipv6() {
            return self.connect_bare().await;
        }
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(([127, 0, 1, dice.within(1, 4) as u8], 0).into())?;
        socket.connect(address).await
    }

    /// Opens a WebSocket, even if the server closes it right after the handshake.
    pub(super) async fn upgrade(&self, query: &str) -> io::Result<Stream> {
        let mut socket = self.dialer.dial().await?;
        let head = format!(
            "GET /v1/play?{query} HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: {SUBPROTOCOL}\r\n\r\n",
            self.authority
        );
        socket.write_all(head.as_bytes()).await?;
        let mut answer = [0; 4];
        timeout(HOLD_TIME, socket.read_exact(&mut answer)).await??;
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use tickwire_shared::{
        link::ServerLink,
        schema::Schema,
        testing,
        time::TickRate,
        ws::{Decoder, Message},
    };

    use super::*;

    #[test]
    fn a_client_that_never_reads_is_not_idle() {
        let mut link = ServerLink::new(Micros(0));
        link.welcome(&testing::welcome(Schema::default(), TickRate::new(30).unwrap()));
        let mut bytes = ping(&mut Dice::new(1));
        let mut decoder = Decoder::new(1024);
        let mut feed = decoder.feed(&mut bytes);
        if let Ok(Some(Message::Binary(frame))) = feed.next() {
            link.handle_frame(frame, &[], &mut [], Micros(7)).expect("it is no fault");
        }
        assert_eq!(link.received_at(), Micros(7));
    }
}
