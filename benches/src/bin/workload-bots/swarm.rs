//! All clients on one epoll, their schedule, and the measurements of a window.

use std::{io, net::SocketAddr, os::fd::OwnedFd, time::Duration};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use rustix::{
    buffer::spare_capacity,
    event::epoll,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    },
};
use tickwire_benches::{server::Server, window::Window};
use tickwire_bot_client::{
    clock::{now, timespec},
    process::Process,
    schedule::Schedule,
};
use tickwire_shared::time::{Micros, TickRate};

use crate::{
    client::{Answered, Client, Update},
    machine::Spent,
};

/// Least part of the updates that must arrive in a healthy window.
const DELIVERED_MIN: f64 = 0.95;
const READ_BUFFER_BYTES: usize = 64 * 1024;
const EVENTS_MAX: usize = 1024;
const TIMER: u64 = u64::MAX;

/// See the module.
pub(crate) struct Swarm {
    address: SocketAddr,
    server: Server,
    players: usize,
    rate: TickRate,
    server_pid: Option<u32>,
    clients: Vec<Option<Client>>,
    epoll: OwnedFd,
    timer: OwnedFd,
    schedule: Option<Schedule>,
    buffer: Vec<u8>,
    events: Vec<epoll::Event>,
    dead: u64,
    errors: u64,
    blocked: u64,
}

/// The counters of a window. Times are in microseconds.
pub(crate) struct Tally {
    latency: Histogram<u64>,
    jitter: Histogram<u64>,
    interval: Micros,
    updates: u64,
    bytes: u64,
    entities: u64,
    /// Updates whose entities were counted.
    decoded: u64,
    sent: u64,
}

impl Swarm {
    pub(crate) fn new(
        address: SocketAddr,
        server: Server,
        players: usize,
        rate: TickRate,
        server_pid: Option<u32>,
    ) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        epoll::add(&epoll, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
        Ok(Self {
            address,
            server,
            players,
            rate,
            server_pid,
            clients: Vec::new(),
            epoll,
            timer,
            schedule: None,
            buffer: vec![0; READ_BUFFER_BYTES],
            events: Vec::with_capacity(EVENTS_MAX),
            dead: 0,
            errors: 0,
            blocked: 0,
        })
    }

    /// Adds clients until there are `clients`; the others keep playing meanwhile.
    pub(crate) fn grow(&mut self, clients: usize) -> Result<()> {
        while self.clients.len() < clients {
            let index = self.clients.len();
            let client = Client::join(self.address, self.server, index, self.players, self.rate)
                .with_context(|| format!("client {index} could not join"))?;
            let key = epoll::EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &client.socket, key, epoll::EventFlags::IN)?;
            self.clients.push(Some(client));
            self.run(Duration::ZERO, None)?;
        }
        self.schedule = Some(Schedule::new(now(), self.rate, self.clients.len()));
        Ok(())
    }

    /// Measures for the length of a window.
    pub(crate) fn measure(&mut self, window: Duration) -> Result<Window> {
        let mut tally = Tally::new(self.rate);
        (self.dead, self.errors, self.blocked) = (0, 0, 0);
        let (before, start) = (Spent::now(self.server_pid)?, now());
        self.run(window, Some(&mut tally))?;
        let window_s = now().since(start).0 as f64 / 1e6;
        let spent = Spent::now(self.server_pid)?.since(before);
        Ok(self.report(&tally, spent, window_s))
    }

    /// Sends inputs when they are due and reads updates, for `time`.
    pub(crate) fn run(&mut self, time: Duration, mut tally: Option<&mut Tally>) -> Result<()> {
        let end = now().plus(time.into());
        loop {
            self.send_due(tally.as_deref_mut());
            let due = self.schedule.as_ref().map_or(end, Schedule::due);
            let is_over = now() >= end;
            self.arm(if is_over { Micros(1) } else { due.min(end) })?;
            let mut events = std::mem::take(&mut self.events);
            epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
            for event in events.drain(..) {
                match event.data.u64() {
                    TIMER => {}
                    index => self.read(index as usize, tally.as_deref_mut()),
                }
            }
            self.events = events;
            if is_over {
                return Ok(());
            }
        }
    }

    fn send_due(&mut self, mut tally: Option<&mut Tally>) {
        let Some(schedule) = &mut self.schedule else { return };
        // Reads the clock once, so that a swarm that has fallen behind still gets to reading.
        let until = now();
        while let Some(send) = schedule.take(until) {
            let Some(client) = &mut self.clients[send.bot] else { continue };
            match client.play(now()) {
                Ok(taken) => {
                    self.blocked += u64::from(!taken);
                    if let Some(tally) = &mut tally {
                        tally.sent += 1;
                    }
                }
                Err(_) => {
                    self.clients[send.bot] = None;
                    self.dead += 1;
                }
            }
        }
    }

    fn read(&mut self, index: usize, mut tally: Option<&mut Tally>) {
        let Some(client) = &mut self.clients[index] else { return };
        let on_update = |update: Update, answered: Answered<'_>| {
            if let Some(tally) = &mut tally {
                tally.count(&update, answered);
            }
        };
        if client.read(&mut self.buffer, now, on_update).is_err() {
            self.clients[index] = None;
            self.errors += 1;
            self.dead += 1;
        }
    }

    fn arm(&self, at: Micros) -> io::Result<()> {
        let once_at = Itimerspec { it_interval: timespec(Micros(0)), it_value: timespec(at) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once_at)?;
        Ok(())
    }

    fn report(&self, tally: &Tally, spent: Spent, window_s: f64) -> Window {
        let updates = tally.updates.max(1) as f64;
        let latency = |quantile| tally.latency.value_at_quantile(quantile) as f64 / 1e3;
        let jitter = |quantile| tally.jitter.value_at_quantile(quantile) as f64 / 1e3;
        let server = self.server_pid.map(Process::with_id);
        let memory_mib = |of: fn(Process) -> io::Result<u64>| {
            server.and_then(|server| of(server).ok()).map(|bytes| bytes as f64 / f64::from(1 << 20))
        };
        let (hz, clients) = (f64::from(self.rate.hz()), self.clients.len());
        let rate_hz = tally.updates as f64 / clients as f64 / window_s;
        let bytes_per_update = tally.bytes as f64 / updates;
        let lat_mean_ms = tally.latency.mean() / 1e3;
        let delivered = rate_hz / hz;
        let jit_p99_ms = jitter(0.99);
        Window {
            cpu_s: spent.server,
            cpu_core: spent.server.map(|cpu| cpu / window_s),
            cpu_s_per_1k: spent.server.map(|cpu| cpu / updates * 1e3),
            bytes_per_update,
            bytes_per_entity: bytes_per_update / self.players as f64,
            lat_p50_ms: latency(0.5),
            lat_p99_ms: latency(0.99),
            lat_p999_ms: latency(0.999),
            lat_mean_ms,
            lat_excess_ms: lat_mean_ms - 500.0 / hz,
            jit_p50_ms: jitter(0.5),
            jit_p99_ms,
            rate_hz,
            delivered,
            rss_mib: memory_mib(Process::rss_bytes),
            rss_peak_mib: memory_mib(Process::rss_peak_bytes),
            clients,
            updates: tally.updates,
            entities_per_update: tally.entities as f64 / tally.decoded.max(1) as f64,
            acked_ratio: tally.latency.len() as f64 / tally.sent.max(1) as f64,
            window_s,
            bots_core: spent.bots / window_s,
            foreign_core: spent.foreign() / window_s,
            steal_core: spent.stolen / window_s,
            errors: self.errors,
            blocked: self.blocked,
            dead: self.dead,
            healthy: delivered >= DELIVERED_MIN && self.dead == 0 && jit_p99_ms < 500.0 / hz,
        }
    }
}

impl Tally {
    fn new(rate: TickRate) -> Self {
        let histogram = || Histogram::new_with_max(60_000_000, 3).expect("the bounds are valid");
        Self {
            latency: histogram(),
            jitter: histogram(),
            interval: rate.interval(),
            updates: 0,
            bytes: 0,
            entities: 0,
            decoded: 0,
            sent: 0,
        }
    }
    fn count(&mut self, update: &Update, answered: Answered<'_>) {
        self.updates += 1;
        self.bytes += update.bytes as u64;
        if let Some(entities) = update.entities {
            self.entities += entities as u64;
            self.decoded += 1;
        }
        if let Some(before) = update.before {
            let error = update.at.since(before).0.abs_diff(self.interval.0);
            self.jitter.saturating_record(error);
        }
        for (_, sent_at) in answered {
            self.latency.saturating_record(update.at.since(sent_at).0);
        }
    }
}
