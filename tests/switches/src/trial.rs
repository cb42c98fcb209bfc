//! Runs the tests with one change after another.

use std::{
    collections::VecDeque,
    error::Error,
    io::{BufRead as _, BufReader},
    ops::ControlFlow,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::build::{Program, Programs};

/// What the tests say of a change.
pub(crate) enum Outcome {
    /// The test that fails, or how the program ended.
    Noticed(String),
    Missed,
}

/// The tests, the fast ones before the slow ones.
pub(crate) struct Trials {
    programs: Programs,
    fast: Vec<String>,
    slow: Vec<String>,
    /// The tests that noticed changes, and the file of the change. The last one is at the front.
    best: VecDeque<(String, String)>,
}

/// How a program with tests ended.
enum End {
    Finished,
    Failed(String),
    /// Without a result: it was aborted, or did not end in time.
    Unfinished(String),
}

impl Trials {
    /// Runs all tests without a change. Those that fail, since they compare the sources with a page, are left out.
    /// `best` has the tests that noticed changes in former runs.
    pub(crate) fn new(
        programs: Programs,
        for_tests: &[String],
        mut best: VecDeque<(String, String)>,
    ) -> Result<Self, Box<dyn Error>> {
        let (mut fast, mut slow, mut failing) = (Vec::new(), Vec::new(), Vec::new());
        let mut command = command(&programs.whole_system, 0);
        // The time of each test. It is not stable, and the variable is for compilers of the stable channel.
        command.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "unstable-options", "--report-time"]).args(for_tests);
        let end = run(&mut command, Duration::from_secs(1200), |name, seconds| {
            match seconds {
                Some(seconds) if seconds < FAST => &mut fast,
                Some(_) => &mut slow,
                None => &mut failing,
            }
            .push(name.to_owned());
            ControlFlow::Continue(())
        })?;
        match (end, noticed_by(&programs.own, 0, None)?) {
            (End::Finished, None) => {}
            (End::Finished, Some(why)) | (End::Failed(why) | End::Unfinished(why), _) => {
                return Err(format!("without a change, the tests end with: {why}").into());
            }
        }
        if !failing.is_empty() {
            eprintln!("left out, since they fail without a change: {}", failing.join(", "));
        }
        best.retain(|(_, name)| fast.contains(name) || slow.contains(name));
        Ok(Self { programs, fast, slow, best })
    }

    /// Tries the change with this number, of this file.
    pub(crate) fn try_out(&mut self, number: usize, file: &str) -> Result<Outcome, Box<dyn Error>> {
        if let Some(by) = noticed_by(&self.programs.own, number, None)? {
            return Ok(Outcome::Noticed(by));
        }
        let (here, elsewhere): (Vec<_>, Vec<_>) = self.best.iter().partition(|(of, _)| of == file);
        let names = |best: Vec<&(String, String)>| best.into_iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
        for tests in [&names(here), &names(elsewhere), &self.fast, &self.slow] {
            if !tests.is_empty()
                && let Some(by) = noticed_by(&self.programs.whole_system, number, Some(tests))?
            {
                self.best.retain(|(_, name)| *name != by);
                self.best.push_front((file.to_owned(), by.clone()));
                return Ok(Outcome::Noticed(by));
            }
        }
        Ok(Outcome::Missed)
    }
}

/// Returns the test that notices a change: it fails, and does so again without other tests beside it. The tests may be
/// limited to some names.
fn noticed_by(program: &Program, number: usize, names: Option<&[String]>) -> Result<Option<String>, Box<dyn Error>> {
    let mut doubtful: Vec<String> = Vec::new();
    loop {
        let mut command = command(program, number);
        match names {
            Some(names) => command.arg("--exact").args(names.iter().filter(|name| !doubtful.contains(name))),
            None => command.args(doubtful.iter().flat_map(|name| ["--skip", name])),
        };
        let name = match run(&mut command, LIMIT, until_one_fails)? {
            End::Finished => return Ok(None),
            End::Unfinished(why) => return Ok(Some(why)),
            End::Failed(name) => name,
        };
        match alone(program, number, &name)? {
            End::Finished if doubtful.len() < MOST_DOUBTFUL => doubtful.push(name),
            End::Finished => return Ok(None),
            End::Failed(_) | End::Unfinished(_) => return Ok(Some(name)),
        }
    }
}

/// Runs one test with a change: several times, because it may need two threads that meet.
fn alone(program: &Program, number: usize, name: &str) -> Result<End, Box<dyn Error>> {
    for _ in 0..TIMES_ALONE {
        let mut command = command(program, number);
        let end = run(command.args(["--exact", name]), LIMIT, until_one_fails)?;
        if !matches!(end, End::Finished) {
            return Ok(end);
        }
    }
    Ok(End::Finished)
}

fn command(program: &Program, number: usize) -> Command {
    let mut command = Command::new(&program.path);
    command
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .env("SWITCH", number.to_string())
        // The state of a request has room for every change at once.
        .env("RUST_MIN_STACK", "8388608")
        .env("PROPTEST_FAILURE_PERSISTENCE", "off");
    command
}

fn until_one_fails(_: &str, seconds: Option<f64>) -> ControlFlow<()> {
    if seconds.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// Runs a program with tests. `each` gets the name of each test and its time, or `None` if it failed, and says whether to
/// go on.
fn run(
    command: &mut Command,
    limit: Duration,
    mut each: impl FnMut(&str, Option<f64>) -> ControlFlow<()>,
) -> Result<End, Box<dyn Error>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    let until = Instant::now() + limit;
    let end = loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) if line.starts_with("test result: ") => break End::Finished,
            Ok(line) => {
                if let Some((name, seconds)) = result_in(&line)
                    && each(name, seconds).is_break()
                {
                    break End::Failed(name.to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => break End::Unfinished(format!("no end within {} s", limit.as_secs())),
            Err(RecvTimeoutError::Disconnected) => break End::Unfinished("the program was aborted".to_owned()),
        }
    };
    stop(&mut child)?;
    Ok(end)
}

/// Returns the name of a test that has ended, and its time if it passed. Without a measurement the time is 0.
fn result_in(line: &str) -> Option<(&str, Option<f64>)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    if result.starts_with("FAILED") {
        return Some((name, None));
    }
    let seconds = result.strip_prefix("ok")?.trim().strip_prefix('<').and_then(|time| time.strip_suffix("s>"));
    Some((name, Some(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0))))
}

/// Ends the program and what it has started.
fn stop(child: &mut Child) -> Result<(), Box<dyn Error>> {
    let group = format!("-{}", child.id());
    Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status()?;
    child.wait()?;
    Ok(())
}

/// The time in seconds below which a test runs in the first round.
const FAST: f64 = 0.5;

/// The time that the tests may take with a change.
const LIMIT: Duration = Duration::from_secs(300);

/// How often a test that has failed runs alone.
const TIMES_ALONE: usize = 5;

/// How often the tests run again without those that failed, and passed alone.
const MOST_DOUBTFUL: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_tests_are_read() {
        assert_eq!(result_in("test a::b ... ok <0.125s>"), Some(("a::b", Some(0.125))));
        assert_eq!(result_in("test a::b - should panic ... ok"), Some(("a::b", Some(0.0))));
        assert_eq!(result_in("test a::b ... FAILED"), Some(("a::b", None)));
        assert_eq!(result_in("test a::b ... ignored"), None);
        assert_eq!(result_in("running 7 tests"), None);
    }

    #[test]
    fn a_program_runs_until_a_test_fails() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            run(&mut command, Duration::from_secs(2), until_one_fails).unwrap()
        };
        let end = shell("echo 'test a ... ok'; echo 'test b ... FAILED'; sleep 60");
        assert!(matches!(end, End::Failed(name) if name == "b"));
        assert!(matches!(shell("echo 'test a ... ok'; echo 'test result: ok. 1 passed'"), End::Finished));
        assert!(matches!(shell("echo 'test a ... ok'"), End::Unfinished(why) if why == "the program was aborted"));
        assert!(matches!(shell("sleep 60"), End::Unfinished(why) if why == "no end within 2 s"));
    }
}
