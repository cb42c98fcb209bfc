//! Tries changes of `session-axum` one after another, and notes which of them a test notices.
//!
//! The tests of the whole system take too long to compile for each change anew. Therefore all changes are compiled at
//! once: each function that has changes becomes a `match` over a number, and an environment variable says which of its
//! bodies runs. `tests/mutants` calls this program with the changes that cargo-mutants lists.
//!
//! ```sh
//! session-switches <list of changes> <copy of the sources> <results> -- <argument of the tests>..
//! ```
//!
//! It prints the names of changes outside of functions, which it does not try: a constant has no body to choose.
//!
//! For each source file there is a folder in `<results>`, with the names of the changes in `noticed.txt`,
//! `unviable.txt` (it does not compile) and `missed.txt`. What is in the first two is not tried again.

mod build;
mod change;
mod results;
mod rewrite;
mod trial;

use std::{env, error::Error, fs, mem, path::PathBuf};

use change::Change;
use results::Results;
use trial::{Outcome, Trials};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [list, sources, results, mark, for_tests @ ..] = &arguments[..] else { return Err(USAGE.into()) };
    if mark != "--" {
        return Err(USAGE.into());
    }
    let (sources, mut results) = (PathBuf::from(sources), Results::open(results.into()));
    let changes: Vec<Change> = serde_json::from_slice(&fs::read(list)?)?;

    let (changes, constants): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.function.is_some());
    constants.iter().for_each(|change| println!("{}", change.name));
    let open: Vec<&Change> = changes.into_iter().filter(|change| !results.is_done(change)).collect();
    if open.is_empty() {
        return Ok(());
    }
    let programs = build::with_switches(&sources, &open, &mut results)?;
    let mut trials = Trials::new(programs, for_tests, mem::take(&mut results.best))?;
    for (index, change) in open.iter().enumerate() {
        if results.is_done(change) {
            continue;
        }
        match trials.try_out(index + 1, &change.file)? {
            Outcome::Noticed(by) => results.noticed(change, &by)?,
            Outcome::Missed => results.missed(change)?,
        }
    }
    Ok(())
}

const USAGE: &str =
    "usage: session-switches <list of changes> <copy of the sources> <results> -- <argument of the tests>..";
