//! The measurement: all pairs of contender and scenario once a round, in random order.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Instant,
};

use guard::{Scenario, heap, instructions};

use crate::{contender::Contender, table::Figures};

/// Requests of one pair in one round.
const BATCH: usize = 64;

/// Nanoseconds over baseline: the median over rounds of the difference in the same round. A baseline's own row is what
/// it costs.
pub fn nanoseconds(contenders: &mut [Contender], rounds: usize) -> Figures {
    let mut order: Vec<(usize, usize)> =
        (0..contenders.len()).flat_map(|who| (0..Scenario::ALL.len()).map(move |what| (who, what))).collect();
    let mut samples = vec![vec![Vec::with_capacity(rounds); Scenario::ALL.len()]; contenders.len()];
    let mut random = Random::new();
    for round in 0..rounds + WARM_UP {
        contenders.iter_mut().for_each(Contender::refresh);
        random.shuffle(&mut order);
        let mut times = vec![[0.0; Scenario::ALL.len()]; contenders.len()];
        for &(who, what) in &order {
            times[who][what] = time(&contenders[who], Scenario::ALL[what]);
        }
        if round < WARM_UP {
            continue;
        }
        for (who, contender) in contenders.iter().enumerate() {
            for (what, samples) in samples[who].iter_mut().enumerate() {
                let baseline = if contender.baseline == who { 0.0 } else { times[contender.baseline][what] };
                samples.push(times[who][what] - baseline);
            }
        }
    }
    Figures(samples.into_iter().map(|row| row.into_iter().map(median).collect()).collect())
}

/// Rounds that do not count.
const WARM_UP: usize = 20;

fn time(contender: &Contender, scenario: Scenario) -> f64 {
    contender.run(scenario, BATCH, |run| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() as f64 / BATCH as f64
    })
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Allocator calls and bytes over baseline.
pub fn heap(contenders: &mut [Contender]) -> (Figures, Figures) {
    contenders.iter_mut().for_each(Contender::refresh);
    let cost = |contender: &Contender, scenario| {
        contender.run(scenario, BATCH, |run| run());
        contender.run(scenario, BATCH, |run| {
            let heap = heap::count(run);
            (heap.calls as f64 / BATCH as f64, heap.bytes as f64 / BATCH as f64)
        })
    };
    let costs: Vec<Vec<(f64, f64)>> = contenders
        .iter()
        .map(|contender| Scenario::ALL.iter().map(|scenario| cost(contender, *scenario)).collect())
        .collect();
    let calls = costs.iter().map(|row| row.iter().map(|cost| cost.0).collect()).collect();
    let bytes = costs.iter().map(|row| row.iter().map(|cost| cost.1).collect()).collect();
    (Figures::over_baseline(calls, contenders), Figures::over_baseline(bytes, contenders))
}

/// Instructions over baseline; none without valgrind, and none of those that wait for others.
pub fn instructions(contenders: &[Contender]) -> std::io::Result<Figures> {
    let counts = instructions::of(COUNT)?;
    let mut counted = counts.chunks(Scenario::ALL.len()).peekable();
    let mut row = |contender: &Contender| match counted.next_if(|_| !contender.waits) {
        Some(row) => row.iter().map(|count| *count as f64 / FEW as f64).collect(),
        None => vec![f64::NAN; Scenario::ALL.len()],
    };
    let rows = contenders.iter().map(&mut row).collect();
    Ok(Figures::over_baseline(rows, contenders))
}

/// What [`instructions`] runs under valgrind.
pub fn count(contenders: &[Contender]) {
    for contender in contenders.iter().filter(|contender| !contender.waits) {
        // The layer looks harder at its first requests.
        contender.run(Scenario::Untouched, 1_001, |run| run());
        for scenario in Scenario::ALL {
            contender.run(scenario, 1, |run| run());
            contender.run(scenario, FEW, |run| instructions::counted(run));
        }
    }
}

/// The program's argument for it.
pub const COUNT: &str = "count";
const FEW: usize = 16;

/// Xorshift (Marsaglia 2003): enough to shuffle with.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
