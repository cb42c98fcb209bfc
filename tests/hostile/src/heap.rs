//! Counts the bytes that a thread has allocated.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// Runs `work`, and returns its result with the most bytes that it had allocated at a time.
pub(crate) fn most<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LIVE.set(0);
    MOST.set(0);
    IS_COUNTING.set(true);
    let result = work();
    IS_COUNTING.set(false);
    (result, usize::try_from(MOST.get()).unwrap_or_default())
}

/// The system's allocator. A thread that does not count costs it one load more.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: usize) {
    if IS_COUNTING.get() {
        LIVE.set(LIVE.get() + bytes.cast_signed());
        MOST.set(MOST.get().max(LIVE.get()));
    }
}

fn remove(bytes: usize) {
    if IS_COUNTING.get() {
        LIVE.set(LIVE.get() - bytes.cast_signed());
    }
}

// SAFETY: every method hands its arguments to the system's allocator as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The old and the new memory may exist at the same time.
        add(size);
        let moved = unsafe { System.realloc(memory, layout, size) };
        remove(layout.size());
        moved
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        remove(layout.size());
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_bytes_at_a_time_are_counted() {
        let (length, most) = most(|| {
            drop(vec![0_u8; 1_000]);
            let mut kept = vec![0_u8; 600];
            kept.reserve_exact(700 - kept.len());
            kept.len()
        });
        assert_eq!((length, most), (600, 1_300));
        assert_eq!(super::most(|| 1).1, 0);
    }
}
