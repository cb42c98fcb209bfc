//! Measures whether the time of a comparison tells where two tags differ (as dudect does: Reparaz, Balasch and
//! Verbauwhede, 2017).

use std::{hint::black_box, time::Instant};

use crate::random::Random;

/// The difference of the mean times of two classes, in standard errors (Welch's t-test). From 4.5 on, the times are
/// taken to depend on the class.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// Welch's t.
    pub t: f64,
    /// The samples of both classes that were counted.
    pub samples: usize,
    /// The mean time of each class, in nanoseconds.
    pub means: [f64; 2],
}

/// Compares tags that differ in the first byte with tags that differ in the last one, in random order and in one buffer.
/// `equal` compares the tag with the buffer.
#[must_use]
pub fn difference(equal: impl Fn(&[u8; TAG], &[u8; TAG]) -> bool, samples: usize, seed: u64) -> Difference {
    let random = &mut Random::new(seed);
    let tag: [u8; TAG] = std::array::from_fn(|at| b'A' + (at % 26) as u8);
    let (mut first, mut last) = (tag, tag);
    first[0] ^= 1;
    last[TAG - 1] ^= 1;
    let mut times: [Vec<f64>; 2] = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
    let mut given = tag;
    for sample in 0..samples + WARM_UP {
        let class = random.below(2);
        given.copy_from_slice(if class == 0 { &first } else { &last });
        let began = Instant::now();
        for _ in 0..REPEATED {
            black_box(equal(black_box(&tag), black_box(&given)));
        }
        let time = began.elapsed().as_nanos() as f64;
        if sample >= WARM_UP {
            times[class].push(time);
        }
    }
    of_classes(times)
}

/// Leaves out the slowest tenth of all samples, which other programs have disturbed, and compares the means.
fn of_classes(times: [Vec<f64>; 2]) -> Difference {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let limit = all[(all.len() - 1) * 9 / 10];
    let kept = times.map(|class| class.into_iter().filter(|time| *time <= limit).collect::<Vec<_>>());
    let moments = |class: &[f64]| {
        let count = class.len() as f64;
        let mean = class.iter().sum::<f64>() / count;
        let variance = class.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((one, error_of_one), (other, error_of_other)) = (moments(&kept[0]), moments(&kept[1]));
    let t = (one - other) / (error_of_one + error_of_other).sqrt();
    Difference { t, samples: kept[0].len() + kept[1].len(), means: [one, other] }
}

/// The comparison that an attacker hopes for: it ends at the first byte that differs.
#[must_use]
pub fn naive(expected: &[u8; TAG], given: &[u8; TAG]) -> bool {
    expected.iter().zip(given).all(|(one, other)| black_box(one) == other)
}

/// The length of a tag in a token, in characters.
pub const TAG: usize = 43;

/// How often a tag is compared for one sample: the clock counts in tens of nanoseconds.
const REPEATED: usize = 32;
/// The samples before the first that counts.
const WARM_UP: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_with_one_mean_differ_by_little_and_others_by_much() {
        let noise = |offset: usize| (0..10_000).map(move |number| (offset + number * 7_919 % 100) as f64).collect();
        assert!(of_classes([noise(0), noise(0)]).t.abs() < 0.1);
        assert!(of_classes([noise(0), noise(10)]).t < -4.5);
    }

    #[test]
    fn an_early_return_is_found() {
        let found = difference(naive, 20_000, 1);
        assert!(found.t < -4.5, "{found:?}");
    }
}
