//! The output of the examples when they start, and when they cannot start.

use std::{
    env, fs,
    io::{BufRead, BufReader, Error, Read, Result, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

fn settings() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_settings"));
    command
        .env("PORT", "0")
        .env_remove("SESSION_SECRET")
        .env_remove("SESSION_SECRET_PREVIOUS")
        .env_remove("SESSION_SECRET_FILE")
        .env_remove("RUST_LOG");
    command
}

/// A running example. Dropping the value stops it.
struct Running(Child);

impl Running {
    /// Waits for the line with the address of the page, and returns the address.
    fn start() -> Result<(Self, String)> {
        let mut running = Self(settings().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
        let output = running.0.stdout.take().ok_or(Error::other("no output"))?;
        let line = BufReader::new(output).lines().next().ok_or(Error::other("it said nothing"))??;
        let address = line.strip_prefix("The settings example is at http://").unwrap_or_else(|| panic!("{line}"));
        Ok((running, address.to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn assert_refuses(output: &Output, sentence: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().last(), Some(sentence));
    assert!(!said.contains("panicked") && output.stdout.is_empty(), "{said}");
}

#[test]
fn it_says_where_the_page_is_and_serves_it_until_it_is_interrupted() -> Result<()> {
    let (mut running, address) = Running::start()?;
    let mut connection = TcpStream::connect(&address)?;
    write!(connection, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    connection.read_to_string(&mut page)?;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("Sessions and flash messages for axum"), "{page}");

    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", running.0.id())]).status()?.success());
    assert!(running.0.wait()?.success());
    let mut log = String::new();
    running.0.stderr.take().ok_or(Error::other("no log"))?.read_to_string(&mut log)?;
    assert!(log.contains("SESSION_SECRET is not set, so this run uses a random key"), "{log}");
    Ok(())
}

#[test]
fn it_refuses_a_secret_that_is_too_short_and_a_file_that_is_not_there() -> Result<()> {
    for (name, value, sentence) in [
        (
            "SESSION_SECRET",
            "too short",
            "SESSION_SECRET has 9 bytes, but needs at least 32; make a good one with `openssl rand -base64 48`",
        ),
        (
            "SESSION_SECRET_FILE",
            "/not/there",
            "SESSION_SECRET_FILE names a file that cannot be opened (no such file or directory); check its path and its permissions",
        ),
    ] {
        assert_refuses(&settings().env(name, value).output()?, sentence);
    }
    Ok(())
}

#[test]
fn it_refuses_a_port_that_is_in_use() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    assert_refuses(
        &settings().env("PORT", port.to_string()).output()?,
        &format!(
            "port {port} is in use: stop the program that uses it, or choose another port: PORT={} cargo run",
            other(port)
        ),
    );
    Ok(())
}

#[test]
fn it_refuses_a_port_that_is_no_number() -> Result<()> {
    assert_refuses(&settings().env("PORT", "http").output()?, "PORT is \"http\", and must be a number from 0 to 65535");
    Ok(())
}

/// Returns the port that is proposed when this one is taken.
fn other(port: u16) -> u16 {
    if port < 65_500 { port + 10 } else { port - 100 }
}

/// Returns the command that starts an example, with the features that the manifest asks for.
fn command(example: &str) -> String {
    let manifest = include_str!("../Cargo.toml");
    let entry = manifest.split("[[").find(|entry| entry.contains(&format!("name = \"{example}\"")));
    let entry = entry.unwrap_or_else(|| panic!("{example} is no example"));
    let features = entry.split_once("required-features = [\"").and_then(|(_, rest)| rest.split_once("\"]"));
    let features = features.map_or_else(String::new, |(features, _)| format!("--features {features} "));
    format!("cargo run {features}--example {example}")
}

#[test]
fn each_example_begins_with_the_command_that_starts_it() -> Result<()> {
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "rs")
            || ["lib", "main", "profile", "settings", "start"].contains(&name.as_str())
        {
            continue;
        }
        let source = fs::read_to_string(&path)?;
        let header: Vec<_> = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        assert!(header.join(" ").contains(&command(&name)), "{name}: {}", command(&name));
    }
    Ok(())
}

#[test]
fn an_example_that_takes_two_ports_names_the_last_one_that_it_can_use() -> Result<()> {
    let Some(oauth) = others().into_iter().find(|program| program.file_stem().is_some_and(|name| name == "oauth"))
    else {
        panic!("oauth is an example");
    };
    for port in [0, 65_535] {
        let output = example(&oauth, port).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let sentence =
            format!("Error: PORT is {port}, and must be a number from 1 to 65534: this takes the next one too");
        assert_eq!(said.lines().last(), Some(sentence.as_str()));
    }
    Ok(())
}

/// Returns the programs of the examples that serve pages. `cargo test` has built them beside this test.
fn others() -> Vec<PathBuf> {
    let sources = fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the examples are here");
    let names = sources.filter_map(|entry| {
        let path = entry.ok()?.path();
        let serves = fs::read_to_string(&path).is_ok_and(|source| source.contains("start::serve("));
        let is_built = match path.file_stem()?.to_str()? {
            "devices" | "users" => cfg!(feature = "databases"),
            "observed" => cfg!(feature = "metrics"),
            _ => true,
        };
        (serves && is_built).then(|| path.file_stem().map(PathBuf::from)).flatten()
    });
    let built = PathBuf::from(env!("CARGO_BIN_EXE_settings")).with_file_name("examples");
    let mut others: Vec<_> = names.map(|name| built.join(name)).collect();
    others.sort();
    assert!(others.len() >= 14, "{others:?}");
    others
}

/// Starts an example in a directory of its own, where it may write files.
fn example(program: &PathBuf, port: u16) -> Command {
    let directory = env::temp_dir().join(format!("session-examples-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for the example can be made");
    let mut command = Command::new(program);
    command.current_dir(directory).env("PORT", port.to_string()).env("STORE_URL", "memory:").env_remove("RUST_LOG");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn each_example_listens_on_the_port_that_it_is_given() -> Result<()> {
    for program in others() {
        // oauth takes the next port, too.
        let port = loop {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            if TcpListener::bind(("127.0.0.1", port.saturating_add(1))).is_ok() {
                break port;
            }
        };
        let mut running = Running(example(&program, port).spawn()?);
        let output = running.0.stdout.take().ok_or(Error::other("no output"))?;
        let line = BufReader::new(output).lines().next().ok_or(Error::other(format!("{program:?} ended")))??;
        assert!(line.contains(&format!("http://127.0.0.1:{port}")), "{program:?}: {line}");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "{program:?}");
    }
    Ok(())
}

#[test]
fn each_example_says_in_a_sentence_that_its_port_is_taken() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    for program in others() {
        let output = example(&program, port).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let name = program.file_stem().unwrap_or_default().to_string_lossy();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        let remedy = format!(
            "Error: port {port} is in use: stop the program that uses it, or choose another port: PORT={} {}",
            other(port),
            command(&name)
        );
        assert_eq!(said.lines().last(), Some(remedy.as_str()));
    }
    Ok(())
}

#[test]
fn the_index_names_every_example() -> Result<()> {
    let (index, manifest) = (include_str!("../README.md"), include_str!("../Cargo.toml"));
    let named = manifest.split("[[example]]").skip(1).filter_map(|example| example.split('"').nth(1));
    let missing: Vec<_> = named.filter(|name| !index.contains(&format!("[{name}]("))).collect();
    assert_eq!(missing, [""; 0]);
    Ok(())
}
