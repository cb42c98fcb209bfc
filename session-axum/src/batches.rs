//! The flash's way out: what came and was not read, and what is for the next page, becomes `Set-Cookie` headers.

use std::borrow::Cow;

use http::StatusCode;
use session_core::{
    Batch, Frame, SessionId,
    cookie::{MAX_SIZE, TooLarge},
};

use crate::{
    arrival::{FLASH_SUFFIX, Received, Suffix},
    error::Error,
    flash::changes::Consumed,
    scope::{Scope, Staged},
    settings::{FlashMode, Rings},
};

/// What this response takes away of the flash that the request brought.
pub(crate) fn consumption(scope: &Scope, status: StatusCode, saves: bool) -> Consumed {
    if scope.settings.told.flash_mode == FlashMode::NextRequest {
        return Consumed::All;
    }
    let has_page = status.is_success() || status.is_client_error();
    let bodyless = status == StatusCode::NO_CONTENT || status == StatusCode::RESET_CONTENT;
    if saves && has_page && !bodyless && !scope.is_head { Consumed::Read } else { Consumed::Nothing }
}

/// Whether the request carried messages that are gone with its response, whatever it did.
pub(crate) fn drops_flash(scope: &Scope) -> bool {
    scope.settings.told.flash_mode == FlashMode::NextRequest && !scope.incoming().batches.is_empty()
}

/// Appends the cookies that make the browser's flash what was staged.
pub(crate) fn flash_cookies(
    scope: &Scope,
    staged: &Staged,
    consumed: Consumed,
    cookies: &mut Vec<String>,
) -> Result<(), Error> {
    if let Some(error) = &staged.error {
        return Err((**error).clone());
    }
    let touched = scope.flash_was_read() || !staged.flash.added.is_empty() || drops_flash(scope);
    if scope.settings.rings.is_none() || !touched {
        return Ok(());
    }
    let mut outgoing = Outgoing { batches: Vec::new(), cookies };
    for received in &scope.incoming().batches {
        outgoing.carry(scope, received, staged.flash.rest_of(&received.batch, consumed));
    }
    outgoing.begin(scope, &staged.flash.added)?;
    outgoing.fit(scope);
    outgoing.merge(scope);
    outgoing.seal(scope)
}

/// The flash after this response, oldest first, and the cookies that are known of it.
struct Outgoing<'a, 'c> {
    batches: Vec<Leaving<'a>>,
    cookies: &'c mut Vec<String>,
}

struct Leaving<'a> {
    frame: Frame,
    batch: Cow<'a, Batch>,
    /// What its cookie takes of the room that all of them have.
    size: usize,
    /// Whether the request brought it.
    came: bool,
    /// What to seal; `None` where the browser has the cookie already.
    body: Option<Vec<u8>>,
}

impl<'a> Outgoing<'a, '_> {
    fn carry(&mut self, scope: &Scope, received: &'a Received, rest: Cow<'a, Batch>) {
        if rest.is_empty() {
            self.remove(scope, &received.frame);
            return;
        }
        let is_changed = matches!(rest, Cow::Owned(_));
        let mut leaving = Leaving { frame: received.frame, batch: rest, size: received.size, came: true, body: None };
        if is_changed {
            leaving.change(scope);
        }
        self.batches.push(leaving);
    }

    /// What is for the next page has to fit into one cookie: a form's values give way to what is wrong with them, and
    /// that to the messages.
    fn begin(&mut self, scope: &Scope, batch: &'a Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let now = scope.settings.now();
        let frame = Frame { id: SessionId::random()?, created_at: now, issued_at: now };
        let mut leaving = Leaving { frame, batch: Cow::Borrowed(batch), size: 0, came: false, body: None };
        leaving.change(scope);
        if leaving.size > MAX_SIZE {
            let batch = leaving.batch.to_mut();
            shrink_input(scope, batch, MAX_SIZE);
            if batch.shrink_errors(room(scope, MAX_SIZE)) > 0 {
                tracing::warn!(
                    "what is wrong with a form is too much for a cookie: the longest messages were left out"
                );
            }
            leaving.change(scope);
        }
        if leaving.size > MAX_SIZE {
            return Err(too_large(scope, &leaving.batch, leaving.size));
        }
        self.batches.push(leaving);
        Ok(())
    }

    /// All flash cookies together are as small as one may be. Forms of the past give way first, then the newest form's
    /// values, then the oldest batches.
    fn fit(&mut self, scope: &Scope) {
        let newest_form = self.batches.iter().rposition(|leaving| leaving.batch.has_form());
        for place in 0..newest_form.unwrap_or(0) {
            if self.size() > MAX_SIZE {
                self.drop_form(scope, place);
            }
        }
        if let (true, Some(place)) = (self.size() > MAX_SIZE, newest_form) {
            let others = self.size() - self.batches[place].size;
            let leaving = &mut self.batches[place];
            shrink_input(scope, leaving.batch.to_mut(), MAX_SIZE.saturating_sub(others));
            leaving.change(scope);
        }
        while self.size() > MAX_SIZE {
            say_dropped(scope);
            let oldest = self.batches.remove(0);
            self.remove(scope, &oldest.frame);
        }
    }

    fn drop_form(&mut self, scope: &Scope, place: usize) {
        let leaving = &mut self.batches[place];
        if leaving.batch.has_form() {
            say_dropped(scope);
            leaving.batch.to_mut().drop_form();
            leaving.change(scope);
        }
    }

    /// Many batches that came with the request become one, under the oldest one's name: two responses that do this at
    /// the same time do the same, and neither loses nor doubles a message.
    fn merge(&mut self, scope: &Scope) {
        let came = self.batches.iter().filter(|leaving| leaving.came).count();
        if came <= MOST_BATCHES {
            return;
        }
        let newer = self.batches.split_off(came);
        let mut all = std::mem::replace(&mut self.batches, newer).into_iter();
        let Some(mut merged) = all.next() else { return };
        for newer in all {
            self.remove(scope, &newer.frame);
            merged.frame = Frame { id: merged.frame.id, ..newer.frame };
            merged.batch.to_mut().absorb(newer.batch.into_owned());
        }
        merged.change(scope);
        self.batches.insert(0, merged);
    }

    fn size(&self) -> usize {
        self.batches.iter().map(|leaving| leaving.size).sum()
    }

    /// A batch's cookie goes.
    fn remove(&mut self, scope: &Scope, frame: &Frame) {
        self.cookies.push(scope.settings.flash_cookie.clear(Suffix::of(frame).as_str()));
    }

    fn seal(self, scope: &Scope) -> Result<(), Error> {
        for leaving in &self.batches {
            if let Some(body) = &leaving.body {
                self.cookies.extend(leaving.cookie(scope, body)?);
            }
        }
        Ok(())
    }
}

impl Leaving<'_> {
    /// Another cookie has to leave for it. Its body and size are known from here on.
    fn change(&mut self, scope: &Scope) {
        let Some(Rings { flash: ring, .. }) = &scope.settings.rings else { return };
        let mut body = self.frame.begin_body(128);
        self.batch.write(&mut body);
        self.size = if self.batch.is_empty() { 0 } else { name_size(scope) + ring.form().token_len(body.len()) };
        self.body = Some(body);
    }

    /// Its `Set-Cookie`; one that removes it when nothing of it is left.
    fn cookie(&self, scope: &Scope, body: &[u8]) -> Result<Option<String>, Error> {
        let Some(Rings { flash: ring, .. }) = &scope.settings.rings else { return Ok(None) };
        if self.batch.is_empty() {
            return Ok(Some(scope.settings.flash_cookie.clear(Suffix::of(&self.frame).as_str())));
        }
        let last_second = self.frame.created_at.saturating_add(scope.settings.told.flash_lifetime);
        let max_age = last_second.saturating_sub(scope.settings.now()).max(1);
        let len = ring.form().token_len(body.len());
        let seal = |text: &mut String| Ok::<_, Error>(ring.seal_onto(text, body)?);
        Ok(Some(scope.settings.flash_cookie.set_with(Suffix::of(&self.frame).as_str(), len, Some(max_age), seal)?))
    }
}

fn shrink_input(scope: &Scope, batch: &mut Batch, size: usize) {
    let dropped = batch.shrink_input(room(scope, size));
    if dropped > 0 {
        tracing::warn!(dropped, "a refused form is too large for a cookie: its largest fields were left out");
    }
}

fn say_dropped(scope: &Scope) {
    tracing::warn!(
        cookie = scope.settings.flash_cookie.name(),
        "flash messages or a form that nobody read were dropped to make room for newer ones"
    );
}

fn too_large(scope: &Scope, batch: &Batch, size: usize) -> Error {
    let entries = batch.to_entries();
    let entries = entries.iter().map(|(key, text)| (*key, text.as_str()));
    TooLarge::new(scope.settings.flash_cookie.name(), size, MAX_SIZE).naming(entries).into()
}

/// How many bytes of payload fit into a cookie of this size.
fn room(scope: &Scope, size: usize) -> usize {
    let Some(Rings { flash: ring, .. }) = &scope.settings.rings else { return 0 };
    ring.form().payload_room(size.saturating_sub(name_size(scope)))
}

fn name_size(scope: &Scope) -> usize {
    scope.settings.flash_cookie.name().len() + FLASH_SUFFIX
}

/// How many batches may stay apart.
const MOST_BATCHES: usize = 4;
