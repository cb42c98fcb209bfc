//! The fit of the flash into the browser's cookies: which parts are dropped first.

use std::borrow::Cow;

use session_core::{
    cookie::{MAX_SIZE, TooLarge},
    flash::Batch,
    token::{Frame, Ring},
};

use crate::error::Error;

/// The batches that the browser will have after a response, the oldest first.
pub(super) struct OutgoingFlash<'a> {
    pub(super) batches: Vec<OutgoingBatch<'a>>,
    /// The flash cookie's name without a suffix.
    name: &'a str,
    /// The size of a batch's cookie without its value, in bytes.
    name_size: usize,
    ring: &'a Ring,
}

/// A batch that the browser will have. An empty batch is one that the browser will lose.
pub(super) struct OutgoingBatch<'a> {
    pub(super) frame: Frame,
    pub(super) batch: Cow<'a, Batch>,
    /// The size of the batch's cookie, in bytes. All flash cookies share one limit.
    size: usize,
    /// Whether the batch came with the request.
    came: bool,
    /// The body of the token to seal; `None` if the browser already has the cookie.
    pub(super) body: Option<Vec<u8>>,
}

impl<'a> OutgoingFlash<'a> {
    pub(super) const fn new(name: &'a str, name_size: usize, ring: &'a Ring) -> Self {
        Self { batches: Vec::new(), name, name_size, ring }
    }

    /// Adds the rest of a batch that came in a cookie of `size` bytes.
    pub(super) fn keep(&mut self, frame: Frame, size: usize, rest: Cow<'a, Batch>) {
        let is_changed = matches!(rest, Cow::Owned(_));
        self.batches.push(OutgoingBatch { frame, batch: rest, size, came: true, body: None });
        if is_changed {
            self.reseal(self.batches.len() - 1);
        }
    }

    /// Adds messages of a former place. They get a cookie of this layer.
    pub(super) fn move_in(&mut self, frame: Frame, batch: Batch) {
        self.batches.push(OutgoingBatch { frame, batch: Cow::Owned(batch), size: 0, came: true, body: None });
        self.reseal(self.batches.len() - 1);
    }

    /// Adds the messages and the form for the next page. They have to fit into one cookie: a form's values are dropped
    /// before its errors. The messages alone may have half of a cookie, and are an error if they have more.
    pub(super) fn add_new(&mut self, frame: Frame, batch: &'a Batch) -> Result<(), Error> {
        let place = self.batches.len();
        self.batches.push(OutgoingBatch { frame, batch: Cow::Borrowed(batch), size: 0, came: false, body: None });
        self.reseal(place);
        if self.batches[place].size > MOST_OF_MESSAGES {
            self.check_messages(batch)?;
        }
        if self.batches[place].size > MAX_SIZE {
            let room = self.room(MAX_SIZE);
            let batch = self.batches[place].batch.to_mut();
            shrink_input(batch, room);
            let dropped = batch.shrink_errors(room);
            if dropped > 0 {
                tracing::warn!(
                    name: "flash.errors_dropped", target: "session_axum::flash",
                    dropped, "a form's errors are too large for a cookie: the longest messages were left out"
                );
            }
            self.reseal(place);
        }
        Ok(())
    }

    /// Checks the size of a cookie with the messages of a response, without its form.
    fn check_messages(&self, batch: &Batch) -> Result<(), Error> {
        let messages = Batch { messages: batch.messages.clone(), ..Batch::default() };
        let size = self.name_size + self.ring.protection().token_len_of_payload(messages.size());
        if size <= MOST_OF_MESSAGES {
            return Ok(());
        }
        let entries = messages.to_entries();
        let entries = entries.iter().map(|(key, text)| (*key, text.as_str()));
        Err(TooLarge::new(self.name, size, MOST_OF_MESSAGES).naming(entries).into())
    }

    /// Makes all flash cookies together fit into the size of one. Older forms are dropped first, then the newest form's
    /// values, then the oldest batches.
    pub(super) fn fit(&mut self) {
        let newest_form = self.batches.iter().rposition(|outgoing| outgoing.batch.has_form());
        for place in 0..newest_form.unwrap_or(0) {
            if self.size() > MAX_SIZE && self.batches[place].batch.has_form() {
                self.log_dropped();
                self.batches[place].batch.to_mut().drop_form();
                self.reseal(place);
            }
        }
        if let (true, Some(place)) = (self.size() > MAX_SIZE, newest_form) {
            let others = self.size() - self.batches[place].size;
            let room = self.room(MAX_SIZE.saturating_sub(others));
            shrink_input(self.batches[place].batch.to_mut(), room);
            self.reseal(place);
        }
        while self.size() > MAX_SIZE {
            self.log_dropped();
            let Some(oldest) = self.batches.iter_mut().find(|outgoing| outgoing.size > 0) else { return };
            oldest.remove();
        }
    }

    /// Joins the batches that came with the request into one if there are too many. The joined batch has the name of
    /// the oldest. Two responses that do this at the same time do the same, so that no message is lost or doubled.
    pub(super) fn merge(&mut self) {
        let came = |outgoing: &OutgoingBatch<'_>| outgoing.came && outgoing.size > 0;
        if self.batches.iter().filter(|outgoing| came(outgoing)).count() <= MOST_BATCHES {
            return;
        }
        let Some(first) = self.batches.iter().position(came) else { return };
        for place in first + 1..self.batches.len() {
            if came(&self.batches[place]) {
                let newer = self.batches[place].remove();
                let frame = self.batches[place].frame;
                let merged = &mut self.batches[first];
                merged.frame = Frame { id: merged.frame.id, ..frame };
                merged.batch.to_mut().absorb(newer.into_owned());
            }
        }
        self.reseal(first);
    }

    /// Makes the body of a batch's new cookie, and notes its size.
    fn reseal(&mut self, place: usize) {
        let (ring, name_size) = (self.ring, self.name_size);
        let outgoing = &mut self.batches[place];
        if outgoing.batch.is_empty() {
            outgoing.remove();
            return;
        }
        let mut body = outgoing.frame.begin_body(128);
        outgoing.batch.write(&mut body);
        outgoing.size = name_size + ring.protection().token_len(body.len());
        outgoing.body = Some(body);
    }

    fn size(&self) -> usize {
        self.batches.iter().map(|outgoing| outgoing.size).sum()
    }

    /// Returns how many bytes of payload fit into a cookie of `size` bytes.
    fn room(&self, size: usize) -> usize {
        self.ring.protection().payload_room(size.saturating_sub(self.name_size))
    }

    fn log_dropped(&self) {
        tracing::warn!(
            name: "flash.unread_dropped", target: "session_axum::flash",
            cookie = self.name,
            "flash messages or a form that no page has read were dropped to make room for newer ones"
        );
    }
}

impl<'a> OutgoingBatch<'a> {
    /// Takes the content out of the batch, so that the browser loses the cookie.
    fn remove(&mut self) -> Cow<'a, Batch> {
        self.size = 0;
        self.body = Some(Vec::new());
        std::mem::replace(&mut self.batch, Cow::Owned(Batch::default()))
    }
}

fn shrink_input(batch: &mut Batch, room: usize) {
    let dropped = batch.shrink_input(room);
    if dropped > 0 {
        tracing::warn!(
            name: "flash.fields_dropped", target: "session_axum::flash",
            dropped, "a refused form is too large for a cookie: its largest fields were left out"
        );
    }
}

/// The largest number of batches that stay separate.
const MOST_BATCHES: usize = 4;
/// The largest cookie for the messages of one response, name and value, in bytes.
pub(crate) const MOST_OF_MESSAGES: usize = MAX_SIZE / 2;
