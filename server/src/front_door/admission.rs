//! Admission: checks the ticket, picks the match and reserves the seat.

use std::sync::{Arc, atomic::Ordering};

use tickwire_shared::{close::CloseReason, ids::SessionId};

use super::FrontDoor;
use crate::{
    directory::{Access, Entry, JoinRefused},
    mailbox::{Arrival, Command},
    matches::{Claim, Newcomer, Role},
    matchmaker::MatchSelector,
    socket::Upgraded,
    tickets::{Ticket, TicketRole, unix_now},
};

/// An admitted participant, whose connection may be handed to the match's shard.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) entry: Arc<Entry>,
    pub(crate) newcomer: Newcomer,
}

impl FrontDoor {
    /// Admits a participant, with a seat reserved for a player.
    pub(crate) fn admit(
        &self,
        selector: MatchSelector,
        role: Role,
        token: Option<&str>,
    ) -> Result<Admitted, CloseReason> {
        // While draining, only players of a running match may resume.
        let goes_on =
            || matches!(selector, MatchSelector::Match(id) if self.directory.find(id).is_ok());
        if self.is_draining() && !(role == Role::Resumer && goes_on()) {
            return Err(CloseReason::Drain);
        }
        let now = unix_now();
        // A client that resumes has no ticket: its hello carries the session's resume token.
        let ticket = match &self.tickets {
            Some(tickets) if role != Role::Resumer => {
                let ticket = tickets.check(token.ok_or(CloseReason::NoTicket)?, now)?;
                may_use(&ticket, selector, role)?;
                Some((tickets, ticket))
            }
            Some(_) | None => None,
        };
        let selector = match ticket.as_ref().and_then(|(_, ticket)| ticket.match_id) {
            Some(id) => MatchSelector::Match(id),
            None => selector,
        };
        let mut claim = Claim::default();
        let entry = match role {
            Role::Player => {
                let reservation = self.matchmaker.reserve(selector).map_err(close_reason)?;
                let entry = Arc::clone(reservation.entry());
                claim.seat = Some(reservation);
                entry
            }
            Role::Spectator => self.matchmaker.find_or_open(selector).map_err(close_reason)?,
            // A new match would have no session to resume.
            Role::Resumer => self.matchmaker.find(selector).map_err(close_reason)?,
        };
        if let (Access::Private, Some((_, ticket))) = (entry.access, &ticket)
            && !is_invited(ticket)
        {
            return Err(CloseReason::NoMatch);
        }
        if let Some((tickets, ticket)) = ticket {
            let max = self.config.limits.sessions_per_subject_max;
            let place = self.subjects.take(&ticket.subject, max);
            claim.subject = Some(place.ok_or(CloseReason::TooManySessions)?);
            // Last, so that a player who gets no seat may try again with the same ticket.
            if ticket.role != TicketRole::Operator {
                tickets.redeem(&ticket, now)?;
            }
            (claim.name, claim.data) = (ticket.name, ticket.data);
        }
        let id = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed));
        Ok(Admitted { entry, newcomer: Newcomer { id, role, claim } })
    }

    /// Passes a connection on to the shard that runs its match. Returns it with a close reason if the
    /// shard's mailbox is full or the shard has ended.
    pub(crate) fn connect(
        &self,
        admitted: Admitted,
        upgraded: Upgraded,
        leftover: Vec<u8>,
    ) -> Result<(), (Upgraded, CloseReason)> {
        let Admitted { entry, newcomer } = admitted;
        let arrival = Arrival { match_id: entry.id, newcomer, upgraded, leftover };
        let sent = self.shards.send(entry.shard, Command::Connect(Box::new(arrival)));
        let Err(Command::Connect(arrival)) = sent else { return Ok(()) };
        if self.is_draining() {
            return Err((arrival.upgraded, CloseReason::Drain));
        }
        let shard = entry.shard;
        tracing::warn!(shard, "connection refused: a shard does not keep up or has failed");
        Err((arrival.upgraded, CloseReason::Overloaded))
    }
}

/// Whether a ticket, which is valid for a match, is valid for it though it is private.
fn is_invited(ticket: &Ticket) -> bool {
    ticket.match_id.is_some() || ticket.role == TicketRole::Operator
}

/// Checks that a ticket permits this role in this match.
fn may_use(ticket: &Ticket, selector: MatchSelector, role: Role) -> Result<(), CloseReason> {
    let is_for_role = match ticket.role {
        TicketRole::Player => true,
        TicketRole::Spectator | TicketRole::Operator => role == Role::Spectator,
    };
    let is_for_match = match (ticket.match_id, selector) {
        (Some(only), MatchSelector::Match(selected)) => only == selected,
        (Some(_), MatchSelector::Any(_)) | (None, _) => true,
    };
    if is_for_role && is_for_match {
        return Ok(());
    }
    let error = if is_for_role { "it is for another match" } else { "it is for another role" };
    tracing::debug!(error, "a ticket is not valid");
    Err(CloseReason::BadTicket)
}

const fn close_reason(refused: JoinRefused) -> CloseReason {
    match refused {
        JoinRefused::NoMatch => CloseReason::NoMatch,
        JoinRefused::MatchOver => CloseReason::MatchOver,
        // All temporary: the client should retry later.
        JoinRefused::Overloaded | JoinRefused::Stuck | JoinRefused::TooManyMatches => {
            CloseReason::Overloaded
        }
        JoinRefused::MatchFull => CloseReason::MatchFull,
    }
}
