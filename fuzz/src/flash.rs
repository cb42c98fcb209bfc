//! A flash batch: read, written and read again.

use session_core::{flash::Batch, store::Entries};

/// Reads the payload of a flash cookie.
///
/// # Panics
///
/// Panics if a batch is another one after it was written, or if shrinking leaves more than there is room.
pub fn run(data: &[u8]) {
    let Ok(entries) = Entries::parse(data.to_vec()) else { return };
    let Ok(batch) = Batch::of(&entries) else { return };
    let again = written(&batch);
    assert!(again == batch, "another batch after it was written");
    assert_eq!(written(&again).size(), again.size());

    let room = data.len() / 2;
    let mut smaller = batch.clone();
    smaller.shrink_input(room);
    smaller.shrink_errors(room);
    assert!(smaller.size() <= batch.size().max(room) + 1_024, "shrinking made it larger");
    let mut absorbed = batch.clone();
    absorbed.absorb(batch.clone());
    written(&absorbed);
}

fn written(batch: &Batch) -> Batch {
    let mut payload = Vec::new();
    batch.write(&mut payload);
    let entries = Entries::parse(payload).expect("what was written can be read");
    Batch::of(&entries).expect("what was written is a batch")
}
