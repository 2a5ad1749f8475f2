//! A session that has just begun.

use tickwire_shared::{
    ids::{InputSeq, MatchId, Seat, SessionId},
    schema::Schema,
    time::TickRate,
    wire::{ResumeToken, Welcome, schema_hash},
};

/// What a server of this game says to whoever takes a seat, if the client does not know the game.
#[must_use]
pub fn welcome(schema: Schema, tick_rate: TickRate, seat: Seat) -> Welcome {
    Welcome {
        session: SessionId(1),
        resume: ResumeToken([0; 16]),
        match_id: MatchId(1),
        seat: Some(seat),
        seq: InputSeq(0),
        tick_rate,
        schema_hash: schema_hash(&schema),
        schema: Some(schema),
        model: None,
    }
}
