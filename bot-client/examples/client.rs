//! A client for any game: it joins, sends random inputs, and prints once a second what it sees.
//! `cargo run -p tickwire-bot-client --example client -- 127.0.0.1:8080`

#![expect(clippy::print_stdout, reason = "somebody reads it")]

use std::{convert::Infallible, env, error::Error, future::ready, pin::pin, time::Duration};

use fastwebsockets::{Frame, OpCode, handshake};
use http_body_util::Empty;
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioExecutor;
use tickwire_shared::dice::Dice;
use tickwire_shared::link::{ClientEvent, ClientLink, Digest};
use tickwire_shared::time::Micros;
use tickwire_shared::wire::{SERVER_FRAME_BYTES_MAX, SUBPROTOCOL};
use tokio::{io::split, net::TcpStream, signal::ctrl_c, sync::mpsc, time};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:8080"));
    let socket = TcpStream::connect(&address).await?;
    socket.set_nodelay(true)?;
    let request = Request::get("/v1/play?match=auto")
        .header(header::HOST, address)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "upgrade")
        .header(header::SEC_WEBSOCKET_KEY, handshake::generate_key())
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .body(Empty::<Bytes>::new())?;
    let (mut websocket, _) = handshake::client(&TokioExecutor::new(), request, socket).await?;
    websocket.set_max_message_size(SERVER_FRAME_BYTES_MAX + 1);
    let (mut reader, mut writer) = websocket.split(split);
    // Reading a frame is not cancel-safe, so one task does nothing but read. WebSocket pings are
    // not answered, since the server sends none.
    let (sender, mut frames) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok(frame) = reader.read_frame(&mut |_| ready(Ok::<_, Infallible>(()))).await
            && sender.send((frame.opcode, frame.payload.to_vec())).await.is_ok()
        {}
    });

    let begun = time::Instant::now();
    let now = || Micros(begun.elapsed().as_micros() as u64);
    let mut often = time::interval(Duration::from_millis(2));
    let (mut link, mut dice, mut said_at) = (ClientLink::default(), Dice::new(1), Micros(0));
    let mut stopped = pin!(ctrl_c());
    let mut out = vec![Vec::new()];
    link.write_hello("Rust", None, &mut out[0]);
    loop {
        for payload in out.drain(..).filter(|payload| !payload.is_empty()) {
            writer.write_frame(Frame::binary(payload.into())).await?;
        }
        let mut message = Vec::new();
        tokio::select! {
            frame = frames.recv() => match frame.ok_or("the connection is lost")? {
                (OpCode::Close, payload) => return Err(closed(&payload).into()),
                (_, payload) => {
                    let event = link.handle_frame(&payload, now())?;
                    if matches!(event, ClientEvent::Snapshot { digest: Digest::Differs, .. }) {
                        link.write_resync(&mut message);
                    }
                }
            },
            _ = often.tick() => link.poll_ping(now(), &mut message),
            _ = &mut stopped => return Ok(writer.write_frame(Frame::close(1000, b"")).await?),
        }
        out.push(message);
        while let Some(tick) = link.poll_input(now()) {
            let parts = link.schema().map_or(&[][..], |schema| &schema.input);
            let values: Vec<_> = parts.iter().map(|part| dice.within(part.min, part.max)).collect();
            let mut input = Vec::new();
            link.write_input(tick, &values, &mut input);
            out.push(input);
        }
        if now().since(said_at) >= Micros::from_secs(1) {
            said_at = now();
            let _ = say(&link);
        }
    }
}

fn closed(payload: &[u8]) -> String {
    let (code, reason) = payload.split_at(payload.len().min(2));
    let code = code.try_into().map_or(1005, u16::from_be_bytes);
    format!("closed with code {code} ({})", String::from_utf8_lossy(reason))
}

/// Prints the newest entity.
fn say(link: &ClientLink) -> Option<()> {
    let (schema, tick, rows) = (link.schema()?, link.applied()?, link.rows()?);
    let row = rows.iter().last()?;
    let kind = &schema.kinds[usize::from(row.kind)];
    let fields = kind.fields.iter().zip(row.values);
    let fields: Vec<_> = fields.map(|(field, &v)| (&field.name, field.value(v))).collect();
    println!("tick {}, {} entities, {} {}: {fields:?}", tick.0, rows.len(), kind.name, row.id.0);
    Some(())
}
