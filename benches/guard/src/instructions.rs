//! Marks for callgrind, which writes down how many instructions ran from one to the next.

/// Runs `work` between two marks.
pub fn counted(work: impl FnOnce()) {
    mark();
    work();
    mark();
}

/// Callgrind is told to take a note whenever this is called: `--dump-before=guard::instructions::mark`.
#[inline(never)]
fn mark() {
    std::hint::black_box(());
}

/// What ran in each [`counted`], out of callgrind's notes.
pub fn counts(notes: &str) -> Vec<u64> {
    let totals = notes.lines().filter_map(|line| line.strip_prefix("totals: "));
    let counts: Vec<u64> = totals.filter_map(|count| count.trim().parse().ok()).collect();
    // Before the first mark, then in turn within and between.
    counts.into_iter().skip(1).step_by(2).collect()
}
