//! The hash of a session id.

use std::hash::{BuildHasher, Hasher};

/// A hasher that folds the bytes of an id. Ids are random, and a client cannot choose one, because cookies are signed.
#[derive(Clone, Copy, Default)]
pub(super) struct ById;

impl BuildHasher for ById {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(0)
    }
}

pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for half in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..half.len()].copy_from_slice(half);
            let product = u128::from(self.0 ^ u64::from_le_bytes(word)) * u128::from(ODD);
            self.0 = (product as u64) ^ (product >> 64) as u64;
        }
    }

    /// Ignores the length, which is always 16.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The multiplier that mixes the bits of an id, so that similar ids get different hashes: 2^64 divided by the golden
/// ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
