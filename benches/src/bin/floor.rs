//! The floor: the cost of a server's writes alone. One thread writes as many bytes, as often, to as
//! many loopback sockets as the server, and computes and reads nothing. No server that makes a
//! `write` for each client can cost less.
//!
//! Each tick, all sockets are written in a burst at an absolute deadline, one `write` each. The
//! readers are another process, on another core if there is one, and only read.
//!
//! With `--inputs`, the readers answer each write, and the writer reads the answers, one `read` per
//! socket, before the next burst: the cost of a server that also reads, but computes nothing. With
//! `--matches`, there are so many bursts in each tick, as far apart as the ticks of the server's
//! matches: the cost of a server that also wakes up for each match.

use std::{
    env,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use rustix::{
    buffer::spare_capacity, event::epoll, io::Errno, thread::clock_nanosleep_absolute,
    time::ClockId,
};
use serde::Serialize;
use tickwire_benches::{
    cores::{Cores, Side},
    output::write_json,
};
use tickwire_bot_client::{
    clock::{now, timespec},
    duration,
    process::{Process, allow_sockets},
};
use tickwire_shared::time::Micros;

/// The raw cost of a server's sends
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Floor {
    #[command(subcommand)]
    reader: Option<Reader>,
    #[command(flatten)]
    load: Load,
}

/// The load.
#[derive(Clone, Debug, Args)]
struct Load {
    /// Sockets
    #[arg(long, default_value_t = 160, value_name = "N")]
    clients: usize,
    /// Length of each write
    #[arg(long, default_value_t = 90, value_name = "B")]
    bytes: usize,
    /// Writes to each socket per second
    #[arg(long, default_value_t = 30, value_name = "HZ")]
    rate: u32,
    /// Length of each reader's answer to each write; 0 for no answers
    #[arg(long, default_value_t = 0, value_name = "B")]
    inputs: usize,
    /// Bursts per tick, each to as many of the sockets
    #[arg(long, default_value_t = 1, value_name = "N")]
    matches: usize,
    /// The measured time
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration::parse)]
    duration: Duration,
    /// Write the results as JSON; `-` for stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The readers' process.
#[derive(Debug, Subcommand)]
enum Reader {
    /// Connects and reads until the writer is done
    #[command(hide = true)]
    Read { address: SocketAddr, clients: usize, inputs: usize },
}

/// The writer's results.
#[derive(Debug, Serialize)]
struct Results {
    clients: usize,
    bytes: usize,
    rate_hz: u32,
    window_s: f64,
    frames: u64,
    /// Writes that the kernel did not accept completely, because the readers fell behind.
    blocked: u64,
    cpu_s: f64,
    cpu_us_per_frame: f64,
}

/// Time of writing before the measured time.
const WARM_UP: Duration = Duration::from_millis(500);
/// Time between two bursts of a tick for each socket of the first, as in the server's `deadlines`.
const SEAT_TIME: Micros = Micros(8);

fn main() -> Result<()> {
    let floor = Floor::parse();
    if let Some(Reader::Read { address, clients, inputs }) = floor.reader {
        return read(address, clients, inputs).context("the readers failed");
    }
    let load = floor.load;
    ensure!(load.clients > 0 && load.bytes > 0 && load.rate > 0, "there is nothing to write");
    let can_be_divided = load.clients.is_multiple_of(load.matches);
    ensure!(can_be_divided, "each match has as many of the sockets");
    allow_sockets(load.clients).context("can't open that many sockets")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let cores = Cores::of_this_process()?;
    cores.move_to(Side::Loading)?;
    let mut reader = start_reader(listener.local_addr()?, &load)?;
    cores.move_to(Side::Measured)?;
    let sockets = accept(&listener, load.clients)?;
    let results = write(sockets, &load)?;
    reader.wait()?;
    let Results { frames, cpu_us_per_frame, blocked, .. } = results;
    match &load.json {
        Some(file) => write_json(file, &results)?,
        None => writeln!(
            io::stdout(),
            "{cpu_us_per_frame:.2} µs of CPU per frame ({frames} frames, {blocked} blocked)"
        )?,
    }
    Ok(())
}

fn start_reader(address: SocketAddr, load: &Load) -> Result<Child> {
    let mut reader = Command::new(env::current_exe()?);
    reader.arg("read").arg(address.to_string());
    reader.args([load.clients, load.inputs].map(|number| number.to_string()));
    Ok(reader.spawn()?)
}

fn accept(listener: &TcpListener, clients: usize) -> io::Result<Vec<TcpStream>> {
    (0..clients)
        .map(|_| {
            let (socket, _) = listener.accept()?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
        .collect()
}

fn write(mut sockets: Vec<TcpStream>, load: &Load) -> Result<Results> {
    let bytes = vec![0x5A; load.bytes];
    let mut inputs = vec![0; 64 * 1024];
    let ticks = |time: Duration| (time.as_secs_f64() * f64::from(load.rate)).round() as u64;
    let (warm_up, measured) = (ticks(WARM_UP), ticks(load.duration).max(1));
    let first = now();
    let due = |tick: u64| first.plus(Micros(tick * 1_000_000 / u64::from(load.rate)));
    let mut blocked = 0;
    let mut start = (Duration::ZERO, first);
    let seats = load.clients / load.matches;
    for tick in 0..warm_up + measured {
        sleep_until(due(tick))?;
        if tick == warm_up {
            start = (Process::this().cpu_time()?, now());
            blocked = 0;
        }
        for (n, sockets) in sockets.chunks_mut(seats).enumerate() {
            sleep_until(due(tick).plus(Micros((n * seats) as u64 * SEAT_TIME.0)))?;
            for socket in sockets.iter_mut().filter(|_| load.inputs > 0) {
                match socket.read(&mut inputs) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error).context("a reader has disconnected"),
                }
            }
            for socket in sockets {
                match socket.write(&bytes) {
                    Ok(written) => blocked += u64::from(written < bytes.len()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => blocked += 1,
                    Err(error) => return Err(error).context("a reader has disconnected"),
                }
            }
        }
    }
    // The last tick ends when the next one would start.
    sleep_until(due(warm_up + measured))?;
    let cpu = Process::this().cpu_time()? - start.0;
    let frames = measured * sockets.len() as u64;
    Ok(Results {
        clients: load.clients,
        bytes: load.bytes,
        rate_hz: load.rate,
        window_s: now().since(start.1).0 as f64 / 1e6,
        frames,
        blocked,
        cpu_s: cpu.as_secs_f64(),
        cpu_us_per_frame: cpu.as_secs_f64() * 1e6 / frames as f64,
    })
}

fn sleep_until(at: Micros) -> io::Result<()> {
    loop {
        match clock_nanosleep_absolute(ClockId::Monotonic, &timespec(at)) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

fn read(address: SocketAddr, clients: usize, inputs: usize) -> Result<()> {
    let connect = |_| TcpStream::connect(address);
    let mut sockets = (0..clients).map(connect).collect::<io::Result<Vec<_>>>()?;
    for socket in &sockets {
        socket.set_nodelay(true)?;
    }
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, socket) in sockets.iter().enumerate() {
        let index = epoll::EventData::new_u64(index as u64);
        epoll::add(&epoll, socket, index, epoll::EventFlags::IN)?;
    }
    let mut open = clients;
    let mut events = Vec::with_capacity(256);
    let mut bytes = vec![0; 64 * 1024];
    let answer = vec![0xA5; inputs];
    while open > 0 {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let socket = &mut sockets[event.data.u64() as usize];
            let is_open = matches!(socket.read(&mut bytes), Ok(1..));
            if !is_open || socket.write_all(&answer).is_err() {
                epoll::delete(&epoll, &*socket)?;
                open -= 1;
            }
        }
    }
    Ok(())
}
