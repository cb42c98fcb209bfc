//! A list of a few items that takes no allocation.

/// A list of at most `N` items. Further items are left out, so that a flood of cookies costs no more than a few
/// cookies.
pub(super) struct Few<T, const N: usize> {
    items: [Option<T>; N],
    is_over: bool,
}

impl<T: Copy, const N: usize> Few<T, N> {
    pub(super) const fn new() -> Self {
        Self { items: [None; N], is_over: false }
    }

    pub(super) fn push(&mut self, item: T) {
        match self.items.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(item),
            None => self.is_over = true,
        }
    }

    /// Returns whether an item was left out.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().flatten()
    }
}
