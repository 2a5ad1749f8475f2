//! A client that damages some of what it sends, and reconnects when it is closed for it.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
};

use tickwire_shared::{
    arena::Arena,
    dice::Dice,
    game::Game,
    link::ClientLink,
    testing::{Played, frames},
    time::Micros,
};

use super::{BINARY, Role, SimulatedMatch, take_binary};

/// See the module.
pub(super) struct Attacker {
    dice: Dice,
    link: ClientLink,
    stream: Option<UnixStream>,
    received: Vec<u8>,
}

impl Attacker {
    pub(super) fn new() -> Self {
        Self { dice: Dice::new(1), link: ClientLink::default(), stream: None, received: Vec::new() }
    }

    /// Whether something happens that does so once in `times`.
    fn is_one_in(&mut self, times: i32) -> bool {
        self.dice.within(1, times) == 1
    }

    pub(super) fn attack<G: Played>(&mut self, players: &mut SimulatedMatch<G>, now: Micros) {
        let Some(stream) = &mut self.stream else { return self.connect(players, now) };
        let ended = match stream.read_to_end(&mut self.received) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Ok(_) | Err(_) => true,
        };
        // What follows a close frame does not matter.
        while self.received.first() == Some(&BINARY)
            && let Some(frame) = take_binary(&mut self.received)
        {
            let _ = self.link.handle_frame(&frame, now);
        }
        if ended || self.is_one_in(100) {
            return self.stream = None;
        }
        for frame in self.frames(now) {
            self.send(&frame);
        }
    }

    /// Joins, watches, or resumes its session.
    fn connect<G: Played>(&mut self, players: &mut SimulatedMatch<G>, now: Micros) {
        let roles = [Role::Player, Role::Spectator, Role::Resumer];
        let role = roles[self.dice.within(0, 2) as usize];
        self.stream = Some(players.accept(role, now));
        self.received.clear();
        if self.is_one_in(2) {
            self.link = ClientLink::default();
        }
        let mut hello = Vec::new();
        self.link.write_hello("", None, &mut hello);
        self.send(&hello);
    }

    /// Valid frames.
    fn frames(&mut self, now: Micros) -> Vec<Vec<u8>> {
        let mut frames = vec![Vec::new(); 5];
        let [input, ping, ack, resync, chat] = &mut frames[..] else { unreachable!() };
        if let Some(tick) = self.link.poll_input(now) {
            let least = Arena::schema().input.iter().map(|integer| integer.min).collect::<Vec<_>>();
            self.link.write_input(tick, &least, input);
        }
        self.link.poll_ping(now, ping);
        self.link.write_ack(ack);
        if self.dice.within(0, 9) == 0 {
            self.link.write_resync(resync);
            let _ = self.link.chat("are you there?");
        }
        self.link.poll_chat(chat);
        frames.retain(|frame| !frame.is_empty());
        frames
    }

    /// Sends a frame, perhaps damaged: its payload, its WebSocket head, or its length.
    fn send(&mut self, payload: &[u8]) {
        let mut bytes = frames::frame(BINARY, payload);
        if self.is_one_in(30) {
            let at = self.dice.within(0, bytes.len() as i32 - 1) as usize;
            bytes[at] = self.dice.next() as u8;
        }
        if self.is_one_in(60) {
            bytes.truncate(self.dice.within(0, bytes.len() as i32) as usize);
        }
        if self.is_one_in(60) {
            bytes.extend(self.dice.next().to_le_bytes());
        }
        if let Some(stream) = &mut self.stream {
            // The match may have closed it.
            let _ = stream.write_all(&bytes);
        }
    }
}
