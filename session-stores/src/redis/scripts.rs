//! The Lua scripts, and their replies. Redis runs no other command while a script runs, so each script is one atomic
//! step.

use std::{borrow::Cow, sync::LazyLock};

use ::redis::{Cmd, Value, cmd};
use session_core::store::{StoreError, StoreErrorKind};

/// A script, and its SHA-1, by which Redis finds a script that it has already.
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self { source, hash: ::redis::Script::new(source).get_hash().to_owned() }
    }
}

macro_rules! script {
    ($($file:literal),+) => { LazyLock::new(|| Script::new(concat!($(include_str!($file)),+))) };
}

pub(super) static CREATE: LazyLock<Script> = script!("record.lua", "create.lua");
pub(super) static UPDATE: LazyLock<Script> = script!("record.lua", "write.lua", "update.lua");
pub(super) static RENAME: LazyLock<Script> = script!("record.lua", "write.lua", "rename.lua");
pub(super) static TOUCH: LazyLock<Script> = script!("record.lua", "touch.lua");
pub(super) static DELETE: LazyLock<Script> = script!("record.lua", "delete.lua");
pub(super) static DELETE_OWNED: LazyLock<Script> = script!("record.lua", "delete_owned.lua");
pub(super) static NOTE: LazyLock<Script> = script!("record.lua", "note.lua");

/// A script with its keys and arguments.
pub(super) struct Call<'a> {
    pub(super) script: &'static Script,
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<Cow<'a, str>>,
}

impl Call<'_> {
    /// Returns the command for a Redis that knows the script.
    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    /// Returns the command for a Redis that does not know the script yet. Redis then keeps the script. In a cluster,
    /// only the machine that has the keys keeps it.
    pub(super) fn by_source(&self) -> Cmd {
        self.command("EVAL", self.script.source)
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let mut command = cmd(verb);
        command.arg(script).arg(self.keys.len());
        for key in &self.keys {
            command.arg(key);
        }
        for argument in &self.arguments {
            command.arg(&**argument);
        }
        command
    }
}

/// The reply of a script.
pub(super) enum Answer {
    Done,
    Gone,
    Conflict,
    Removed,
    /// A version, or a count.
    Number(u64),
    /// The owner of the session. A script that deletes has deleted the session. Any other script has written nothing,
    /// because the caller must note the session in this owner's index first.
    Owner(String),
}

impl Answer {
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Int(number) => u64::try_from(number).map(Self::Number).map_err(|_| unexpected()),
            Value::BulkString(owner) => String::from_utf8(owner).map(Self::Owner).map_err(|_| unreadable()),
            Value::SimpleString(word) => Self::of_word(&word),
            _ => Err(unexpected()),
        }
    }

    fn of_word(word: &str) -> Result<Self, StoreError> {
        match word {
            "DONE" => Ok(Self::Done),
            "GONE" => Ok(Self::Gone),
            "CONFLICT" => Ok(Self::Conflict),
            "REMOVED" => Ok(Self::Removed),
            "TAKEN" => Err(StoreError::new(StoreErrorKind::Refused, "another session has this id already")),
            "UNREADABLE" => Err(unreadable()),
            _ => Err(unexpected()),
        }
    }
}

pub(super) fn unreadable() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unreadable,
        "the record in Redis is damaged, or another version of session-stores wrote it",
    )
}

pub(super) fn unexpected() -> StoreError {
    StoreError::new(StoreErrorKind::Refused, "unexpected reply from Redis")
}
