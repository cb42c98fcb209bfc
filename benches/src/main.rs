//! What a session costs a request: see README.md, which this program writes.
//!
//! `benches` measures for some minutes and writes README.md and the chart; `--quick` takes less than one and only prints.

mod chart;
mod contender;
mod peers;
mod rounds;
mod table;

use std::{env, fs, io, path::Path};

use contender::Contender;

fn main() -> io::Result<()> {
    // For those that must have a runtime around them. What is measured never waits, and never returns to it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut contenders = contender::all();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [rounds::COUNT] => rounds::count(&contenders),
        ["--quick"] => println!("{}", measure(&mut contenders, FEW_ROUNDS)?.0),
        [] => {
            let (report, chart) = measure(&mut contenders, ROUNDS)?;
            write(&report, &chart)?;
            println!("{report}");
        }
        _ => return Err(io::Error::other("usage: benches [--quick]")),
    }
    Ok(())
}

/// The tables, and the chart.
fn measure(contenders: &mut [Contender], rounds: usize) -> io::Result<(String, String)> {
    let (calls, bytes) = rounds::heap(contenders);
    let nanoseconds = rounds::nanoseconds(contenders, rounds);
    let mut report = format!(
        "{}\n{}\n{}\n{}",
        nanoseconds.table("ns over baseline", contenders),
        nanoseconds.ratios(contenders),
        calls.table("allocator calls over baseline", contenders),
        bytes.table("bytes over baseline", contenders),
    );
    match rounds::instructions(contenders) {
        Ok(instructions) => {
            report.push('\n');
            report.push_str(&instructions.table("instructions over baseline", contenders));
        }
        Err(error) => eprintln!("no instructions were counted: valgrind: {error}"),
    }
    Ok((report, chart::svg(&nanoseconds, contenders)))
}

fn write(report: &str, chart: &str) -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::write(here.join("../docs/benchmark.svg"), chart)?;
    let readme = fs::read_to_string(here.join("README.md"))?;
    let parts = (readme.split_once(BEGIN), readme.split_once(END));
    let (Some((before, _)), Some((_, after))) = parts else { return Err(io::Error::other("README.md has no markers")) };
    fs::write(here.join("README.md"), format!("{before}{BEGIN}\n\n{report}\n{END}{after}"))
}

const ROUNDS: usize = 2_000;
const FEW_ROUNDS: usize = 150;
const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- /measured -->";
