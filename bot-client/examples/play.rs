//! A player's client with a game loop, as a desktop game has it. It plays the arena: it predicts its
//! own player, interpolates the others, and comes back after a lost connection or a restart of the
//! server. Type a line of chat, or `/leave`.
//! `cargo run -p tickwire-bot-client --example play -- 127.0.0.1:8080 Ada`

#![expect(clippy::print_stdout, reason = "it draws in text")]

use std::{
    convert::Infallible,
    env,
    error::Error,
    future::ready,
    io, process,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use fastwebsockets::{Frame, OpCode, handshake};
use http_body_util::Empty;
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioExecutor;
use tickwire_shared::{
    arena::{Arena, ArenaInput, predict::Walk, rows::player_id},
    game::{Game, Input},
    replica::Prediction,
    session::{Closed, NO_CODE, Session, SessionEvent, SessionOptions, SessionState},
    social::Social,
    time::Micros,
    wire::{SERVER_FRAME_BYTES_MAX, SUBPROTOCOL},
};
use tokio::{
    io::split,
    net::TcpStream,
    runtime,
    sync::mpsc::{self as channel, error::TryRecvError},
    time,
};

const FRAME: Duration = Duration::from_micros(16_667);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let address = args.next().unwrap_or_else(|| String::from("127.0.0.1:8080"));
    let name = args.next().unwrap_or_default();
    let options = SessionOptions { name, ..SessionOptions::default() };
    // All times are counted from here, on a clock that never goes back.
    let begun = Instant::now();
    let mut client =
        Client { session: Session::new(options, process::id().into()), socket: None, own: None };
    let (typed, lines) = mpsc::channel();
    thread::spawn(move || io::stdin().lines().map_while(Result::ok).all(|l| typed.send(l).is_ok()));
    let (mut frame_due, mut printed_at) = (Instant::now(), Micros(0));
    loop {
        client.receive()?;
        match lines.try_recv().as_deref() {
            Ok("/leave") => break,
            Ok(line) => client.session.chat(line).unwrap_or_else(|refused| println!("{refused}")),
            Err(_) => {}
        }
        // A game reads the keyboard here; this one runs in circles.
        let angle = begun.elapsed().as_secs_f32();
        let [x, y] = [angle.cos(), angle.sin()].map(|axis| (axis * 127.0) as i32);
        let keys = ArenaInput::from_values(&[x, y, 0, 0]);
        let now = begun.elapsed().into();
        if client.session.poll_connect(now).is_some() {
            // A server with a key requires a ticket for `Connect::Join`.
            let path = client.session.connect("", now);
            client.socket = Some(Socket::open(address.clone(), path, begun));
        }
        client.play(&keys, now);
        client.session.advance(now);
        let picture = client.draw(&keys, now)?;
        if now.since(printed_at) >= Micros::from_secs(1) {
            printed_at = now;
            println!("{picture}");
        }
        frame_due = (frame_due + FRAME).max(Instant::now());
        thread::sleep(frame_due - Instant::now());
    }
    client.leave();
    Ok(())
}

struct Client {
    session: Session,
    socket: Option<Socket>,
    own: Option<Prediction<Walk>>,
}

impl Client {
    /// Handles what has arrived.
    fn receive(&mut self) -> Result<(), Box<dyn Error>> {
        while let Some(socket) = &mut self.socket
            && let Ok((at, news)) = socket.news.try_recv()
        {
            match news {
                News::Frame(frame) => self.handle(&frame, at)?,
                News::Closed(closed) => self.session.handle_closed(closed, at),
            }
        }
        Ok(())
    }

    fn handle(&mut self, frame: &[u8], at: Micros) -> Result<(), Box<dyn Error>> {
        match self.session.handle_frame(frame, at) {
            Some(SessionEvent::Joined(welcome)) => {
                let (seat, rate) = (welcome.seat.ok_or("no seat")?, welcome.tick_rate);
                // The rules that predict are in this program: it can't play by others.
                if self.session.link().schema() != Some(&Arena::schema()) {
                    return Err("the server has another game, or another version of it".into());
                }
                self.own = Some(Prediction::new(Walk { rate }, seat));
            }
            Some(SessionEvent::Resumed(_)) => {
                if let Some(own) = &mut self.own {
                    own.restart();
                }
            }
            Some(SessionEvent::Snapshot { tick, rows, owner }) => {
                if let Some(own) = &mut self.own {
                    own.reconcile(tick, rows, owner, at);
                }
            }
            Some(SessionEvent::Event { kind, values, .. }) => {
                let schema = self.session.link().schema();
                let name = schema.map(|schema| &schema.events[usize::from(kind)].name);
                println!("{} {values:?}", name.map_or("", String::as_str));
            }
            Some(SessionEvent::Social(Social::Line(line))) => {
                println!("{:?}: {}", line.speaker, line.text);
            }
            Some(SessionEvent::Social(other)) => println!("{other:?}"),
            Some(SessionEvent::Leaving(within)) => println!("the server closes within {within:?}"),
            None => {}
        }
        Ok(())
    }

    /// Makes the inputs that are due, and sends everything.
    fn play(&mut self, keys: &ArenaInput, now: Micros) {
        while let Some(tick) = self.session.poll_input(now) {
            let mut values = [0; 4];
            keys.write_values(&mut values);
            self.session.write_input(tick, &values);
            if let Some(own) = &mut self.own {
                own.push(tick, keys);
            }
        }
        while let Some(socket) = &self.socket
            && let Some(frame) = self.session.poll_frame(now)
        {
            socket.send(Frame::binary(frame.into()));
        }
    }

    /// What a game would draw in each frame; in text. An error is for the user.
    fn draw(&self, keys: &ArenaInput, now: Micros) -> Result<String, String> {
        match self.session.state() {
            SessionState::Connecting => Ok(String::from("connecting")),
            SessionState::Playing => Ok(self.picture(keys, now).unwrap_or_default()),
            SessionState::Resuming(closed) => Ok(format!("no connection: {closed}")),
            SessionState::Ended(closed) => Err(closed.to_string()),
        }
    }

    fn picture(&self, keys: &ArenaInput, now: Micros) -> Option<String> {
        let link = self.session.link();
        let (clock, schema, welcome) = (link.clock()?, link.schema()?, link.welcome()?);
        let ping_ms = clock.rtt()?.0 / 1_000;
        let own = self.own.as_ref()?.shown(keys, link.input_part(now), now);
        let mut picture = format!("{ping_ms} ms, you at {own:.1?}");
        let own_id = welcome.seat.map(player_id);
        for seen in self.session.view()?.iter().filter(|seen| Some(seen.id()) != own_id) {
            let kind = &schema.kinds[usize::from(seen.kind())];
            let value = |name| {
                let index = kind.fields.iter().position(|field| field.name == name)?;
                let steps = seen.value(&kind.fields, index, welcome.tick_rate);
                Some(steps * kind.fields[index].step)
            };
            if let Some((x, y)) = value("x").zip(value("y")) {
                picture += &format!(", {} at {x:.1} {y:.1}", kind.name);
            }
        }
        Some(picture)
    }

    /// Gives up the seat, and waits until the server knows, for a second at most.
    fn leave(self) {
        let Some(mut socket) = self.socket else { return };
        socket.send(Frame::close(1000, b""));
        for _ in 0..60 {
            match socket.news.try_recv() {
                Ok((_, News::Frame(_))) => {}
                Err(TryRecvError::Empty) => thread::sleep(FRAME),
                Ok((_, News::Closed(_))) | Err(TryRecvError::Disconnected) => break,
            }
        }
    }
}

/// A connection. A thread of its own reads it, so that frames have the time at which they arrived,
/// not that of the next rendered frame. If this is dropped, the server keeps the seat. It is `Send`
/// and `Sync`, as an engine's resources must be: a receiver of `std` would not be.
struct Socket {
    news: channel::UnboundedReceiver<(Micros, News)>,
    out: channel::UnboundedSender<Frame<'static>>,
}

enum News {
    Frame(Vec<u8>),
    Closed(Closed),
}

impl Socket {
    fn open(address: String, path: String, begun: Instant) -> Self {
        let (sender, news) = channel::unbounded_channel();
        let (out, frames) = channel::unbounded_channel();
        thread::spawn(move || {
            // When nobody listens any more, the connection is about to end.
            let say = |news| _ = sender.send((begun.elapsed().into(), news));
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let ended = runtime
                .map_err(Into::into)
                .and_then(|runtime| runtime.block_on(run(&address, &path, frames, say)));
            let lost = |error: Box<dyn Error>| Closed { code: NO_CODE, reason: error.to_string() };
            say(News::Closed(ended.unwrap_or_else(lost)));
        });
        Self { news, out }
    }

    fn send(&self, frame: Frame<'static>) {
        // A thread that has ended has said why.
        let _ = self.out.send(frame);
    }
}

/// Connects, and passes frames on until the connection ends.
async fn run(
    address: &str,
    path: &str,
    mut frames: channel::UnboundedReceiver<Frame<'static>>,
    say: impl Fn(News),
) -> Result<Closed, Box<dyn Error>> {
    let connecting = async {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        // For `wss://`, tokio-rustls wraps the socket here.
        let request = Request::get(path)
            .header(header::HOST, address)
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "upgrade")
            .header(header::SEC_WEBSOCKET_KEY, handshake::generate_key())
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
            .body(Empty::<Bytes>::new())?;
        Ok::<_, Box<dyn Error>>(handshake::client(&TokioExecutor::new(), request, socket).await?)
    };
    // Before the session takes it for dead, and asks for another connection.
    let (mut websocket, _) = time::timeout(Duration::from_secs(5), connecting).await??;
    websocket.set_max_message_size(SERVER_FRAME_BYTES_MAX + 1);
    let (mut reader, mut writer) = websocket.split(split);
    let reading = async {
        loop {
            let frame = reader.read_frame(&mut |_| ready(Ok::<_, Infallible>(()))).await?;
            if frame.opcode == OpCode::Close {
                let (code, why) = frame.payload.split_at(frame.payload.len().min(2));
                let code = code.try_into().map_or(1005, u16::from_be_bytes);
                return Ok(Closed { code, reason: String::from_utf8_lossy(why).into_owned() });
            }
            say(News::Frame(frame.payload.to_vec()));
        }
    };
    let writing = async {
        while let Some(frame) = frames.recv().await {
            writer.write_frame(frame).await?;
        }
        Ok(Closed { code: NO_CODE, reason: String::from("dropped") })
    };
    tokio::select! { ended = reading => ended, ended = writing => ended }
}
