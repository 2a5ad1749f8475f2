//! A Rust server as one would write it in an afternoon: a task for each match and two for each
//! client, channels between them, and after every tick a full bincode snapshot for each client.

mod arena;

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use bincode::config::standard;
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    time::interval,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use arena::{Input, Player};

/// The Rust server of an afternoon
#[derive(Clone, Debug, Parser)]
struct Args {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long, default_value_t = 30)]
    tick_rate: u32,
    #[arg(long, default_value_t = 16)]
    seats: usize,
}

/// A snapshot, sent to each client after each tick.
#[derive(Serialize)]
struct Snapshot<'a> {
    tick: u32,
    /// The receiving client's newest input that this snapshot includes.
    last_input_seq: u32,
    players: &'a [Player],
}

/// A message from a client's task to its match.
enum Event {
    Join(usize, mpsc::Sender<Message>),
    Input(usize, Input),
    Leave(usize),
}

/// A player's input, and the channel to its client.
struct Seated {
    id: usize,
    input: Input,
    outgoing: mpsc::Sender<Message>,
}

/// A match that clients may join until it is full.
struct Open {
    events: mpsc::Sender<Event>,
    taken: AtomicUsize,
}

const EVENTS_MAX: usize = 1024;
/// Snapshots queued for one client; when the queue is full, new ones are dropped.
const SNAPSHOTS_MAX: usize = 32;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen).await?;
    writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    let newest: Arc<Mutex<Option<Arc<Open>>>> = Arc::default();
    loop {
        let (socket, _) = listener.accept().await?;
        let (args, newest) = (args.clone(), Arc::clone(&newest));
        // An error ends only this client's connection.
        tokio::spawn(async move { serve(socket, &args, &newest).await });
    }
}

async fn serve(socket: TcpStream, args: &Args, newest: &Mutex<Option<Arc<Open>>>) -> Result<()> {
    socket.set_nodelay(true)?;
    let (mut sink, mut stream) = accept_async(socket).await?.split();
    let (outgoing, mut to_send) = mpsc::channel(SNAPSHOTS_MAX);
    let (id, events) = join(args, newest).await;
    events.send(Event::Join(id, outgoing)).await?;
    tokio::spawn(async move {
        while let Some(message) = to_send.recv().await {
            if sink.send(message).await.is_err() {
                break;
            }
        }
    });
    while let Some(Ok(message)) = stream.next().await {
        if let Message::Binary(bytes) = message {
            let Some(input) = Input::decode(&bytes) else { break };
            events.send(Event::Input(id, input)).await?;
        }
    }
    events.send(Event::Leave(id)).await?;
    Ok(())
}

/// Takes a place in the newest match, or in a new one.
async fn join(args: &Args, newest: &Mutex<Option<Arc<Open>>>) -> (usize, mpsc::Sender<Event>) {
    let mut newest = newest.lock().await;
    if let Some(open) = &*newest {
        let id = open.taken.fetch_add(1, Ordering::Relaxed);
        if id < args.seats {
            return (id, open.events.clone());
        }
    }
    let (events, incoming) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(play(args.tick_rate, incoming));
    *newest = Some(Arc::new(Open { events: events.clone(), taken: AtomicUsize::new(1) }));
    (0, events)
}

async fn play(rate: u32, mut incoming: mpsc::Receiver<Event>) {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    let (mut players, mut seated) = (Vec::new(), Vec::<Seated>::new());
    let mut tick = 0_u32;
    loop {
        ticks.tick().await;
        tick += 1;
        while let Ok(event) = incoming.try_recv() {
            let place = |id| seated.iter().position(|seated: &Seated| seated.id == id);
            match event {
                Event::Join(id, outgoing) => {
                    players.push(Player::new(id));
                    seated.push(Seated { id, input: Input::default(), outgoing });
                }
                Event::Input(id, input) => {
                    if let Some(place) = place(id) {
                        seated[place].input = input;
                    }
                }
                Event::Leave(id) => {
                    if let Some(place) = place(id) {
                        seated.swap_remove(place);
                        players.swap_remove(place);
                    }
                }
            }
        }
        for (player, Seated { input, .. }) in players.iter_mut().zip(&seated) {
            player.step(input, 1.0 / rate as f32, tick, rate);
        }
        for Seated { input, outgoing, .. } in &seated {
            let snapshot = Snapshot { tick, last_input_seq: input.seq, players: &players };
            if let Ok(bytes) = bincode::serde::encode_to_vec(snapshot, standard()) {
                let _ = outgoing.try_send(Message::binary(bytes));
            }
        }
    }
}
