//! Fails when a request costs more allocator calls or instructions than [`LIMITS`] allow, or when its cost grows faster
//! with what it carries than [`Bound`]s allow.
//!
//! `guard` checks; `guard compare` shows what a layer by hand with the same promises costs beside ours, and what is left
//! of ours without all that can go; `guard run signed SCENARIO TIMES` runs one scenario, for a profiler to look at.

use std::env;

use guard::{
    Scenario, Variant, by_hand, encrypted, floor,
    growth::{self, Growth, Load},
    heap, instructions, plain, signed, times,
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
    limit(Scenario::Untouched, 5, 2_390),
    limit(Scenario::Read, 8, 25_400),
    limit(Scenario::Write, 14, 48_700),
    limit(Scenario::ReadLarge, 8, 187_900),
    // `Cache-Control: private`, one header more on every page that reads its session, is 430 of these.
    limit(Scenario::NoCookie, 5, 3_700),
    limit(Scenario::Forged, 5, 22_350),
    limit(Scenario::FlashRound, 30, 44_300),
];

/// Per cent. Compilers and libraries move counts by a few of them.
const MARGIN: u64 = 12;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check(),
        ["compare"] => compare(),
        [COUNT] => count([plain(), signed()]),
        [COUNT_COMPARED] => count(compared()),
        [COUNT_GROWTH] => Growth::new().count(),
        ["run", who, scenario, times] => run(who, scenario, times),
        _ => exit("usage: guard [compare | run plain|signed|encrypted|hand|floor SCENARIO TIMES]"),
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
    let instructions = instructions_over_baseline(COUNT).swap_remove(0);
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

/// A row for each variant but the first, which is the baseline.
fn instructions_over_baseline(argument: &str) -> Vec<Vec<u64>> {
    let counts = instructions::of(argument).unwrap_or_else(|error| exit(&format!("valgrind: {error}")));
    let (plain, others) = counts.split_at(Scenario::ALL.len());
    let over = |(count, plain): (&u64, &u64)| count.saturating_sub(*plain) / TIMES as u64;
    others.chunks(plain.len()).map(|row| row.iter().zip(plain).map(over).collect()).collect()
}

fn count(variants: impl IntoIterator<Item = Variant>) {
    for variant in variants.into_iter().map(steady) {
        for scenario in Scenario::ALL {
            variant.run(variant.prepare(scenario, 1));
            let requests = variant.prepare(scenario, TIMES);
            instructions::counted(|| variant.run(requests));
        }
    }
}

const COUNT: &str = "count";

/// The baseline, the layer by hand, the least of ours, and ours.
fn compared() -> Vec<Variant> {
    vec![plain(), by_hand(), floor(), signed(), encrypted()]
}

/// Prints what ours cost beside the layer by hand, over plain axum. The ratios of times hold on a busy machine too.
fn compare() {
    let variants: Vec<Variant> = compared().into_iter().map(steady).collect();
    let heading: String = Scenario::ALL.iter().map(|scenario| format!("{:>15}", scenario.name())).collect();
    let line = |unit: &str, name: &str, cells: Vec<String>| {
        println!("{unit:<22}{name:<26}{}", cells.iter().map(|cell| format!("{cell:>15}")).collect::<String>());
    };
    println!("{:<48}{heading}", "over plain axum");
    for (variant, row) in variants[1..].iter().zip(instructions_over_baseline(COUNT_COMPARED)) {
        line("instructions", variant.name, row.iter().map(u64::to_string).collect());
    }
    let calls_of = |variant: &Variant| Scenario::ALL.map(|scenario| calls(variant, scenario));
    let plain = calls_of(&variants[0]);
    for variant in &variants[1..] {
        let over = calls_of(variant).iter().zip(plain).map(|(calls, plain)| (calls - plain).to_string()).collect();
        line("allocator calls", variant.name, over);
    }
    let times = times::over_first(&variants);
    for (variant, row) in variants[1..].iter().zip(&times) {
        line("ns", variant.name, row.iter().map(|time| format!("{time:.0}")).collect());
    }
    for (variant, row) in variants[2..].iter().zip(&times[1..]) {
        let ratios = row.iter().zip(&times[0]).map(|(ours, hand)| format!("{:.2}", ours / hand)).collect();
        line("times by hand", variant.name, ratios);
    }
}

const COUNT_COMPARED: &str = "count compared";

fn run(who: &str, scenario: &str, times: &str) {
    let named = Scenario::ALL.into_iter().find(|known| known.name() == scenario);
    let (Some(scenario), Ok(times)) = (named, times.parse::<usize>()) else { exit("unknown scenario, or no number") };
    let variant = steady(match who {
        "plain" => plain(),
        "signed" => signed(),
        "encrypted" => encrypted(),
        "hand" => by_hand(),
        "floor" => floor(),
        _ => exit("unknown variant"),
    });
    (0..times.div_ceil(TIMES)).for_each(|_| variant.run(variant.prepare(scenario, TIMES)));
}

const TIMES: usize = 32;

fn exit(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(1)
}
