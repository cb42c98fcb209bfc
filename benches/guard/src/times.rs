//! How long requests take, in a way whose ratios hold while others use the machine.

use std::time::Instant;

use crate::{scenario::Scenario, variant::Variant};

/// Nanoseconds of a request of each scenario over the first variant's, a row for each of the others.
///
/// All pairs run once a round, and the order shifts from round to round. A figure is the median over rounds of the
/// variant's time minus the first one's in the same round.
pub fn over_first(variants: &[Variant]) -> Vec<Vec<f64>> {
    let columns = Scenario::ALL.len();
    let pairs = variants.len() * columns;
    let mut rounds = vec![vec![0.0; pairs]; ROUNDS];
    for (round, times) in rounds.iter_mut().enumerate() {
        for step in 0..pairs {
            let pair = (step * STRIDE + round) % pairs;
            let (variant, scenario) = (&variants[pair / columns], Scenario::ALL[pair % columns]);
            let requests = variant.prepare(scenario, TIMES);
            let start = Instant::now();
            variant.run(requests);
            times[pair] = start.elapsed().as_nanos() as f64 / TIMES as f64;
        }
    }
    let median = |pair: usize| {
        let mut over: Vec<f64> = rounds.iter().map(|times| times[pair] - times[pair % columns]).collect();
        over.sort_by(f64::total_cmp);
        over[ROUNDS / 2]
    };
    (1..variants.len()).map(|row| (0..columns).map(|column| median(row * columns + column)).collect()).collect()
}

const ROUNDS: usize = 600;
const TIMES: usize = 64;
/// Prime to the number of pairs, so that all of them run in every round.
const STRIDE: usize = 17;
