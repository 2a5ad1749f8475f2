//! Computes the priors from recorded matches: see the program `train-priors`.

use super::{
    Encoder,
    model::{CHANGE_CONTEXTS, CLASSES, CONTEXTS, Odds, PLAIN, SPAWNED, Sort},
    table::{Family, SYMBOLS},
};

type Counts = [[f64; SYMBOLS]; Family::CENTRES];

/// The statistics of several matches, each with the same weight.
#[derive(Debug)]
pub struct Training {
    numbers: Vec<[Counts; CONTEXTS]>,
    changes: [[f64; 2]; CHANGE_CONTEXTS],
    stills: [f64; 2],
}

impl Default for Training {
    fn default() -> Self {
        Self {
            numbers: vec![[[[0.0; SYMBOLS]; Family::CENTRES]; CONTEXTS]; Sort::ALL.len()],
            changes: [[0.0; 2]; CHANGE_CONTEXTS],
            stills: [0.0; 2],
        }
    }
}

impl Training {
    /// Adds an encoder's statistics.
    pub fn add(&mut self, encoder: &Encoder) {
        let survey = &encoder.books.survey;
        let weight = 1e6 / survey.numbers.max(1) as f64;
        for slot in 0..encoder.end.plan.slots {
            let motion = encoder.end.plan.field_of(slot).map(|field| field.motion);
            let sort = motion.map_or(Sort::Moment, Sort::of);
            for context in 0..CONTEXTS {
                let Some(counts) = survey.counts(slot, context) else { continue };
                let sums = self.numbers[sort as usize][context].iter_mut().flatten();
                for (sum, &count) in sums.zip(counts.iter().flatten()) {
                    *sum += weight * f64::from(count);
                }
            }
        }
        for (changes, stills) in survey.kinds() {
            let sums = self.changes.iter_mut().zip(changes).chain([(&mut self.stills, stills)]);
            for (sum, counts) in sums {
                for (sum, &count) in sum.iter_mut().zip(counts) {
                    *sum += weight * f64::from(count);
                }
            }
        }
    }

    /// The file `prior_tables.json`.
    #[must_use]
    pub fn tables(&self) -> String {
        let list = |contexts| rows(&tables(contexts), CLASSES, "   ");
        let sorts: Vec<_> = self.numbers.iter().map(|sort| format!("  [{}]", list(sort))).collect();
        format!("[\n{}\n]\n", sorts.join(",\n"))
    }

    /// The file `prior_odds.json`.
    #[must_use]
    pub fn odds(&self) -> String {
        let odds = Odds::new();
        let counts = self.changes.iter().chain([&self.stills]);
        let best: Vec<_> = counts.map(|counts| best_odds(&odds, *counts)).collect();
        format!("[\n  {}\n]\n", rows(&best, 12, "  "))
    }
}

fn rows(numbers: &[u8], width: usize, indent: &str) -> String {
    let row = |row: &[u8]| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    numbers.chunks(width).map(row).collect::<Vec<_>>().join(&format!(",\n{indent}"))
}

/// The best table for each context. A context that hardly occurred gets the table of a neighbour in
/// a lower class, with a larger scale.
fn tables(contexts: &[Counts; CONTEXTS]) -> [u8; CONTEXTS] {
    let scales = Family::SCALES as u8;
    let mut tables = [PLAIN; CONTEXTS];
    for context in 0..SPAWNED {
        let (a, b) = (context / CLASSES, context % CLASSES);
        let step = |other: usize, steps: u8| {
            let member = tables[other];
            member - member % scales + (member % scales + steps).min(scales - 1)
        };
        let fallback = match (a, b) {
            (0, 0) => scales + 2,
            (0, _) => step(context - 1, 2),
            (_, 0) => step(context - CLASSES, 2),
            _ => step(context - 1, 1).max(step(context - CLASSES, 1)),
        };
        let counts = &contexts[context];
        let cost = |member: u8| {
            let mut cost = if member == fallback { 0.0 } else { 300.0 };
            for (centre, counts) in counts.iter().enumerate() {
                let costs = &Family::shared().table(member, centre as u8).costs;
                let costs = counts.iter().zip(costs).map(|(n, &c)| n * f64::from(c) / 256.0);
                cost += costs.sum::<f64>();
            }
            cost
        };
        tables[context] =
            (0..PLAIN).min_by(|x, y| cost(*x).total_cmp(&cost(*y))).unwrap_or(fallback);
    }
    tables
}

fn best_odds(odds: &Odds, [no, yes]: [f64; 2]) -> u8 {
    let even = Odds::LEN / 2;
    let cost = |index: usize| {
        let [no_bits, yes_bits] = odds.bits(index);
        let unusual = if index == even { 0.0 } else { 20.0 };
        unusual + (no + 10.0) * no_bits + (yes + 10.0) * yes_bits
    };
    let best = (0..Odds::LEN).min_by(|x, y| cost(*x).total_cmp(&cost(*y)));
    best.unwrap_or(even) as u8
}
