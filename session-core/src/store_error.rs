//! The error of a store.

use std::{error::Error, fmt};

/// The error of a store that did not carry out an operation. The error's source is the cause.
///
/// `Display` prints one sentence for the kind. `Debug` adds the sentences of all sources.
///
/// # Examples
///
/// ```
/// use session_core::store::{StoreError, StoreErrorKind};
///
/// let error = StoreError::new(StoreErrorKind::Unavailable, "connection refused");
/// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
/// assert_eq!(error.to_string(), "the session store is not available");
/// assert_eq!(format!("{error:?}"), "the session store is not available: connection refused");
/// ```
pub struct StoreError {
    kind: StoreErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// The reason why a store did not carry out an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached, is full or is busy, or its answer was lost. The store may have carried out the
    /// operation. If it did not, a later attempt may succeed.
    Unavailable,
    /// The record cannot be read: it is damaged, or a later version wrote it.
    Unreadable,
    /// The store refused the operation and will refuse it again: for example, a table is missing or the password is
    /// wrong.
    Refused,
}

impl StoreError {
    /// Creates an error of this kind. `source` is the cause: an error, or a sentence.
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the session store is not available",
            StoreErrorKind::Unreadable => "a record in the session store cannot be read",
            StoreErrorKind::Refused => "the session store refused the operation",
        })
    }
}

/// Prints the sentence of `Display` and those of all sources, because a `main` that returns an error prints only its
/// `Debug`.
impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
