//! Hostile input by the million.
//!
//! ```sh
//! cargo run --release -p session-hostile -- decoders                   # 10,000,000 requests for each decoder
//! cargo run --release -p session-hostile -- decoders revel 1000000     # one decoder
//! cargo run --release -p session-hostile -- tokens                     # every edit, and 10,000,000 damaged tokens
//! cargo run --release -p session-hostile -- timing                     # 1,000,000 comparisons of tags
//! ```
//!
//! `decoders` damages cookies of former systems at random, and decodes them. A third of the requests bring a content
//! that was damaged and then signed, so that the code behind the signature sees damaged contents too. It ends with an
//! error if a decoder panics, if it reads a session that was not signed, or if one request takes more memory than its
//! length and 64 KiB. `tokens` ends with an error if a text opens that was not sealed. `timing` ends with an error if the
//! time of a comparison tells where two tags differ, or if it does not see that a naive comparison does. Each prints
//! Markdown.

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait")]
mod heap;

use std::{env, error::Error, time::Instant};

use session_core::{tags_are_equal, token::Protection};
use session_hostile::{
    hostile::run,
    subjects::{Subject, all},
    timing::{Difference, difference, naive},
    tokens::{self, PAYLOADS},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["decoders"] => decoders("all", DECODED),
        ["decoders", name] => decoders(name, DECODED),
        ["decoders", name, count] => decoders(name, count.parse()?),
        ["tokens"] => tokens(10_000_000),
        ["tokens", count] => tokens(count.parse()?),
        ["timing"] => timing(1_000_000),
        ["timing", count] => timing(count.parse()?),
        _ => Err("say `decoders [name] [count]`, `tokens [count]` or `timing [count]`".into()),
    }
}

fn decoders(name: &str, rounds: u64) -> Result<(), Box<dyn Error>> {
    let subjects: Vec<Subject> = all()?.into_iter().filter(|one| name == "all" || name == one.name).collect();
    if subjects.is_empty() {
        return Err(format!("there is no decoder `{name}`").into());
    }
    println!(
        "| decoder | requests | signed again | sessions | of them damaged | with flash | bytes above the input | \
         longest header | time |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for subject in subjects {
        let start = Instant::now();
        let tally = run(&subject, rounds, 1, |work| heap::most(work));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} s |",
            subject.name,
            tally.rounds,
            tally.signed_again,
            tally.sessions,
            tally.damaged_sessions,
            tally.flash,
            tally.most_above_input,
            tally.longest_header,
            start.elapsed().as_secs()
        );
    }
    Ok(())
}

fn tokens(rounds: u64) -> Result<(), Box<dyn Error>> {
    println!("| token | length | one edit | opened | several edits | opened | time |");
    println!("|---|---|---|---|---|---|---|");
    let mut opened = 0;
    for protection in [Protection::Signed, Protection::Encrypted] {
        for (number, payload) in PAYLOADS.into_iter().enumerate() {
            let start = Instant::now();
            let subject = tokens::Subject::new(protection, payload);
            let edits = subject.every_edit();
            // Most of the random damage is done to the smaller tokens, which are opened faster.
            let share = if protection == Protection::Signed { [45, 45, 5][number] } else { [3, 1, 1][number] };
            let random = subject.at_random(rounds * share / 100, number as u64);
            opened += edits.opened + random.opened;
            println!(
                "| {protection:?}, {payload} bytes | {} | {} | {} | {} | {} | {} s |",
                subject.len(),
                edits.tried,
                edits.opened,
                random.tried,
                random.opened,
                start.elapsed().as_secs()
            );
        }
    }
    if opened == 0 { Ok(()) } else { Err(format!("{opened} texts opened that were not sealed").into()) }
}

fn timing(samples: usize) -> Result<(), Box<dyn Error>> {
    println!("| comparison | samples | first byte differs | last byte differs | t |");
    println!("|---|---|---|---|---|");
    let row = |name: &str, found: &Difference| {
        let Difference { t, samples, means: [first, last] } = found;
        println!("| {name} | {samples} | {first:.2} ns | {last:.2} ns | {t:.2} |");
    };
    let control = difference(naive, samples, 1);
    row("ends at the first difference", &control);
    let ours = difference(|expected, given| tags_are_equal(expected, given), samples, 2);
    row("of the library", &ours);
    if control.t.abs() <= 100.0 {
        return Err("the machine is too noisy: an early return is not seen".into());
    }
    if ours.t.abs() >= 4.5 {
        return Err(
            "the time of the comparison tells where the tags differ, or the machine was disturbed: try again".into()
        );
    }
    Ok(())
}

/// The requests for each decoder.
const DECODED: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_cookies_neither_panic_nor_take_much_memory_nor_pass_as_signed() {
        let subjects = all().unwrap();
        assert_eq!(
            subjects.iter().map(|subject| subject.name).collect::<Vec<_>>(),
            ["play", "play-legacy", "revel", "gorilla", "gorilla-frame", "gorilla-json", "gorilla-aes", "buffalo"]
        );
        for subject in &subjects {
            let tally = run(subject, 20_000, 2, |work| heap::most(work));
            assert_eq!(tally.rounds, 20_000);
            assert!(tally.signed_again > tally.rounds / 10, "{subject:?}: {tally:?}");
            assert!(tally.damaged_sessions > tally.rounds / 1_000, "{subject:?}: {tally:?}");
            assert!(tally.damaged_sessions < tally.signed_again, "{subject:?}: {tally:?}");
        }
    }
}
