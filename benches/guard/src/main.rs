//! Fails when a request costs more allocator calls or instructions than [`LIMITS`] allow, or when its cost grows faster
//! with what it carries than [`Bound`]s allow.
//!
//! `guard` checks; `guard run signed SCENARIO TIMES` runs one scenario, for a profiler to look at.

use std::env;

use guard::{
    Scenario, Variant,
    growth::{self, Growth, Load},
    heap, instructions, plain, signed,
};

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
    limit(Scenario::Read, 8, 25_600),
    limit(Scenario::Write, 14, 48_900),
    limit(Scenario::ReadLarge, 8, 192_900),
    // `Cache-Control: private`, one header more on every page that reads its session, is 430 of these.
    limit(Scenario::NoCookie, 5, 4_180),
    limit(Scenario::Forged, 5, 23_000),
    limit(Scenario::FlashRound, 30, 47_100),
];

/// Per cent. Compilers and libraries move counts by a few of them.
const MARGIN: u64 = 12;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check(),
        ["count"] => count(),
        [COUNT_GROWTH] => Growth::new().count(),
        ["run", who, scenario, times] => run(who, scenario, times),
        _ => exit("usage: guard [run plain|signed SCENARIO TIMES]"),
    }
}

fn check() {
    let failed = [check_costs(), check_growth()];
    if failed.contains(&true) {
        exit("a request costs more than it may: see LIMITS and the bounds in benches/guard/src/main.rs");
    }
}

/// Whether one was too much.
fn check_costs() -> bool {
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
    failed
}

/// How much more a request may cost for carrying more.
struct Bound {
    name: &'static str,
    measured: f64,
    /// What fails.
    limit: f64,
    /// What is aimed at: the limit, unless that is what was measured for now.
    target: f64,
}

/// Whether one was too much.
fn check_growth() -> bool {
    let bounds = bounds();
    println!("\n{:<48}{:>12}{:>10}{:>10}", "how it grows", "measured", "limit", "target");
    for Bound { name, measured, limit, target } in &bounds {
        let digits = if *limit < 10.0 { 2 } else { 0 };
        let verdict = if measured > limit { "  TOO MUCH" } else { "" };
        println!("{name:<48}{measured:>12.digits$}{limit:>10.digits$}{target:>10.digits$}{verdict}");
    }
    bounds.iter().any(|bound| bound.measured > bound.limit)
}

fn bounds() -> Vec<Bound> {
    let counts = growth::instructions_of(COUNT_GROWTH).unwrap_or_else(|error| exit(&format!("valgrind: {error}")));
    let count = |load| Load::ALL.iter().zip(&counts).find(|(known, _)| **known == load).map_or(0.0, |it| *it.1 as f64);
    let more = |load| count(load) - count(Load::FewKeys);
    let bound = |name, measured, limit, target| Bound { name, measured, limit, target };
    vec![
        // A time, since valgrind's hash would drown what the keys cost; but one over another.
        bound("read one key of 50 / of 5, as long (time)", Growth::new().many_keys_over_few(), 1.5, 1.3),
        bound("50 foreign cookies (instructions)", more(Load::ForeignCookies), MICROSECOND, MICROSECOND),
        bound(
            "64 KB of foreign cookies (instructions)",
            more(Load::LongHeader),
            100.0 * MICROSECOND,
            100.0 * MICROSECOND,
        ),
        bound(
            "64 KB of forged cookies (instructions)",
            more(Load::LongForgery),
            100.0 * MICROSECOND,
            100.0 * MICROSECOND,
        ),
    ]
}

/// Instructions of a microsecond, which turns bounds in time into what holds on a busy machine too: two a cycle at 3
/// GHz. These requests run at more than three (64 KB of forged cookies: 544,000 in 45 us), and none of what they carry
/// more is hashed, which valgrind would count ten times.
const MICROSECOND: f64 = 6_000.0;

const COUNT_GROWTH: &str = "count growth";

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
