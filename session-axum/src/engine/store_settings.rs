//! The settings of a store.

use std::time::Duration;

#[cfg(feature = "encrypted")]
use session_core::Keys;

use super::watch::WATCH_EVERY;

/// The settings of the layer's store, or of its list of revocations, as far as the application gave them.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreSettings {
    pub(crate) timeout: Option<Duration>,
    pub(crate) sweep: Option<Sweep>,
    pub(crate) sessions_per_owner: Option<u64>,
    /// How often the layer asks which sessions of detached handles have ended.
    pub(crate) watch: Option<Duration>,
    /// Whether a session is accepted while the list of revocations cannot be read.
    pub(crate) trusts_when_unavailable: bool,
    /// Whether a list of revocations was given to a layer that cannot use it.
    pub(crate) ignores_revocations: bool,
    /// The keys that encrypt the values of the records.
    #[cfg(feature = "encrypted")]
    pub(crate) record_keys: Option<Keys>,
}

/// When the layer removes expired records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sweep {
    Never,
    Every(Duration),
}

impl StoreSettings {
    pub(crate) const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Sets how often expired records are removed; `None` if this layer does not remove them.
    pub(crate) fn set_sweep(&mut self, interval: Option<Duration>) {
        self.sweep = Some(interval.map_or(Sweep::Never, Sweep::Every));
    }

    pub(crate) const fn set_sessions_per_owner(&mut self, most: u64) {
        self.sessions_per_owner = Some(most);
    }

    pub(crate) const fn trust_when_unavailable(&mut self) {
        self.trusts_when_unavailable = true;
    }

    pub(crate) const fn ignore_revocations(&mut self) {
        self.ignores_revocations = true;
    }

    /// Returns how long one operation may wait.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(2))
    }

    /// Returns how often expired records are removed; `None` if this layer does not remove them.
    pub(crate) fn sweep_every(&self) -> Option<Duration> {
        match self.sweep.unwrap_or(Sweep::Every(Duration::from_secs(5 * 60))) {
            Sweep::Never => None,
            Sweep::Every(interval) => Some(interval),
        }
    }

    /// Returns how often the layer asks which sessions of detached handles have ended.
    pub(crate) fn watch_every(&self) -> Duration {
        self.watch.unwrap_or(WATCH_EVERY)
    }

    /// Returns the largest number of sessions of one owner; `None` without a limit.
    pub(crate) const fn sessions_per_owner(&self) -> Option<u64> {
        self.sessions_per_owner
    }
}
