//! A test in two processes: the second one is the test again, with an order from the first.

use std::{
    any::type_name,
    env,
    io::{BufRead as _, BufReader, Lines, Write as _, stdin},
    process::{Child, ChildStdout, Command, Stdio},
};

/// The other process. The two speak in lines.
pub(crate) struct Twin {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Twin {
    /// Runs `test` again, and nothing else, in a process that finds `order`.
    pub(crate) fn of<T>(_test: T, order: &str) -> Self {
        let name = type_name::<T>().split_once("::").expect("a test is in a module").1;
        let mut command = Command::new(env::current_exe().expect("this is a program"));
        command.args(["--exact", name, "--nocapture"]).env(ORDER, order);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts again");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, lines }
    }

    /// Waits until it says something, which it must.
    pub(crate) fn hear(&mut self) -> String {
        let said = self.lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.strip_prefix(MARK)?.to_owned()));
        said.expect("the other process says something before it ends")
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().expect("it is piped"), "{line}").expect("the other process listens");
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn end(mut self) {
        drop(self.process.stdin.take());
        self.lines.by_ref().for_each(drop);
        assert!(self.process.wait().expect("it ends").success(), "the other process failed");
    }
}

impl Drop for Twin {
    /// Without input it ends by itself, or is told to.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What this process is to do, if it is the second one.
pub(crate) fn order() -> Option<String> {
    env::var(ORDER).ok()
}

/// Tells the first process.
pub(crate) fn say(line: &str) {
    // The test's name may stand on this line already.
    println!("\n{MARK}{line}");
}

/// Waits for what the first process tells.
pub(crate) fn listen() -> String {
    stdin().lines().next().expect("the first process is there").expect("it speaks in text")
}

const ORDER: &str = "SESSION_TESTS_ORDER";
const MARK: &str = "> ";
