//! Shows what is in a cookie, or why it is refused, and makes secrets. The secret comes from standard input, so that no
//! list of processes and no history of a shell has it. Further lines are former secrets.
//!
//! ```text
//! cargo run --example inspect -- secret
//! cargo run --example inspect -- '__Host-session=1.6mjM.AAAA..' < secret.txt
//! cargo run --example inspect -- '__Host-session=1.6mjM.AAAA..' --application shop < secret.txt
//! ```

use std::{
    env,
    error::Error,
    fmt::Write as _,
    io::{self, Read as _},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use session_core::{
    Keys,
    cookie::MAX_SIZE,
    store::Entries,
    token::{CLOCK_SKEW, Protection, Purpose, Token, Verified, is_plausible},
};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let shown = match arguments.as_slice() {
        ["secret"] => secret(),
        [cookie] => from_stdin(cookie, ""),
        [cookie, "--application", application] => from_stdin(cookie, application),
        _ => Err(USAGE.into()),
    };
    match shown {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns a new secret: 48 random bytes of the operating system as base64url.
fn secret() -> Result<String, Box<dyn Error>> {
    let ids = [(); 3].map(|()| session_core::SessionId::random());
    let mut text = String::new();
    for id in ids {
        text += &id?.to_string();
    }
    Ok(text + "\n")
}

fn from_stdin(cookie: &str, application: &str) -> Result<String, Box<dyn Error>> {
    let mut secrets = String::new();
    io::stdin().read_to_string(&mut secrets)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(inspect(cookie, &secrets, application, now)?)
}

/// Returns what the cookie holds, one fact a line, or a sentence that says why a layer refuses it.
pub(crate) fn inspect(cookie: &str, secrets: &str, application: &str, now: u64) -> Result<String, String> {
    let (name, value) =
        cookie.trim().split_once('=').ok_or("give the cookie as NAME=VALUE, as the browser shows it")?;
    let mut lines = secrets.lines().map(str::trim).filter(|line| !line.is_empty());
    let newest = lines.next().ok_or("standard input has no secret")?;
    let mut keys = Keys::new(newest).map_err(|error| format!("the secret: {error}"))?;
    for former in lines {
        keys = keys.with_fallback(former).map_err(|error| format!("a former secret: {error}"))?;
    }
    let parse = |protection| Token::parse(value.as_bytes(), protection).map(|token| (protection, token));
    let (protection, token) = parse(Protection::Signed).or_else(|| parse(Protection::Encrypted)).ok_or(NO_TOKEN)?;
    // Each purpose has a key of its own, bound to the name of the cookie. A flash cookie's name ends with its batch.
    let flash = name.rsplit_once('.').map_or(name, |(name, _)| name);
    let purposes = [(Purpose::Session, name), (Purpose::Id, name), (Purpose::Flash, flash)];
    let rings = purposes.map(|(purpose, name)| (purpose, keys.ring(protection, purpose, name, application)));
    if !rings.iter().any(|(_, ring)| ring.knows(&token)) {
        return Err(OTHER_SECRET.to_owned());
    }
    let opened = rings.iter().find_map(|(purpose, ring)| Some((*purpose, ring.open(&token)?)));
    let (purpose, verified) = opened.ok_or(NOT_AUTHENTIC)?;
    let mut text = String::new();
    let kind = if protection == Protection::Signed { "signed" } else { "encrypted" };
    let secret = if verified.by_newest_key() { "the first secret" } else { "a former secret" };
    let _ = writeln!(text, "cookie    {name}, {kind} with {secret}, {} of {MAX_SIZE} bytes", cookie.trim().len() - 1);
    describe(&mut text, purpose, verified, now)?;
    Ok(text)
}

fn describe(text: &mut String, purpose: Purpose, verified: Verified, now: u64) -> Result<(), String> {
    let frame = verified.frame();
    let _ = writeln!(text, "id        {}", frame.id);
    let _ = writeln!(text, "created   {}", at(frame.created_at, now));
    let _ = writeln!(text, "sent      {}", at(frame.issued_at, now));
    if !is_plausible(frame.times(), now, CLOCK_SKEW) {
        let _ = writeln!(text, "refused   its times are in the future: check the clocks of the servers");
    }
    if purpose == Purpose::Id {
        let _ = writeln!(text, "The values are in the store. The cookie holds the secret that leads to them.");
        return Ok(());
    }
    let entries = verified.entries().map_err(|_| "it is authentic, and holds no valid session data".to_owned())?;
    if purpose == Purpose::Session {
        let _ = writeln!(text, "ends      {}", end(&entries, frame.created_at, frame.issued_at, now));
    }
    let mut entries: Vec<_> = entries.iter().filter(|(key, _)| !key.starts_with('$')).collect();
    entries.sort_by_key(|(key, value)| std::cmp::Reverse(key.len() + value.len()));
    for (key, value) in entries {
        let _ = writeln!(text, "{:>5} bytes  {key} = {value}", key.len() + value.len());
    }
    Ok(())
}

/// Returns when the session ends, by its own limits or else the default ones.
fn end(entries: &Entries, created_at: u64, issued_at: u64, now: u64) -> String {
    let metadata = entries.metadata();
    let idle_end = issued_at + metadata.idle.unwrap_or(IDLE);
    let end = metadata.until.unwrap_or_else(|| idle_end.min(created_at + LIFETIME));
    let own = if metadata.until.is_some() || metadata.idle.is_some() { "its own limits" } else { "the default limits" };
    let verb = if end < now { "expired" } else { "alive" };
    format!("{}, by {own}: {verb}", at(end, now))
}

fn at(second: u64, now: u64) -> String {
    let (distance, direction) = if second > now { (second - now, "from now") } else { (now - second, "ago") };
    let distance = match distance {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    };
    format!("{second} ({distance} {direction})")
}

/// The default limits of a layer, in seconds.
const IDLE: u64 = 24 * 60 * 60;
const LIFETIME: u64 = 30 * 24 * 60 * 60;

const USAGE: &str = "usage: inspect secret | inspect NAME=VALUE [--application NAME] < FILE_WITH_THE_SECRET";
const NO_TOKEN: &str = "refused: this value is no session or flash cookie of these crates. Is it complete, and does no \
                        other application use the name?";
const OTHER_SECRET: &str = "refused: it was made with another secret. Is this the secret of the server that sent it?";
const NOT_AUTHENTIC: &str = "refused: the secret is the right one, but the signature does not fit. The cookie has another \
                             name, the layer another `application`, or the value was changed";
