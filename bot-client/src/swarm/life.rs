//! One bot's life in the swarm, from connecting to being gone, and its writing.

use std::{convert::Infallible, rc::Rc, time::Duration};

use tickwire_shared::{dice::Dice, time::Micros};
use tokio::{select, time::sleep};

use super::{Phase, Swarm};
use crate::{
    bot::{Bot, Heard, Unplayable},
    clock::Alarm,
    connection::{ConnectError, Message, ReadError, Reader, Writer, connect},
    measure::Measures,
    outgoing::UNSENT_BYTES_MAX,
    schedule::{Schedule, Send},
};

/// Where a bot is.
pub(super) enum Place {
    /// On its way.
    Coming,
    /// Connected.
    Here { bot: Box<Bot>, socket: Writer, joined_at: Option<Micros> },
    /// Cut off, and on its way back.
    Away { bot: Box<Bot>, joined_at: Option<Micros> },
    /// Never to come back.
    Gone { joined_at: Option<Micros>, at: Micros },
}

/// Why a bot is gone.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no welcome within {:?}", super::JOIN_TIMEOUT)]
    NoWelcome,
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Unplayable(#[from] Unplayable),
    #[error("the server does not read what the bot sends")]
    NotRead,
}

/// The longest wait before connecting again, at first.
const FIRST_WAIT_MS: u64 = 250;
/// The longest after failures: one that fails after it is lost.
const WAIT_MS_MAX: u64 = 5_000;
const NORMAL_CLOSURE: u16 = 1000;

impl Swarm {
    /// Joins when the ramp says so, and plays until the connection ends.
    pub(super) async fn live(self: Rc<Self>, bot: usize) {
        let part = bot as f64 / self.options.bots as f64;
        sleep(self.options.ramp.mul_f64(part)).await;
        let trouble = select! {
            Err(trouble) = self.connect_and_listen(bot) => trouble,
            () = self.cut.notified() => match self.come_back(bot).await {
                Err(trouble) => trouble,
            },
        };
        self.gone(bot, trouble);
    }

    async fn connect_and_listen(&self, number: usize) -> Result<Infallible, Trouble> {
        let target = &self.options.target;
        let (reader, socket) = connect(&self.dialer, target, target.path()).await?;
        let bot = Box::new(Bot::new(number, self.options.seed));
        self.places[number].replace(Place::Here { bot, socket, joined_at: None });
        self.listen(number, reader).await
    }

    /// Connects again and again, as PROTOCOL.md asks of clients, and goes on where it was.
    async fn come_back(&self, number: usize) -> Result<Infallible, Trouble> {
        let place = &self.places[number];
        let path = match place.replace(Place::Coming) {
            Place::Here { mut bot, joined_at, .. } => {
                bot.resume();
                let path = bot.resume_path().ok_or(Trouble::NoWelcome)?;
                place.replace(Place::Away { bot, joined_at });
                path
            }
            other @ (Place::Coming | Place::Away { .. } | Place::Gone { .. }) => {
                place.replace(other);
                return Err(Trouble::NoWelcome);
            }
        };
        let mut dice = Dice::new(self.options.seed ^ number as u64);
        let mut wait_ms = FIRST_WAIT_MS;
        let (reader, socket) = loop {
            sleep(Duration::from_millis(dice.next() % wait_ms)).await;
            match connect(&self.dialer, &self.options.target, &path).await {
                Ok(connected) => break connected,
                Err(error) if wait_ms == WAIT_MS_MAX => return Err(error.into()),
                Err(_) => wait_ms = (wait_ms * 2).min(WAIT_MS_MAX),
            }
        };
        if let Place::Away { bot, joined_at } = place.replace(Place::Coming) {
            place.replace(Place::Here { bot, socket, joined_at });
        }
        self.listen(number, reader).await
    }

    async fn listen(&self, number: usize, mut reader: Reader) -> Result<Infallible, Trouble> {
        let place = &self.places[number];
        place.borrow_mut().flush()?;
        loop {
            match reader.next().await? {
                Message::Binary(payload) => self.hear(number, &payload)?,
                Message::Ping(payload) => place.borrow_mut().answer_ping(&payload)?,
                Message::Pong => {}
            }
        }
    }

    fn hear(&self, number: usize, payload: &[u8]) -> Result<(), Trouble> {
        let mut place = self.places[number].borrow_mut();
        let Place::Here { bot, joined_at, .. } = &mut *place else { return Ok(()) };
        let mut measures = self.measures.borrow_mut();
        let now = || self.clock.now();
        match bot.handle_frame(payload, now, &self.make_brain, &mut measures)? {
            Heard::Welcome(rate) => {
                *joined_at = Some(now());
                self.rate.set(Some(rate));
                self.joined.set(self.joined.get() + 1);
                self.changed.notify_one();
                Ok(())
            }
            Heard::Back => {
                let away = now().since(self.cut_at.get());
                self.resumed.set(self.resumed.get() + 1);
                self.away_sum.set(self.away_sum.get().plus(away));
                self.away_max.set(self.away_max.get().max(away));
                Ok(())
            }
            Heard::Mismatch => place.flush(),
            Heard::Other => Ok(()),
        }
    }

    /// A bot's connection has ended, or it never had one.
    pub(super) fn gone(&self, number: usize, trouble: Trouble) {
        let at = self.clock.now();
        let mut place = self.places[number].borrow_mut();
        let joined_at = match &mut *place {
            Place::Gone { .. } => return,
            Place::Coming => None,
            Place::Away { joined_at, .. } => *joined_at,
            Place::Here { bot, joined_at, .. } => {
                bot.give_up(at, &mut self.measures.borrow_mut());
                *joined_at
            }
        };
        *place = Place::Gone { joined_at, at };
        if self.phase.get() == Phase::Leaving {
            return;
        }
        let count = if joined_at.is_some() { &self.lost } else { &self.turned_away };
        count.set(count.get() + 1);
        self.first_trouble.borrow_mut().get_or_insert(trouble);
        self.changed.notify_one();
    }

    /// Writes for all bots, each when its send is due.
    pub(super) async fn write_on(self: Rc<Self>, mut schedule: Schedule, alarm: Alarm) {
        loop {
            // One look at the clock, so that a swarm that has fallen behind reads as well.
            let now = self.clock.now();
            while let Some(send) = schedule.take(now) {
                self.send(send);
            }
            alarm.wait_until(schedule.due()).await.expect("an alarm that exists can be set");
        }
    }

    fn send(&self, Send { bot: number, due }: Send) {
        let mut place = self.places[number].borrow_mut();
        let Place::Here { bot, .. } = &mut *place else { return };
        bot.play(due, || self.clock.now(), &mut self.measures.borrow_mut());
        let flushed = place.flush();
        drop(place);
        if let Err(trouble) = flushed {
            self.gone(number, trouble);
        }
    }
}

impl Place {
    pub(super) const fn has_joined(&self) -> bool {
        match self {
            Self::Coming => false,
            Self::Here { joined_at, .. }
            | Self::Away { joined_at, .. }
            | Self::Gone { joined_at, .. } => joined_at.is_some(),
        }
    }

    /// From when to when the bot has been playing; a span of nothing if it never has.
    pub(super) fn attendance(&self, now: Micros) -> (Micros, Micros) {
        match *self {
            Self::Coming => (now, now),
            Self::Here { joined_at, .. } | Self::Away { joined_at, .. } => {
                (joined_at.unwrap_or(now), now)
            }
            Self::Gone { joined_at, at } => (joined_at.unwrap_or(at), at),
        }
    }

    pub(super) fn awaits_answer(&self, measures: &Measures) -> bool {
        match self {
            Self::Here { bot, .. } => bot.awaits_answer(measures),
            Self::Coming | Self::Away { .. } | Self::Gone { .. } => false,
        }
    }

    pub(super) fn say_bye(&mut self) {
        if let Self::Here { bot, .. } = self {
            bot.outgoing().close(NORMAL_CLOSURE);
            // If it can't be said, the connection is over already.
            let _ = self.flush();
        }
    }

    fn answer_ping(&mut self, payload: &[u8]) -> Result<(), Trouble> {
        if let Self::Here { bot, .. } = self {
            bot.outgoing().pong(payload);
        }
        self.flush()
    }

    /// Writes as much as the kernel takes now; the rest goes with the next send.
    fn flush(&mut self) -> Result<(), Trouble> {
        let Self::Here { bot, socket, .. } = self else { return Ok(()) };
        let outgoing = bot.outgoing();
        // A connection that is over is for the reader to notice: it also learns why.
        if let Ok(count) = socket.try_write(outgoing.unsent()) {
            outgoing.taken(count);
        }
        let is_read = outgoing.unsent().len() <= UNSENT_BYTES_MAX;
        if is_read { Ok(()) } else { Err(Trouble::NotRead) }
    }
}
