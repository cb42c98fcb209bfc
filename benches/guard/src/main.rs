//! Fails when a request costs more allocator calls or instructions than [`LIMITS`] allow.
//!
//! `guard` checks; `guard run signed SCENARIO TIMES` runs one scenario, for a profiler to look at.

use std::env;

use guard::{Scenario, Variant, heap, instructions, plain, signed};

/// What a request to ours, signed, may cost over the same route without sessions.
struct Limit {
    scenario: Scenario,
    /// Exact: one call more is a regression, one less is to be written down here.
    allocator_calls: u64,
    /// As measured; [`MARGIN`] is added.
    instructions: u64,
}

const fn limit(scenario: Scenario, allocator_calls: u64, instructions: u64) -> Limit {
    Limit { scenario, allocator_calls, instructions }
}

/// Measured with Rust 1.95, valgrind 3.19.
const LIMITS: [Limit; 7] = [
    limit(Scenario::Untouched, 5, 2_480),
    limit(Scenario::Read, 7, 25_600),
    limit(Scenario::Write, 13, 48_900),
    limit(Scenario::ReadLarge, 7, 192_900),
    limit(Scenario::NoCookie, 5, 3_750),
    limit(Scenario::Forged, 5, 23_000),
    limit(Scenario::FlashRound, 40, 48_100),
];

/// Per cent. Compilers and libraries move counts by a few of them.
const MARGIN: u64 = 12;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check(),
        ["count"] => count(),
        ["run", who, scenario, times] => run(who, scenario, times),
        _ => exit("usage: guard [run plain|signed SCENARIO TIMES]"),
    }
}

fn check() {
    let (plain, ours) = (steady(plain()), steady(signed()));
    let instructions = instructions_over_baseline();
    let mut failed = false;
    println!("{:<16}{:>16}{:>8}{:>16}{:>10}", "over plain axum", "allocator calls", "limit", "instructions", "limit");
    for (limit, instructions) in LIMITS.iter().zip(instructions) {
        let calls = calls(&ours, limit.scenario) - calls(&plain, limit.scenario);
        let most = limit.instructions + limit.instructions * MARGIN / 100;
        let wrong = calls > limit.allocator_calls || instructions > most;
        failed |= wrong;
        println!(
            "{:<16}{calls:>16}{:>8}{instructions:>16}{most:>10}{}",
            limit.scenario.name(),
            limit.allocator_calls,
            if wrong { "  TOO MUCH" } else { "" },
        );
    }
    if failed {
        exit("a request costs more than it did: see LIMITS in benches/guard/src/main.rs");
    }
}

/// The layer looks harder at its first requests.
fn steady(variant: Variant) -> Variant {
    variant.run(variant.prepare(Scenario::Untouched, 1_001));
    variant
}

fn calls(variant: &Variant, scenario: Scenario) -> u64 {
    variant.run(variant.prepare(scenario, 1));
    let requests = variant.prepare(scenario, TIMES);
    heap::count(|| variant.run(requests)).calls / TIMES as u64
}

fn instructions_over_baseline() -> Vec<u64> {
    let counts = instructions::of("count").unwrap_or_else(|error| exit(&format!("valgrind: {error}")));
    let (plain, ours) = counts.split_at(counts.len() / 2);
    ours.iter().zip(plain).map(|(ours, plain)| ours.saturating_sub(*plain) / TIMES as u64).collect()
}

fn count() {
    for variant in [plain(), signed()].map(steady) {
        for scenario in Scenario::ALL {
            variant.run(variant.prepare(scenario, 1));
            let requests = variant.prepare(scenario, TIMES);
            instructions::counted(|| variant.run(requests));
        }
    }
}

fn run(who: &str, scenario: &str, times: &str) {
    let named = Scenario::ALL.into_iter().find(|known| known.name() == scenario);
    let (Some(scenario), Ok(times)) = (named, times.parse::<usize>()) else { exit("unknown scenario, or no number") };
    let variant = steady(if who == "plain" { plain() } else { signed() });
    (0..times.div_ceil(TIMES)).for_each(|_| variant.run(variant.prepare(scenario, TIMES)));
}

const TIMES: usize = 32;

fn exit(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(1)
}
