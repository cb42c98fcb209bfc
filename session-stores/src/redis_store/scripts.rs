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
    ($file:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("record.lua"), include_str!($file))))
    };
}

pub(super) static CREATE: LazyLock<Script> = script!("create.lua");
pub(super) static UPDATE: LazyLock<Script> = script!("update.lua");
pub(super) static TOUCH: LazyLock<Script> = script!("touch.lua");
pub(super) static DELETE: LazyLock<Script> = script!("delete.lua");
pub(super) static INFO: LazyLock<Script> = script!("info.lua");
pub(super) static FORGET: LazyLock<Script> = script!("forget.lua");
pub(super) static NOTE: LazyLock<Script> = script!("note.lua");
pub(super) static CONVERT: LazyLock<Script> = script!("convert.lua");

/// A script with its keys and arguments.
pub(super) struct Call<'a> {
    pub(super) script: &'static Script,
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<Cow<'a, [u8]>>,
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
    Removed,
    /// A version.
    Version(u64),
    /// The record as it is now, because another request has written it; or the application and the owner of the record,
    /// because the caller must note the session in the owner's indexes first. In both cases nothing was written.
    Bytes(Vec<u8>),
    /// One text for each record.
    List(Vec<Vec<u8>>),
    /// A former version of this crate wrote the record.
    Former,
}

impl Answer {
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Int(number) => u64::try_from(number).map(Self::Version).map_err(|_| unexpected()),
            Value::BulkString(bytes) => Ok(Self::Bytes(bytes)),
            Value::SimpleString(word) => Self::of_word(&word),
            Value::Array(values) => values.into_iter().map(bytes_of).collect::<Result<_, _>>().map(Self::List),
            _ => Err(unexpected()),
        }
    }

    fn of_word(word: &str) -> Result<Self, StoreError> {
        match word {
            "DONE" => Ok(Self::Done),
            "GONE" => Ok(Self::Gone),
            "REMOVED" => Ok(Self::Removed),
            "FORMER" => Ok(Self::Former),
            "TAKEN" => Err(StoreError::new(StoreErrorKind::Refused, "another session has this id already")),
            "ENDED" => Err(StoreError::new(StoreErrorKind::Refused, "the session has ended")),
            "UNREADABLE" => Err(unreadable()),
            _ => Err(unexpected()),
        }
    }
}

/// Returns the bytes of a reply.
pub(super) fn bytes_of(value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(unexpected()),
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
