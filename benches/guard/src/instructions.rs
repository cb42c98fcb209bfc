//! Counts instructions with callgrind, which takes a note of how many ran from one mark to the next.

use std::{env, fs, io, process::Command};

/// Runs this program again under valgrind, and tells what ran in each of its [`counted`], in their order.
///
/// Valgrind hides the processor's instructions for SHA-256: hashing counts ten times what it costs.
pub fn of(argument: &str) -> io::Result<Vec<u64>> {
    let notes = env::temp_dir().join(format!("guard-{}.callgrind", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--combine-dumps=yes", "--dump-before=guard::instructions::mark"])
        .arg(format!("--callgrind-out-file={}", notes.display()))
        .args([env::current_exe()?.as_os_str(), argument.as_ref()])
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = fs::read_to_string(&notes)?;
    fs::remove_file(&notes)?;
    let totals = text.lines().filter_map(|line| line.strip_prefix("totals: "));
    // Before the first mark, then in turn within and between.
    Ok(totals.filter_map(|count| count.trim().parse().ok()).skip(1).step_by(2).collect())
}

/// Runs `work` between two marks.
pub fn counted(work: impl FnOnce()) {
    mark();
    work();
    mark();
}

#[inline(never)]
fn mark() {
    std::hint::black_box(());
}
