//! The statistics that an encoder collects, and the search for a better model.

use super::{
    MODEL_BYTES_MAX,
    fit::Fit,
    forecast::FEATURES,
    model::{CHANGE_CONTEXTS, CONTEXTS, FieldModel, Model, Odds, PLAIN, SPAWNED},
    plan::{FieldPlan, Plan},
    range::RangeEncoder,
    table::{Family, SYMBOLS, Symbol},
    walk::Site,
};

/// Numbers that are counted before the first search for a better model; each later search waits
/// until half as many again were counted.
const FIRST_LOOK: u64 = 2048;

/// Bytes of a model message without the model.
const MESSAGE_BYTES: usize = 8;

/// A model saves more on the data that it was fitted to than on later data: by this factor at most.
const FLATTERY: f64 = 1.4;

/// Most contexts that are counted: 280 bytes each.
const COUNTS_MAX: usize = 2048;

/// Between two bodies that are counted, one more is skipped for every so many numbers counted.
const DENSE: u64 = 1 << 12;

/// Most bodies that are skipped between two that are counted.
const RESTS_MAX: u64 = 31;

/// How often each symbol occurred, by the centre of its table.
pub(super) type Counts = [[u16; SYMBOLS]; Family::CENTRES];

/// The statistics of a match since it began.
#[derive(Debug)]
pub(super) struct Survey {
    kinds: Vec<KindSurvey>,
    /// By slot.
    fields: Vec<FieldSurvey>,
    /// Counts of the contexts that have occurred.
    counts: Vec<Counts>,
    pub(super) numbers: u64,
    next_look: u64,
    /// Bodies that are still to be skipped, to save time.
    rests: u64,
    /// All bodies so far.
    bodies: u64,
    /// The bodies that were counted.
    surveyed: u64,
    prior: Model,
    search: Search,
}

#[derive(Clone, Debug)]
struct KindSurvey {
    /// How often an entity stayed the same, and how often it changed.
    changes: [[u32; 2]; CHANGE_CONTEXTS],
    /// The same for the stills of entities of which a mover changed.
    stills: [u32; 2],
}

#[derive(Clone, Debug)]
struct FieldSurvey {
    /// For each context, its index in [`Survey::counts`] plus 1; 0 if it has not occurred.
    places: [u16; CONTEXTS],
    fit: Fit,
}

/// The search for a better model, one field per tick, to limit the work of each tick.
#[derive(Debug)]
struct Search {
    better: Model,
    bytes: Vec<u8>,
    /// Bits that the better model would have saved.
    saving: f64,
    /// The next slot, during a search.
    next: Option<usize>,
}

impl Survey {
    pub(super) fn new(plan: &Plan) -> Self {
        let kind = KindSurvey { changes: [[0; 2]; CHANGE_CONTEXTS], stills: [0; 2] };
        let field = FieldSurvey { places: [0; CONTEXTS], fit: Fit::default() };
        let prior = Model::prior(plan);
        let better = prior.clone();
        let search = Search { better, bytes: Vec::new(), saving: 0.0, next: None };
        Self {
            kinds: vec![kind; plan.kinds.len()],
            fields: vec![field; plan.slots],
            counts: Vec::new(),
            numbers: 0,
            next_look: FIRST_LOOK,
            rests: 0,
            bodies: 0,
            surveyed: 0,
            prior,
            search,
        }
    }

    /// Starts a new body. If it is to be counted, returns how many bodies it stands for.
    pub(super) fn begin(&mut self) -> Option<u64> {
        self.bodies += 1;
        if self.rests > 0 {
            self.rests -= 1;
            return None;
        }
        self.surveyed += 1;
        self.rests = (self.numbers / DENSE).min(RESTS_MAX);
        Some(1 + self.rests)
    }

    #[inline]
    pub(super) fn change(&mut self, kind: u8, context: usize, changed: bool) {
        count(&mut self.kinds[usize::from(kind)].changes[context], changed);
    }

    #[inline]
    pub(super) fn stills(&mut self, kind: u8, changed: bool) {
        count(&mut self.kinds[usize::from(kind)].stills, changed);
    }

    pub(super) fn number(&mut self, site: Site, symbol: usize) {
        self.numbers += 1;
        let field = &mut self.fields[usize::from(site.slot)];
        let place = &mut field.places[usize::from(site.context)];
        if *place == 0 {
            if self.counts.len() == COUNTS_MAX {
                return;
            }
            self.counts.push([[0; SYMBOLS]; Family::CENTRES]);
            *place = self.counts.len() as u16;
        }
        let counts = &mut self.counts[usize::from(*place) - 1];
        let count = &mut counts[usize::from(site.centre)][symbol];
        *count += 1;
        if *count == u16::MAX {
            counts.iter_mut().flatten().for_each(|count| *count /= 2);
        }
    }

    pub(super) fn learn(
        &mut self,
        site: Site,
        features: [f64; FEATURES],
        activity: f64,
        change: f64,
        weights: [f64; FEATURES],
    ) {
        self.fields[usize::from(site.slot)].fit.add(features, activity, change, weights);
    }

    /// The counts of one context, if it has occurred.
    pub(super) fn counts(&self, slot: usize, context: usize) -> Option<&Counts> {
        let place = usize::from(self.fields[slot].places[context]).checked_sub(1)?;
        Some(&self.counts[place])
    }

    /// For each kind, the counts of changes and of stills.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (&[[u32; 2]; CHANGE_CONTEXTS], &[u32; 2])> {
        self.kinds.iter().map(|kind| (&kind.changes, &kind.stills))
    }

    /// Advances the search for a model that would have saved clearly more than it costs to send,
    /// compared with `current`. Call this once per tick.
    pub(super) fn look(
        &mut self,
        plan: &Plan,
        odds: &Odds,
        current: &Model,
        coder: &mut RangeEncoder,
    ) -> Option<(&Model, &[u8])> {
        let Some(slot) = self.search.next else {
            if self.numbers >= self.next_look {
                self.next_look = self.numbers + self.numbers / 2;
                self.search.better.clone_from(current);
                self.search.saving = self.better_kinds(odds);
                self.search.next = Some(0);
            }
            return None;
        };
        let search = &mut self.search;
        let (model, prior) = (&mut search.better.fields[slot], &self.prior.fields[slot]);
        let field = plan.field_of(slot);
        search.saving += self.fields[slot].better(model, prior, field, &mut self.counts);
        search.next = (slot + 1 < plan.slots).then_some(slot + 1);
        if search.next.is_some() || search.better == *current {
            return None;
        }
        search.better.write(&self.prior, coder, &mut search.bytes);
        let cost = 8.0 * (search.bytes.len() + MESSAGE_BYTES) as f64;
        let scale = self.bodies as f64 / self.surveyed.max(1) as f64;
        let pays = search.saving * scale > FLATTERY * cost && search.bytes.len() <= MODEL_BYTES_MAX;
        pays.then_some((&search.better, &search.bytes))
    }

    fn better_kinds(&mut self, odds: &Odds) -> f64 {
        let mut saving = 0.0;
        for (k, counts) in self.kinds.iter().enumerate() {
            let (model, prior) = (&mut self.search.better.kinds[k], &self.prior.kinds[k]);
            saving += better_odds(odds, counts.stills, &mut model.stills, prior.stills);
            for (context, counts) in counts.changes.iter().enumerate() {
                let (model, prior) = (&mut model.changes[context], prior.changes[context]);
                saving += better_odds(odds, *counts, model, prior);
            }
        }
        saving
    }
}

/// Counts a no or a yes. A large match would overflow a counter within days, so both are halved.
#[inline]
fn count(counts: &mut [u32; 2], yes: bool) {
    let count = &mut counts[usize::from(yes)];
    *count += 1;
    // Their sum must not overflow either.
    if *count == u32::MAX / 2 {
        counts.iter_mut().for_each(|count| *count /= 2);
    }
}

/// Estimated cost of encoding a difference from the prior, in bits.
const DIFFERENCE_BITS: f64 = 6.0;

/// Improves the odds of a yes with these counts, and returns how many bits that would have saved.
fn better_odds(odds: &Odds, [no, yes]: [u32; 2], model: &mut u8, prior: u8) -> f64 {
    if no + yes == 0 {
        return 0.0;
    }
    // An answer that has not occurred yet still may.
    let (no, yes) = (f64::from(no) + 0.5, f64::from(yes) + 0.5);
    let cost = |index: usize| {
        let [no_bits, yes_bits] = odds.bits(index);
        let difference = if index == usize::from(prior) { 0.0 } else { DIFFERENCE_BITS };
        difference + no * no_bits + yes * yes_bits
    };
    let now = usize::from(*model);
    let best = (0..Odds::LEN).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(now);
    *model = best as u8;
    cost(now) - cost(best)
}

impl FieldSurvey {
    /// Improves a field's model, and estimates how many bits that would have saved.
    fn better(
        &mut self,
        model: &mut FieldModel,
        prior: &FieldModel,
        plan: Option<&FieldPlan>,
        counts: &mut [Counts],
    ) -> f64 {
        let mut saving = 0.0;
        if plan.is_some_and(|plan| plan.learns)
            && let Some((weights, saved)) = self.fit.better(model.weights)
        {
            // Counts made with the old weights are no longer valid.
            model.weights = weights;
            saving += saved;
            for &place in self.places.iter().filter(|place| **place > 0) {
                counts[usize::from(place) - 1] = [[0; SYMBOLS]; Family::CENTRES];
            }
            self.fit = Fit::default();
            return saving;
        }
        for (context, place) in self.places.iter().enumerate() {
            let Some(counts) = usize::from(*place).checked_sub(1).map(|place| &counts[place])
            else {
                continue;
            };
            let plain = plan.filter(|_| context == SPAWNED);
            let now = model.tables[context];
            let (best, saved) = better_table(counts, now, prior.tables[context], plain);
            model.tables[context] = best;
            saving += saved;
        }
        saving
    }
}

/// The member of the family that fits these counts best, and how many bits it saves.
fn better_table(counts: &Counts, now: u8, prior: u8, plain: Option<&FieldPlan>) -> (u8, f64) {
    let mut met = [(0, 0, 0); SYMBOLS * Family::CENTRES];
    let mut len = 0;
    for (centre, counts) in counts.iter().enumerate() {
        for (symbol, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            met[len] = (centre as u8, symbol, u32::from(count));
            len += 1;
        }
    }
    let met = &met[..len];
    let cost = |member: u8| {
        let difference = if member == prior { 0.0 } else { DIFFERENCE_BITS };
        let bits = if member == PLAIN {
            let numbers: u32 = met.iter().map(|(_, _, count)| count).sum();
            f64::from(numbers * plain.map_or(0, FieldPlan::width))
        } else {
            let family = Family::shared();
            let cost = |&(centre, symbol, count): &(u8, usize, u32)| {
                u64::from(count * u32::from(family.table(member, centre).costs[symbol]))
            };
            met.iter().map(cost).sum::<u64>() as f64 / 256.0
        };
        difference + bits
    };
    let (mut best, now_cost) = (now, cost(now));
    let mut best_cost = now_cost;
    let mut try_member = |member: u8| {
        let cost = cost(member);
        let better = cost < best_cost;
        if better {
            (best, best_cost) = (member, cost);
        }
        better
    };
    if plain.is_some() {
        try_member(PLAIN);
    }
    // For each weight of tails, a hill climb from the current scale: there is one optimum.
    let scales = Family::SCALES as u8;
    let start = if now == PLAIN { scales / 2 } else { now % scales };
    for base in (0..PLAIN).step_by(Family::SCALES) {
        try_member(base + start);
        for down in (0..start).rev() {
            if !try_member(base + down) && start - down > 3 {
                break;
            }
        }
        for up in start + 1..scales {
            if !try_member(base + up) && up - start > 3 {
                break;
            }
        }
    }
    (best, now_cost - best_cost)
}

/// The symbol that a spawned entity's plain value would have if it were coded with a table.
pub(super) fn spawned_symbol(field: &FieldPlan, value: i32) -> usize {
    Symbol::index_of(value.wrapping_sub(field.usual()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_their_proportion_when_halved() {
        let mut counts = [u32::MAX / 2 - 1, u32::MAX / 8];
        count(&mut counts, false);
        assert_eq!(counts, [u32::MAX / 4, u32::MAX / 16]);
        let mut counts = [0, u32::MAX / 2 - 1];
        (0..3).for_each(|_| count(&mut counts, true));
        assert_eq!(counts, [0, u32::MAX / 4 + 2]);
    }
}
