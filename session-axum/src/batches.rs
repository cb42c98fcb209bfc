//! The flash's way out: what came and was not read, and what is for the next page, becomes `Set-Cookie` headers.

use http::StatusCode;
use session_core::{
    Batch, Frame, SessionId,
    cookie::{MAX_SIZE, TooLarge},
};

use crate::{
    arrival::{FLASH_SUFFIX, Received, flash_suffix},
    error::Error,
    flash::changes::{Consumed, Fate},
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

/// The cookies that make the browser's flash what was staged.
pub(crate) fn flash_cookies(scope: &Scope, staged: &Staged, consumed: Consumed) -> Result<Vec<String>, Error> {
    if let Some(error) = &staged.error {
        return Err(error.clone());
    }
    let touched = scope.flash_was_read() || !staged.flash.added.is_empty() || drops_flash(scope);
    if scope.settings.rings.is_none() || !touched {
        return Ok(Vec::new());
    }
    let mut outgoing = Outgoing::default();
    for received in &scope.incoming().batches {
        let untouched = consumed == Consumed::Nothing && staged.flash.fate == Fate::Open;
        let rest = if untouched { received.batch.clone() } else { staged.flash.rest_of(&received.batch, consumed) };
        outgoing.carry(scope, received, rest);
    }
    outgoing.begin(scope, staged.flash.added.clone())?;
    outgoing.fit(scope);
    outgoing.merge(scope);
    outgoing.cookies(scope)
}

/// The flash cookies after this response, oldest first.
#[derive(Default)]
struct Outgoing {
    batches: Vec<Leaving>,
    /// Suffixes of cookies that go.
    gone: Vec<String>,
}

struct Leaving {
    frame: Frame,
    batch: Batch,
    /// What its cookie takes of the room that all of them have.
    size: usize,
    /// Whether the request brought it.
    came: bool,
    /// Whether the browser has another cookie for it, or none.
    is_changed: bool,
}

impl Outgoing {
    fn carry(&mut self, scope: &Scope, received: &Received, rest: Batch) {
        if rest.is_empty() {
            self.gone.push(flash_suffix(&received.frame));
            return;
        }
        let is_changed = rest != received.batch;
        let size = if is_changed { size(scope, received.frame, &rest) } else { received.size };
        self.batches.push(Leaving { frame: received.frame, batch: rest, size, came: true, is_changed });
    }

    /// What is for the next page has to fit into one cookie: a form's values give way to what is wrong with them, and
    /// that to the messages.
    fn begin(&mut self, scope: &Scope, mut batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let now = scope.settings.now();
        let frame = Frame { id: SessionId::random()?, created_at: now, issued_at: now };
        shrink_input(scope, &mut batch, MAX_SIZE);
        if batch.shrink_errors(room(scope, MAX_SIZE)) > 0 {
            tracing::warn!("what is wrong with a form is too much for a cookie: the longest messages were left out");
        }
        let size = size(scope, frame, &batch);
        if size > MAX_SIZE {
            return Err(too_large(scope, &batch, size));
        }
        self.batches.push(Leaving { frame, batch, size, came: false, is_changed: true });
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
            shrink_input(scope, &mut leaving.batch, MAX_SIZE.saturating_sub(others));
            leaving.change(scope);
        }
        while self.size() > MAX_SIZE {
            say_dropped(scope);
            self.gone.push(flash_suffix(&self.batches.remove(0).frame));
        }
    }

    fn drop_form(&mut self, scope: &Scope, place: usize) {
        let leaving = &mut self.batches[place];
        if leaving.batch.has_form() {
            say_dropped(scope);
            leaving.batch.drop_form();
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
        let mut all = self.batches.drain(..came);
        let Some(mut merged) = all.next() else { return };
        for newer in all {
            self.gone.push(flash_suffix(&newer.frame));
            merged.frame = Frame { id: merged.frame.id, ..newer.frame };
            merged.batch.absorb(newer.batch);
        }
        merged.change(scope);
        self.batches.insert(0, merged);
    }

    fn size(&self) -> usize {
        self.batches.iter().map(|leaving| leaving.size).sum()
    }

    fn cookies(self, scope: &Scope) -> Result<Vec<String>, Error> {
        let spec = &scope.settings.flash_cookie;
        let mut cookies: Vec<String> = self.gone.iter().map(|suffix| spec.clear(suffix)).collect();
        for leaving in self.batches.iter().filter(|leaving| leaving.is_changed) {
            cookies.extend(leaving.cookie(scope)?);
        }
        Ok(cookies)
    }
}

impl Leaving {
    fn change(&mut self, scope: &Scope) {
        self.is_changed = true;
        self.size = if self.batch.is_empty() { 0 } else { size(scope, self.frame, &self.batch) };
    }

    /// Its `Set-Cookie`; one that removes it when nothing of it is left.
    fn cookie(&self, scope: &Scope) -> Result<Option<String>, Error> {
        let Some(Rings { flash: ring, .. }) = &scope.settings.rings else { return Ok(None) };
        if self.batch.is_empty() {
            return Ok(Some(scope.settings.flash_cookie.clear(&flash_suffix(&self.frame))));
        }
        let last_second = self.frame.created_at.saturating_add(scope.settings.told.flash_lifetime);
        let max_age = last_second.saturating_sub(scope.settings.now()).max(1);
        let body = body(self.frame, &self.batch);
        let len = ring.form().token_len(body.len());
        let seal = |text: &mut String| Ok::<_, Error>(ring.seal_onto(text, &body)?);
        Ok(Some(scope.settings.flash_cookie.set_with(&flash_suffix(&self.frame), len, Some(max_age), seal)?))
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

/// How many bytes the name and the value of a batch's cookie have.
fn size(scope: &Scope, frame: Frame, batch: &Batch) -> usize {
    let Some(Rings { flash: ring, .. }) = &scope.settings.rings else { return 0 };
    name_size(scope) + ring.form().token_len(body(frame, batch).len())
}

fn body(frame: Frame, batch: &Batch) -> Vec<u8> {
    let mut body = frame.begin_body(256);
    batch.write(&mut body);
    body
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
