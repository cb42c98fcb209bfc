//! What a session costs a request: see README.md, which this program writes.
//!
//! `benches` measures for some minutes and writes README.md and the chart; `--quick` takes less than one, and
//! `--sockets` measures servers alone: both only print. `--stores` measures stores, and writes their tables. `serve
//! ROW` is a server, as those start it.

mod chart;
mod contender;
mod loopback;
mod ours;
mod peers;
mod rounds;
mod server;
mod stores;
mod table;

use std::{env, fs, io, path::Path};

use contender::{Contender, Row};
use tokio::runtime::{Builder, Runtime};

fn main() -> io::Result<()> {
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let rows = contender::rows();
    let everybody = || rows.iter().map(Row::contender).collect::<Vec<_>>();
    let in_process = || rows.iter().filter(|row| row.in_process).map(Row::contender).collect::<Vec<_>>();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [rounds::COUNT] => rounds::count(&in_process()),
        ["serve", row] => match row.parse::<usize>().ok().and_then(|row| rows.get(row)) {
            Some(row) => server::run(&row.contender())?,
            None => return Err(io::Error::other(format!("there is no row {row}"))),
        },
        ["--quick"] => println!("{}", measure(&mut in_process(), FEW_ROUNDS)?.0),
        ["--sockets"] => println!("{}", loopback::measure(&everybody())?),
        ["--stores"] => {
            let report = stores::measure()?;
            write("stores", &report)?;
            println!("{report}");
        }
        [] => {
            loopback::check_wrk()?;
            let (report, chart) = measure(&mut in_process(), ROUNDS)?;
            let report = format!("{report}\n{}", loopback::measure(&everybody())?);
            write("measured", &report)?;
            fs::write(here().join("../docs/benchmark.svg"), chart)?;
            println!("{report}");
        }
        _ => return Err(io::Error::other("usage: benches [--quick | --sockets | --stores | serve ROW]")),
    }
    Ok(())
}

/// For those that must have one around them. Its thread watches sockets, and serves.
fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
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

/// Between the markers of this part of README.md.
fn write(part: &str, report: &str) -> io::Result<()> {
    let (begin, end) = (format!("<!-- {part} -->"), format!("<!-- /{part} -->"));
    let readme = fs::read_to_string(here().join("README.md"))?;
    let parts = (readme.split_once(&begin), readme.split_once(&end));
    let (Some((before, _)), Some((_, after))) = parts else { return Err(io::Error::other("README.md has no markers")) };
    fs::write(here().join("README.md"), format!("{before}{begin}\n\n{report}\n{end}{after}"))
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const ROUNDS: usize = 2_000;
const FEW_ROUNDS: usize = 150;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use guard::drive;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    #[test]
    fn a_row_may_wait_for_a_service() {
        let runtime = super::runtime().expect("a runtime");
        let _inside = runtime.enter();
        let service = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = service.local_addr().expect("an address");
        let service = thread::spawn(move || {
            let (mut stream, _) = service.accept().expect("a client");
            let mut question = [0; 4];
            stream.read_exact(&mut question).expect("a question");
            stream.write_all(b"pong").expect("an answer");
        });
        let answer = drive(async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(b"ping").await?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await?;
            std::io::Result::Ok(answer)
        });
        assert_eq!(answer.expect("an answer"), *b"pong");
        service.join().expect("a service");
    }
}
