//! A simulated network between a bot and the server, in real time. Each direction is a [`Pipe`] as
//! in the simulations: bytes are neither lost nor reordered, but arrive late, in bunches, and no
//! faster than the link's rate. Precise to a millisecond.

use std::io;

use tickwire_shared::{
    testing::{Pipe, Profile},
    time::Micros,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split},
    join, select,
    time::{Instant, sleep_until},
};

use crate::dial::Stream;

/// Bytes that either end may write before it has to wait, like a socket's buffer.
const BUFFER_BYTES: usize = 64 * 1024;
/// Most pieces in flight: further bytes wait at the sender.
const PIECES_MAX: usize = 128;
/// Most bytes of a piece: available bytes travel together, as in TCP.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// The far end of `socket` over such a network. It ends once both ends have closed and all bytes
/// are delivered.
pub(crate) fn over(profile: &Profile, seed: u64, socket: Stream) -> Stream {
    let (near, far) = duplex(BUFFER_BYTES);
    let (down, up) = (Pipe::down(profile, seed), Pipe::up(profile, seed));
    tokio::spawn(async move {
        let (from_server, to_server) = split(socket);
        let (from_bot, to_bot) = split(far);
        // If one end closes, the bytes it has sent are delivered before the other sees the end.
        let _ = join!(carry(from_server, to_bot, down), carry(from_bot, to_server, up));
    });
    Box::new(near)
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut pipe: Pipe,
) -> io::Result<()> {
    let start = Instant::now();
    let now = || Micros::from(start.elapsed());
    let mut buffer = vec![0; PIECE_BYTES_MAX];
    let mut is_open = true;
    loop {
        while let Some((_, piece)) = pipe.poll(now()) {
            to.write_all(&piece).await?;
        }
        let due = pipe.due().map(|due| start + due.into());
        if due.is_none() && !is_open {
            return to.shutdown().await;
        }
        select! {
            read = from.read(&mut buffer), if is_open && pipe.len() < PIECES_MAX => {
                match read.unwrap_or(0) {
                    0 => is_open = false,
                    count => pipe.send(buffer[..count].to_vec(), now()),
                }
            }
            () = sleep_until(due.unwrap_or(start)), if due.is_some() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_whole_and_in_order_and_then_the_end() {
        let profile = Profile { stall_every: Micros(0), ..Profile::WIFI };
        let (near, far) = duplex(BUFFER_BYTES);
        let mut bot = over(&profile, 7, Box::new(near));
        let (mut read, mut write) = split(far);
        let sent: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        let mut came = Vec::new();
        let (wrote, got) = join!(
            async {
                write.write_all(&sent).await?;
                write.shutdown().await
            },
            bot.read_to_end(&mut came)
        );
        wrote.unwrap();
        got.unwrap();
        assert!(came == sent);
        bot.write_all(b"bye").await.unwrap();
        drop(bot);
        came.clear();
        read.read_to_end(&mut came).await.unwrap();
        assert_eq!(came, b"bye");
    }
}
