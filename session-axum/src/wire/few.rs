//! A list of a few items. A single item takes no allocation.

/// A list of at most `N` items. Further items are left out, so that a flood of cookies costs no more than a few
/// cookies.
pub(super) struct Few<T, const N: usize> {
    first: Option<T>,
    others: Vec<T>,
    is_over: bool,
}

impl<T, const N: usize> Few<T, N> {
    pub(super) const fn new() -> Self {
        Self { first: None, others: Vec::new(), is_over: false }
    }

    pub(super) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else if self.others.len() + 1 < N {
            self.others.push(item);
        } else {
            self.is_over = true;
        }
    }

    /// Returns whether an item was left out.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.others)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.others)
    }
}
