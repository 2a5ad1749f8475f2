//! Snapshot bodies: the rows of one tick, encoded as a delta against rows that both ends have.
//!
//! Both ends hold the schema, the tick rate, the *basis* (see [`Encoder::encode`]) and the model;
//! a body is decoded from these and its own bytes alone. The link layer keeps both ends in
//! agreement: the basis consists of the last snapshots that a session was sent, and a new model is
//! sent as a message before the first body that needs it.
//!
//! Each field is forecast from the basis, and only the residual, the forecast's error, is encoded,
//! by a range coder whose tables the model selects. `PROTOCOL.md` has the details. A good order to
//! read the modules in is: `table`, `range`, `links`, `past`, `forecast`, `turn`, `columns`,
//! `walk`, `structure`, `model`; then `survey`, `fit` and `costs`, which only the encoder uses.
//!
//! Not here: which snapshots a session has, the snapshot head with the tick, and the digest.

mod columns;
mod costs;
mod fit;
mod forecast;
mod links;
mod model;
mod past;
mod plan;
mod prior;
mod range;
mod structure;
mod survey;
mod table;
pub mod training;
pub(crate) mod turn;
mod walk;

use crate::{ids::Tick, rows::Rows, schema::Schema, time::TickRate};
use columns::Scratch;
pub use costs::Costs;
use forecast::FEATURES;
use links::Link;
use model::{Model, Odds};
use past::{Basis, Memory};
use plan::{FieldPlan, Plan};
use range::{RangeDecoder, RangeEncoder};
use structure::Structure;
use survey::Survey;
use table::{Family, Symbol, Table};
use walk::{Side, Site, Walk};

/// Most snapshots of a basis; older ones are ignored.
pub const BASIS_MAX: usize = 5;
/// Most entities of a snapshot: a bound on what a hostile body can make a client reserve.
pub const ENTITIES_MAX: usize = 4096;
/// Most bytes of a model.
pub const MODEL_BYTES_MAX: usize = 4096;

/// Why a body or a model was rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// More bytes follow the end of the snapshot.
    #[error("bytes follow the end of the snapshot body")]
    TrailingBytes,
    /// More than [`ENTITIES_MAX`] entities.
    #[error("a snapshot has at most {ENTITIES_MAX} entities")]
    TooManyEntities,
    /// An id or a position is out of order, or beyond the last.
    #[error("spawns or despawns are out of order or beyond the last entity")]
    BadStructure,
    /// The schema has no such kind.
    #[error("the schema has no kind {0}")]
    UnknownKind(u8),
    /// A value is outside its field's range.
    #[error("a value is outside its field's range")]
    OutOfRange,
    /// The model's bytes are malformed.
    #[error("the model is malformed")]
    BadModel,
}

/// The state of one match that encoder and decoder have in common.
#[derive(Debug)]
struct End {
    plan: Plan,
    odds: Odds,
    model: Model,
    /// The model's weights, as factors.
    weights: Vec<[f64; FEATURES]>,
    structure: Structure,
    scratch: Box<Scratch>,
    /// The baseline of a full snapshot.
    none: Rows,
}

impl End {
    fn new(schema: &Schema, rate: TickRate) -> Self {
        let plan = Plan::new(schema, rate);
        let model = Model::prior(&plan);
        Self {
            weights: model.factors(),
            model,
            odds: Odds::new(),
            structure: Structure::default(),
            scratch: Box::default(),
            none: Rows::default(),
            plan,
        }
    }

    fn set_model(&mut self, model: &Model) {
        self.model.clone_from(model);
        self.weights = model.factors();
    }
}

/// Encodes the bodies of one match.
#[derive(Debug)]
pub struct Encoder {
    end: End,
    /// By scene.
    memories: Vec<Memory>,
    /// The model, encoded as for a message.
    model_bytes: Vec<u8>,
    coder: RangeEncoder,
    books: Books,
}

impl Encoder {
    /// An encoder for a match with this schema, which must be valid.
    #[must_use]
    pub fn new(schema: &Schema, rate: TickRate) -> Self {
        let end = End::new(schema, rate);
        let books = Books { survey: Survey::new(&end.plan), costs: Costs::new(&end.plan) };
        let (memories, coder) = (vec![Memory::default()], RangeEncoder::new());
        Self { end, memories, model_bytes: Vec::new(), coder, books }
    }

    /// Appends to `out` the body that [`Decoder::decode`] turns back into `rows` of `tick`.
    ///
    /// `basis` has the snapshots that both ends have: the baseline, then those sent before it,
    /// newest first. If it is empty, the body is a full snapshot. The rows of a tick must be the
    /// same at every call, and they must fit the schema (see [`Schema::check_rows`]); otherwise the
    /// body can't be decoded.
    ///
    /// # Panics
    /// When `rows` has more than [`ENTITIES_MAX`] entities.
    pub fn encode(&mut self, basis: &[(Tick, &Rows)], tick: Tick, rows: &Rows, out: &mut Vec<u8>) {
        self.encode_scene(0, basis, tick, rows, out);
    }

    /// Does the same for one of a match's scenes: the rows of its ticks as some of its clients see
    /// them. Each scene has rows of its own for a tick; [`Self::encode`] is for scene 0. All have
    /// one model in common, and a decoder is for one scene at a time: its first body of another
    /// must be a full snapshot.
    ///
    /// # Panics
    /// When `rows` has more than [`ENTITIES_MAX`] entities.
    pub fn encode_scene(
        &mut self,
        scene: usize,
        basis: &[(Tick, &Rows)],
        tick: Tick,
        rows: &Rows,
        out: &mut Vec<u8>,
    ) {
        assert!(rows.len() <= ENTITIES_MAX, "at most {ENTITIES_MAX} entities");
        let basis = &basis[..basis.len().min(BASIS_MAX)];
        if scene >= self.memories.len() {
            self.memories.resize_with(scene + 1, Memory::default);
        }
        let Self { end, memories, coder, books, .. } = self;
        let memory = &mut memories[scene];
        let End { plan, odds, model, weights, structure, scratch, none } = end;
        let baseline = basis.first().map_or(&*none, |&(_, rows)| rows);
        let (basis, links) = Basis::new(basis, tick, Some(rows), memory);
        structure.compare(baseline, rows);
        structure.write(coder, baseline, plan.kinds.len());
        let walk = Walk { plan, model, weights, family: Family::shared() };
        if let Some(weight) = books.survey.begin() {
            let mut sender = Sender::<true> { coder, odds, rows, links, books, weight };
            walk.rows(&mut sender, structure, baseline, basis, scratch);
        } else {
            let mut sender = Sender::<false> { coder, odds, rows, links, books, weight: 0 };
            walk.rows(&mut sender, structure, baseline, basis, scratch);
        }
        coder.finish(out);
    }

    /// Returns the new model if the encoder has just changed to one: every decoder must have it
    /// before the next body. Call this before the first encoding of each tick.
    pub fn poll_model(&mut self) -> Option<&[u8]> {
        let End { plan, odds, model, .. } = &self.end;
        let (better, bytes) = self.books.survey.look(plan, odds, model, &mut self.coder)?;
        self.end.set_model(better);
        bytes.clone_into(&mut self.model_bytes);
        Some(&self.model_bytes)
    }

    /// The model in use, for a new decoder. Empty: the model that a decoder starts with.
    #[must_use]
    pub fn model(&self) -> &[u8] {
        &self.model_bytes
    }

    /// How many bits the match's fields have cost so far.
    #[must_use]
    pub fn costs(&self) -> &Costs {
        &self.books.costs
    }
}

#[derive(Debug)]
struct Books {
    survey: Survey,
    costs: Costs,
}

/// The encoder's side of the walk. With `LEARNS`, it also collects statistics.
struct Sender<'a, const LEARNS: bool> {
    coder: &'a mut RangeEncoder,
    odds: &'a Odds,
    rows: &'a Rows,
    /// From the new rows to the baseline.
    links: &'a [Link],
    books: &'a mut Books,
    /// How many bodies this one stands for in the statistics.
    weight: u64,
}

impl<const LEARNS: bool> Sender<'_, LEARNS> {
    #[inline(always)]
    fn bit(&mut self, kind: u8, odds: u8, yes: bool) {
        let odds = usize::from(odds);
        self.coder.bit(self.odds.of[odds], yes);
        if LEARNS {
            let cost = self.odds.costs[odds][usize::from(yes)];
            self.books.costs.changes[usize::from(kind)] += self.weight * u64::from(cost);
        }
    }

    /// Adds a number to the statistics.
    fn account(&mut self, site: Site, symbol: usize, cost: u32) {
        self.books.survey.number(site, symbol);
        self.books.costs.slots[usize::from(site.slot)] += self.weight * u64::from(cost);
    }
}

impl<const LEARNS: bool> Side for Sender<'_, LEARNS> {
    const KNOWS: bool = true;
    const LEARNS: bool = LEARNS;

    #[inline(always)]
    fn rows(&self) -> &Rows {
        self.rows
    }

    #[inline(always)]
    fn set(&mut self, field: &FieldPlan, _: usize, value: i32) {
        debug_assert!(field.holds(value), "rows must fit the schema");
    }

    #[inline(always)]
    fn keep(&mut self, _: usize, _: i32) {}

    #[inline(always)]
    fn change(&mut self, kind: u8, context: usize, odds: u8, position: usize, _: usize) -> bool {
        let changed = self.links[position].differs();
        self.bit(kind, odds, changed);
        if LEARNS {
            self.books.survey.change(kind, context, changed);
        }
        changed
    }

    #[inline(always)]
    fn begin(&mut self) {}

    #[inline(always)]
    fn stills(&mut self, kind: u8, odds: u8, changed: bool) -> bool {
        self.bit(kind, odds, changed);
        if LEARNS {
            self.books.survey.stills(kind, changed);
        }
        changed
    }

    #[inline(always)]
    fn number(&mut self, site: Site, table: &Table, number: i32) -> i32 {
        match Symbol::of(number) {
            Some(symbol) => self.coder.number(table, symbol),
            None => self.coder.long(table, number),
        }
        if LEARNS {
            let symbol = Symbol::index_of(number);
            self.account(site, symbol, table.costs[symbol].into());
        }
        number
    }

    fn plain(&mut self, site: Site, field: &FieldPlan, value: i32) -> i32 {
        self.coder.raw(value.wrapping_sub(field.min).cast_unsigned(), field.width());
        if LEARNS {
            self.account(site, survey::spawned_symbol(field, value), field.width() << 8);
        }
        value
    }

    fn learn(
        &mut self,
        site: Site,
        features: [f64; FEATURES],
        activity: f64,
        change: f64,
        weights: [f64; FEATURES],
    ) {
        self.books.survey.learn(site, features, activity, change, weights);
    }
}

/// Decodes the bodies of one [`Encoder`].
#[derive(Debug)]
pub struct Decoder {
    end: End,
    memory: Memory,
}

impl Decoder {
    /// A decoder for a match with this schema, which must be valid.
    #[must_use]
    pub fn new(schema: &Schema, rate: TickRate) -> Self {
        Self { end: End::new(schema, rate), memory: Memory::default() }
    }

    /// Sets the model for all later bodies.
    pub fn set_model(&mut self, model: &[u8]) -> Result<(), CodecError> {
        self.end.set_model(&Model::from_bytes(model, &self.end.plan)?);
        Ok(())
    }

    /// Replaces `rows` by those of `tick`. After an error, `rows` are meaningless.
    ///
    /// `basis` must be that of the encoder, and the rows of a tick must be the same at every call.
    pub fn decode(
        &mut self,
        basis: &[(Tick, &Rows)],
        tick: Tick,
        body: &[u8],
        rows: &mut Rows,
    ) -> Result<(), CodecError> {
        let basis = &basis[..basis.len().min(BASIS_MAX)];
        let Self { end, memory } = self;
        let End { plan, odds, model, weights, structure, scratch, none } = end;
        if basis.is_empty() {
            // Ticks may repeat with other rows after a full snapshot, so what was kept is stale.
            *memory = Memory::default();
        }
        let baseline = basis.first().map_or(&*none, |&(_, rows)| rows);
        let mut coder = RangeDecoder::new(body);
        structure.read(&mut coder, baseline, plan.kinds.len())?;
        structure.apply(baseline, plan, rows);
        let (basis, links) = Basis::new(basis, tick, None, memory);
        let mut receiver = Receiver { coder, odds, rows, links, is_out_of_range: false };
        let walk = Walk { plan, model, weights, family: Family::shared() };
        walk.rows(&mut receiver, structure, baseline, basis, scratch);
        let result = match (receiver.is_out_of_range, receiver.coder.is_finished()) {
            (true, _) => Err(CodecError::OutOfRange),
            (false, false) => Err(CodecError::TrailingBytes),
            (false, true) => return Ok(()),
        };
        // The links are those of a snapshot that does not exist.
        *memory = Memory::default();
        result
    }
}

/// The decoder's side of the walk.
struct Receiver<'a> {
    coder: RangeDecoder<'a>,
    odds: &'a Odds,
    rows: &'a mut Rows,
    /// From the new rows to the baseline, as far as they were decoded.
    links: &'a mut Vec<Link>,
    is_out_of_range: bool,
}

impl Side for Receiver<'_> {
    const KNOWS: bool = false;
    const LEARNS: bool = false;

    #[inline(always)]
    fn rows(&self) -> &Rows {
        self.rows
    }

    #[inline(always)]
    fn set(&mut self, field: &FieldPlan, at: usize, value: i32) {
        self.is_out_of_range |= !field.holds(value);
        self.rows.values_mut()[at] = value;
    }

    #[inline(always)]
    fn keep(&mut self, at: usize, value: i32) {
        self.rows.values_mut()[at] = value;
    }

    #[inline]
    fn change(&mut self, _: u8, _: usize, odds: u8, _: usize, before: usize) -> bool {
        let changed = self.coder.bit(self.odds.of[usize::from(odds)]);
        self.links.push(Link::to(before, changed));
        changed
    }

    #[inline]
    fn begin(&mut self) {
        self.links.push(Link::ABSENT);
    }

    #[inline]
    fn stills(&mut self, _: u8, odds: u8, _: bool) -> bool {
        self.coder.bit(self.odds.of[usize::from(odds)])
    }

    #[inline(always)]
    fn number(&mut self, _: Site, table: &Table, _: i32) -> i32 {
        self.coder.number(table)
    }

    fn plain(&mut self, _: Site, field: &FieldPlan, _: i32) -> i32 {
        field.min.wrapping_add(self.coder.raw(field.width()).cast_signed())
    }

    #[inline]
    fn learn(&mut self, _: Site, _: [f64; FEATURES], _: f64, _: f64, _: [f64; FEATURES]) {}
}

#[cfg(test)]
mod tests;
