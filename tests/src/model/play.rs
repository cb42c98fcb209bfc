//! A play: what two browsers do to two instances, step by step. A seed makes it, and each of its steps can be left out.

/// One step. A number picks one of what is there at that moment, so that it means something after any other steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A browser sends a request. The instance reads the session, and the request waits.
    Send { browser: usize, instance: usize, action: Action },
    /// One of the waiting requests goes on, and its instance answers.
    Answer(usize),
    /// One of the answers reaches its browser.
    Arrive(usize),
    /// Every request is answered, and every answer arrives.
    Settle,
    /// Seconds pass.
    Pass(u64),
    /// Both instances are replaced by ones with other settings.
    Deploy(Change),
}

/// What a request does after it has read its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Read,
    Write,
    /// Writes more than one cookie holds, if the settings allow several.
    WriteMuch,
    LogIn,
    LogOut,
    Renew,
    Rotate,
    Remember,
}

/// What a deployment changes. Nothing is taken away again but the pieces: DESIGN's rule for twins is about additions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Domain,
    Path,
    Partitioned,
    Chunked,
    Whole,
}

/// Makes the play of a seed.
pub(super) fn of_seed(seed: u64) -> Vec<Step> {
    let mut random = Random(seed);
    let length = 40 + random.below(40);
    (0..length).map(|_| step(&mut random)).collect()
}

fn step(random: &mut Random) -> Step {
    match random.below(100) {
        0..40 => Step::Send { browser: random.below(2), instance: random.below(2), action: action(random) },
        40..62 => Step::Answer(random.below(4)),
        62..84 => Step::Arrive(random.below(4)),
        84..89 => Step::Settle,
        89..97 => Step::Pass(random.pick(&[1, 1, 7, 20, 45, 61, 900, 4_000])),
        _ => Step::Deploy(random.pick(CHANGES)),
    }
}

fn action(random: &mut Random) -> Action {
    use Action::{LogIn, LogOut, Read, Remember, Renew, Rotate, Write, WriteMuch};
    random.pick(&[
        Read, Read, Read, Write, Write, Write, WriteMuch, LogIn, LogIn, LogIn, LogOut, LogOut, Renew, Rotate, Rotate,
        Remember,
    ])
}

/// Leaves out steps for as long as the play still fails.
pub(super) async fn shrink(mut play: Vec<Step>, fails: impl AsyncFn(&[Step]) -> bool) -> Vec<Step> {
    let mut size = play.len() / 2;
    while size > 0 {
        let mut start = 0;
        while start < play.len() {
            let mut shorter = play.clone();
            shorter.drain(start..play.len().min(start + size));
            if fails(&shorter).await {
                play = shorter;
            } else {
                start += size;
            }
        }
        size /= 2;
    }
    play
}

/// A small generator of random numbers (`SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const CHANGES: &[Change] =
    &[Change::Domain, Change::Path, Change::Partitioned, Change::Chunked, Change::Chunked, Change::Whole];
