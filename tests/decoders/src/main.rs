//! Damages cookies of former systems at random, and decodes them.
//!
//! ```sh
//! cargo run --release -p session-decoders                      # 10,000,000 requests for each decoder
//! cargo run --release -p session-decoders -- revel 1000000     # one decoder
//! ```
//!
//! A third of the requests bring a content that was damaged and then signed, so that the code behind the signature
//! sees damaged contents too. The program ends with an error if a decoder panics, if it reads a session that was not
//! signed, or if one request takes more memory than its length and 64 KiB. It prints a Markdown row for each decoder.

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait")]
mod heap;

use std::{env, error::Error, time::Instant};

use session_decoders::{
    hostile::run,
    subjects::{Subject, all},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "all".to_owned());
    let rounds = arguments.next().map_or(Ok(10_000_000), |count| count.parse())?;
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
