//! Compiles the tests with all changes that compile.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    change::Change,
    results::Results,
    rewrite::{Lines, SWITCH, switched},
};

/// The tests inside of `session-axum`, and those of the whole system.
pub(crate) struct Programs {
    pub(crate) own: Program,
    pub(crate) whole_system: Program,
}

/// A program with tests, and the folder that it runs in.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) folder: PathBuf,
}

/// Rewrites the sources, and compiles them. A change that does not compile is left out and noted, until all compiles.
/// The number of a change is its index and 1.
pub(crate) fn with_switches(
    sources: &Path,
    changes: &[&Change],
    results: &mut Results,
) -> Result<Programs, Box<dyn Error>> {
    let crate_sources = sources.join("session-axum/src");
    let originals = originals(&crate_sources)?;
    loop {
        let mut written: BTreeMap<&str, Lines> = BTreeMap::new();
        for (path, original) in &originals {
            let file = path.strip_prefix(sources)?.to_str().ok_or("a path that is no text")?;
            let open = changes.iter().enumerate().filter(|(_, change)| change.file == file && !results.is_done(change));
            let numbered: Vec<(usize, &Change)> = open.map(|(index, change)| (index + 1, *change)).collect();
            let (mut text, lines) = switched(original, &numbered)?;
            if *path == crate_sources.join("lib.rs") {
                text += SWITCH;
            }
            if fs::read_to_string(path)? != text {
                fs::write(path, text)?;
            }
            written.insert(file, lines);
        }
        let messages = compile(sources)?;
        let errors: Vec<&Value> = messages.iter().filter(|message| message["message"]["level"] == "error").collect();
        if errors.is_empty() {
            return programs(&messages);
        }
        let mut found = BTreeSet::new();
        for error in errors.into_iter().map(|message| &message["message"]) {
            let number = change_of(error, &written);
            if number.is_none() && error["spans"].as_array().is_some_and(|spans| !spans.is_empty()) {
                return Err(format!("an error outside of every change: {}", error["rendered"]).into());
            }
            if let Some(number) = number.filter(|number| found.insert(*number)) {
                results.unviable(changes[number - 1], error["message"].as_str().unwrap_or_default())?;
            }
        }
        if found.is_empty() {
            return Err(format!("the sources do not compile: {messages:?}").into());
        }
    }
}

/// Returns each source file of the crate, as it is.
fn originals(folder: &Path) -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let source = fs::read_to_string(&path)?;
                found.push((path, source));
            }
        }
    }
    Ok(found)
}

/// Returns what cargo says, one message a line.
fn compile(sources: &Path) -> Result<Vec<Value>, Box<dyn Error>> {
    let arguments =
        "test --locked --lib --all-features --no-run --message-format json -p session-axum -p session-tests";
    let output =
        Command::new("cargo").args(arguments.split(' ')).current_dir(sources).stderr(Stdio::null()).output()?;
    Ok(output.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn programs(messages: &[Value]) -> Result<Programs, Box<dyn Error>> {
    let program = |package: &str| {
        let message = messages.iter().find(|message| {
            message["executable"].is_string() && message["target"]["name"] == package.replace('-', "_")
        });
        let message = message.ok_or_else(|| format!("cargo has built no tests of {package}"))?;
        let text = |name: &str| PathBuf::from(message[name].as_str().unwrap_or_default());
        let folder = text("manifest_path").parent().map(Path::to_owned).unwrap_or_default();
        Ok::<_, Box<dyn Error>>(Program { path: text("executable"), folder })
    };
    Ok(Programs { own: program("session-axum")?, whole_system: program("session-tests")? })
}

/// Returns the number of the change that causes an error: its place comes first, then what it points to besides.
fn change_of(error: &Value, written: &BTreeMap<&str, Lines>) -> Option<usize> {
    let mut places = Vec::new();
    collect_places(error, &mut places);
    places.sort_by_key(|(is_primary, ..)| !is_primary);
    places.into_iter().find_map(|(_, file, line)| {
        let lines = written.get(file)?;
        lines.iter().find(|(lines, _)| lines.contains(&line)).map(|(_, number)| *number)
    })
}

fn collect_places<'a>(message: &'a Value, places: &mut Vec<(bool, &'a str, usize)>) {
    for span in message["spans"].as_array().into_iter().flatten() {
        let mut at = Some(span);
        while let Some(span) = at.filter(|span| span.is_object()) {
            let line = span["line_start"].as_u64().and_then(|line| usize::try_from(line).ok());
            if let (Some(file), Some(line)) = (span["file_name"].as_str(), line) {
                places.push((span["is_primary"] == true, file, line));
            }
            at = span["expansion"].get("span");
        }
    }
    for child in message["children"].as_array().into_iter().flatten() {
        collect_places(child, places);
    }
}
