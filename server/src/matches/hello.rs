//! The hello: it starts a new session, or resumes an earlier one.

use tickwire_shared::{
    close::CloseReason,
    game::Game,
    ids::{InputSeq, Seat, Tick},
    time::Micros,
    wire::{Hello, Kept, Resume, ResumeToken, ServerMessage, Welcome, model_hash},
};

use super::{
    Context, Match, Role, Session, SessionState, connections::End, fanout::push_message,
    interest::Sight, people::name_of,
};
use crate::{bucket::Bucket, feeds::PresenceChange, socket::push_frame};

impl<G: Game> Match<G> {
    /// Starts or resumes a session, and welcomes its client.
    pub(super) fn handle_hello(
        &mut self,
        key: usize,
        hello: &Hello,
        context: &mut Context<'_>,
    ) -> Result<(), End> {
        if hello.schema_hash.is_some_and(|hash| hash != self.schema_hash) {
            return Err(CloseReason::WrongSchema.into());
        }
        let (session, missed) = match &hello.resume {
            Some(resume) => {
                // The session has a claim of its own.
                drop(std::mem::take(&mut self.connections[key].claim));
                self.resume(resume, context)?
            }
            None => (self.join(key, &hello.name, context.now)?, Vec::new()),
        };
        self.sessions[session].state = SessionState::Connected(key);
        let connection = &mut self.connections[key];
        let Session { seat, sight, .. } = self.sessions[session];
        (connection.session, connection.seat, connection.sight) = (Some(session), seat, sight);
        self.empty_since = None;
        let kept = hello.resume.as_ref().and_then(|resume| resume.kept.as_ref());
        let welcome = self.welcome(session, hello.schema_hash, kept);
        self.connections[key].link.welcome(&welcome);
        let (match_id, id) = (self.entry.id.0, self.connections[key].id.0);
        let (of, seat, name) = (welcome.session.0, welcome.seat, &*self.sessions[session].name);
        tracing::debug!(match_id, id, session = of, ?seat, name, "welcome");
        let mut frames = Vec::new();
        push_message(&ServerMessage::Welcome(Box::new(welcome)), &mut Vec::new(), &mut frames);
        frames.extend_from_slice(&missed);
        let applied = kept.and_then(|kept| kept.applied);
        let connection = &mut self.connections[key];
        // One send, which may wait in full: the missed events can be more than fit behind another.
        connection.socket.send(&frames)?;
        let (sight, history) = (connection.sight, &self.scenes[connection.sight.scene].history);
        let has = |tick: &Tick| sight.includes(*tick) && history.rows(*tick).is_some();
        if let Some(applied) = applied.filter(has) {
            connection.link.resume_from(applied);
        }
        if self.slowdown_sent != 1 {
            let pace = self.pace(self.newest_for(self.connections[key].seat));
            self.send_now(key, &ServerMessage::Pace(pace))?;
        }
        if let Some(by) = context.drain_deadline {
            let within = by.since(context.now);
            self.send_now(key, &ServerMessage::Leaving { within })?;
        }
        let social_at = self.sessions[session].social_at;
        if applied.is_none_or(|applied| applied.since(social_at) < 0) {
            self.send_briefing(key)?;
        }
        let how = if hello.resume.is_some() { PresenceChange::Back } else { PresenceChange::Join };
        self.announce_presence(session, how);
        Ok(())
    }

    /// The welcome, without the schema and the model if the client has them already.
    fn welcome(&self, session: usize, schema_hash: Option<u32>, kept: Option<&Kept>) -> Welcome {
        let &Session { id, resume, seat, seq, events, lines, .. } = &self.sessions[session];
        let model = self.encoder.model();
        let has_model = kept.is_some_and(|kept| kept.model_hash == model_hash(model));
        Welcome {
            session: id,
            resume,
            match_id: self.entry.id,
            seat,
            seq,
            events: kept.map_or(events, |kept| kept.events),
            lines,
            tick_rate: self.options.tick_rate,
            schema_hash: self.schema_hash,
            schema: schema_hash.is_none().then(|| (*self.schema).clone()),
            model: (!has_model).then(|| model.to_vec()),
        }
    }

    /// Starts a session, in the lowest free seat unless it is a spectator's.
    fn join(&mut self, key: usize, name: &str, now: Micros) -> Result<usize, CloseReason> {
        let connection = &mut self.connections[key];
        let seat = match connection.role {
            Role::Spectator => None,
            // No seat was reserved for a client that announced a resume.
            Role::Resumer => return Err(CloseReason::NothingToResume),
            Role::Player => {
                let taken = |seat| self.sessions.iter().any(|(_, s)| s.seat == Some(seat));
                let free = (0..self.options.seats).map(Seat).find(|&seat| !taken(seat));
                Some(free.ok_or(CloseReason::MatchFull)?)
            }
        };
        let claim = std::mem::take(&mut connection.claim);
        let session = Session {
            id: connection.id,
            resume: new_token(),
            seat,
            name: name_of(&claim.name, name, seat),
            line_allowance: Bucket::full(now),
            claim,
            state: SessionState::Connected(key),
            seq: InputSeq(0),
            sight: Sight::INITIAL,
            events: 0,
            rewound_to: None,
            lines: 0,
            social_at: Tick(0),
        };
        if let Some(seat) = seat {
            self.game.join(seat, &session.claim.data);
        }
        Ok(self.sessions.insert(session))
    }

    /// Finds the session of a resume token, and the frames of the events that its client has
    /// missed. If the session still has a connection, the newer one replaces it.
    fn resume(
        &mut self,
        resume: &Resume,
        context: &mut Context<'_>,
    ) -> Result<(usize, Vec<u8>), CloseReason> {
        // A spectator's session ends with its connection.
        let is_it = |session: &Session| session.resume == resume.token && session.seat.is_some();
        let found = self.sessions.iter().find(|(_, session)| is_it(session));
        let (key, session) = found.ok_or(CloseReason::NothingToResume)?;
        if let SessionState::Connected(older) = session.state {
            self.close(older, CloseReason::Replaced, context);
        }
        let Some(missed) = self.missed(key, resume.kept.as_ref()) else {
            self.forget(key);
            return Err(CloseReason::NothingToResume);
        };
        if let Some(seat) = self.sessions[key].seat {
            self.game.back(seat);
        }
        Ok((key, missed))
    }

    /// Frames of the events that a client has missed; `None` if the log no longer has all of them.
    /// A client that has kept nothing misses nothing.
    fn missed(&mut self, session: usize, kept: Option<&Kept>) -> Option<Vec<u8>> {
        let mut frames = Vec::new();
        let session = &mut self.sessions[session];
        let rewound_to = session.rewound_to.take();
        if let Some(kept) = kept {
            let missed = match rewound_to {
                // It has received events that never were, and none of those that came instead.
                Some(before) if kept.events > before => session.events - before,
                Some(_) | None => session.events.checked_sub(kept.events)?,
            };
            session.events = kept.events.wrapping_add(missed);
            let seat = session.seat;
            self.log.replay(seat, missed, |payload| push_frame(payload, &mut frames))?;
        }
        Some(frames)
    }
}

fn new_token() -> ResumeToken {
    let mut token = [0; 16];
    getrandom::fill(&mut token).expect("the system has randomness");
    ResumeToken(token)
}
