//! Real servers on 127.0.0.1: one thread of each, and one of `wrk`, which asks as fast as it is answered.
//!
//! All pairs of server and column run once a round in random order, a second each. The best round of each counts:
//! whatever else the machine does only ever takes from it.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Error, Lines, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use guard::{Answer, Cookies, Exchange, Scenario, check_answers, keep};

use crate::{
    contender::{Contender, OURS},
    rounds::Random,
    table::{self, line},
};

/// Says what to do where `wrk` is missing.
pub fn check_wrk() -> io::Result<()> {
    Command::new("wrk").arg("--version").output().map(drop).map_err(|error| {
        Error::other(format!(
            "servers are measured with `wrk`, which cannot be run ({error}): \
             `apt-get install wrk` on Debian and Ubuntu, or leave them out with --quick"
        ))
    })
}

/// The table of those that are to be measured on sockets.
pub fn measure(contenders: &[Contender]) -> io::Result<String> {
    check_wrk()?;
    let servers = contenders.iter().enumerate().filter(|(_, contender)| contender.on_sockets);
    let mut servers = servers.map(|(who, it)| Server::start(who, it)).collect::<io::Result<Vec<_>>>()?;
    let mut order: Vec<(usize, usize)> =
        (0..servers.len()).flat_map(|server| (0..COLUMNS.len()).map(move |what| (server, what))).collect();
    let mut random = Random::new();
    for _ in 0..ROUNDS {
        random.shuffle(&mut order);
        for &(server, what) in &order {
            let load = servers[server].load(COLUMNS[what])?;
            servers[server].best[what] = servers[server].best[what].or_better(load);
        }
    }
    Ok(table(&servers, contenders))
}

const COLUMNS: [Scenario; 2] = [Scenario::Read, Scenario::Write];
const ROUNDS: usize = 9;

/// What a second of `wrk` showed.
#[derive(Clone, Copy)]
struct Load {
    /// Requests a second.
    rate: f64,
    /// Microseconds of the processor that the server's process took for a request.
    cost: f64,
}

impl Load {
    const WORST: Self = Self { rate: 0.0, cost: f64::INFINITY };

    const fn or_better(self, other: Self) -> Self {
        Self { rate: self.rate.max(other.rate), cost: self.cost.min(other.cost) }
    }
}

/// A process that this one started.
struct Server {
    /// Its contender.
    who: usize,
    process: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    /// By column.
    best: [Load; COLUMNS.len()],
}

impl Server {
    fn start(who: usize, contender: &Contender) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["serve", &who.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let (Some(orders), Some(reports)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Error::other("a server without pipes"));
        };
        let mut reports = BufReader::new(reports).lines();
        let address = reports.next().unwrap_or_else(|| Err(Error::other("a server ended at once")))?;
        let address = address.parse().map_err(Error::other)?;
        let server = Self { who, process, orders, reports, address, best: [Load::WORST; COLUMNS.len()] };
        server.check(contender)?;
        Ok(server)
    }

    /// The answers are right over a socket too, and a new session sets a cookie where there are sessions.
    fn check(&self, contender: &Contender) -> io::Result<()> {
        let answer = |exchange| self.ask(exchange).unwrap_or_else(|error| panic!("{}: {error}", contender.name()));
        let cookie = self.cookie()?;
        check_answers(contender.name(), &Cookies::of(&cookie, &cookie, &cookie), answer);
        let seed = Exchange { path: "/seed/small", cookie: None };
        let keeps_sessions = contender.baseline != self.who;
        assert_eq!(!answer(seed).set_cookies.is_empty(), keeps_sessions, "{}", contender.name());
        Ok(())
    }

    /// Asks for one page for a second.
    fn load(&mut self, scenario: Scenario) -> io::Result<Load> {
        let path = if scenario == Scenario::Write { "write" } else { "read" };
        let header = format!("Cookie: {}", self.cookie()?);
        let mut wrk = Command::new("wrk");
        wrk.args(["--threads", "1", "--connections", "16", "--duration", "1s", "--header", &header]);
        wrk.arg(format!("http://{}/{path}", self.address));

        let before = self.processor_time()?;
        let output = wrk.output()?;
        let spent = self.processor_time()? - before;
        let (requests, rate) = parse(&String::from_utf8_lossy(&output.stdout))?;
        Ok(Load { rate, cost: spent.as_secs_f64() * 1e6 / requests })
    }

    /// Of a new session, so that none is too old however long the measurement takes; without sessions, nobody's.
    fn cookie(&self) -> io::Result<String> {
        let answer = self.ask(Exchange { path: "/seed/small", cookie: None })?;
        let kept = keep("", answer.set_cookies.iter().map(String::as_str));
        Ok(if kept.is_empty() { format!("__Host-session={}", "x".repeat(250)) } else { kept })
    }

    fn processor_time(&mut self) -> io::Result<Duration> {
        writeln!(self.orders)?;
        let line = self.reports.next().unwrap_or_else(|| Err(Error::other("a server ended")))?;
        Ok(Duration::from_nanos(line.parse().map_err(Error::other)?))
    }

    /// One request on a connection of its own.
    fn ask(&self, exchange: Exchange) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n", exchange.path)?;
        if let Some(cookie) = exchange.cookie {
            stream.write_all(&[b"Cookie: ", cookie.as_bytes(), b"\r\n"].concat())?;
        }
        stream.write_all(b"\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        answer(&text).ok_or_else(|| Error::other(format!("no answer: {text}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to stop.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The parts of a response that is not chunked.
fn answer(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let set = headers.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    Some(Answer { status, body: body.to_owned(), set_cookies: set.map(|(_, value)| value.to_owned()).collect() })
}

/// How many requests `wrk` sent, and how many a second.
fn parse(report: &str) -> io::Result<(f64, f64)> {
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<f64>().ok());
    let requests = report.lines().find_map(|line| line.split_once(" requests in "));
    let rate = report.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let failed = report.contains("Socket errors") || report.contains("Non-2xx");
    match (number(requests.map(|it| it.0)), number(rate)) {
        (Some(requests), Some(rate)) if requests > 0.0 && !failed => Ok((requests, rate)),
        _ => Err(Error::other(format!("wrk says: {report}"))),
    }
}

fn table(servers: &[Server], contenders: &[Contender]) -> String {
    let mut text = String::new();
    let headings = COLUMNS.map(|column| {
        let name = column.name();
        [format!("{name}: requests/s"), "µs over baseline".to_owned(), "times ours".to_owned()]
    });
    line(&mut text, "on a socket", headings.into_iter().flatten());
    line(&mut text, "---", ["---:"; 3 * COLUMNS.len()].map(str::to_owned).into_iter());
    for server in servers {
        let cells = (0..COLUMNS.len()).flat_map(|what| cells(server, what, servers, contenders));
        line(&mut text, &table::row_name(server.who, contenders), cells);
    }
    text
}

/// Requests a second, microseconds over the baseline's, and that over ours.
fn cells(server: &Server, what: usize, servers: &[Server], contenders: &[Contender]) -> [String; 3] {
    let is_baseline = contenders[server.who].baseline == server.who;
    let cost = over(server.who, what, servers, contenders);
    let ours = over(OURS, what, servers, contenders);
    let ratio = match () {
        () if is_baseline || server.who == OURS => String::new(),
        // Something else ran while the baseline did.
        () if ours <= 0.0 => "–".to_owned(),
        () => format!("{:.2}", cost / ours),
    };
    [table::thousands(server.best[what].rate), format!("{cost:.2}"), ratio]
}

/// What a request costs over the baseline's; a baseline's own is what it costs. Without a session both columns are one
/// request: the cheaper of them is the baseline.
fn over(who: usize, what: usize, servers: &[Server], contenders: &[Contender]) -> f64 {
    let of = |who| servers.iter().find(move |server| server.who == who);
    let cost = of(who).map_or(f64::NAN, |server| server.best[what].cost);
    let baseline = contenders[who].baseline;
    if baseline == who {
        return cost;
    }
    cost - of(baseline).map_or(f64::NAN, |server| server.best.iter().map(|best| best.cost).fold(f64::NAN, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Running 1s test @ http://127.0.0.1:1/read\n  1 threads and 16 connections\n  \
        42491 requests in 1.10s, 4.86MB read\nRequests/sec:  38640.12\nTransfer/sec:      4.42MB\n";

    #[test]
    fn a_report_of_wrk_says_how_many_requests_there_were_and_how_fast() {
        assert_eq!(parse(REPORT).expect("a report"), (42_491.0, 38_640.12));
    }

    #[test]
    fn a_report_of_failures_is_an_error() {
        for failure in ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"] {
            assert!(parse(&format!("{REPORT}{failure}")).is_err());
        }
    }

    #[test]
    fn an_answer_has_a_status_a_body_and_its_cookies() {
        let text = "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\n\r\nok";
        let answer = answer(text).expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
        assert_eq!(answer.set_cookies, ["a=1", "b=2; Path=/"]);
    }
}
