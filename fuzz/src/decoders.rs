//! The decoders of former systems.
//!
//! The first byte chooses a setting of the decoder, and whether the rest is a content, which is signed and put into a
//! cookie, or a whole `Cookie` header.

use std::{collections::HashMap, thread_local};

use session_core::former::FormerCookies;
use session_hostile::subjects::{self, Subject};

thread_local! {
    static SUBJECTS: HashMap<&'static str, Vec<Decoder>> = {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for subject in subjects::all().expect("the keys are good") {
            let name = subject.name.split_once('-').map_or(subject.name, |(name, _)| match name {
                "gorilla" => name,
                _ => subject.name,
            });
            all.entry(name).or_default().push(Decoder::new(subject));
        }
        all
    };
}

struct Decoder {
    subject: Subject,
    /// The cookies that are authentic.
    sealed: Vec<Vec<u8>>,
}

impl Decoder {
    fn new(subject: Subject) -> Self {
        let sealed = subject.contents.iter().map(|content| (subject.seal)(content)).collect();
        Self { subject, sealed }
    }
}

/// Returns contents that the decoder named so reads, each with the bytes before it.
#[must_use]
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    SUBJECTS.with(|all| {
        let decoders = all.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut seeds = Vec::new();
        for (number, Decoder { subject, sealed }) in decoders.iter().enumerate() {
            let choice = u8::try_from(number).unwrap_or_default() << 1;
            seeds.extend(subject.contents.iter().map(|content| [&[choice], &content[..]].concat()));
            let header = |value: &Vec<u8>| [subject.cookie.as_bytes(), b"=", value].concat();
            seeds.extend(sealed.iter().map(|value| [&[choice | 1], &header(value)[..]].concat()));
            seeds.extend(
                subject.flash.iter().map(|(name, value)| [&[choice | 1], name.as_bytes(), b"=", &value[..]].concat()),
            );
        }
        seeds
    })
}

/// Decodes the cookies.
///
/// # Panics
///
/// Panics if the decoder reads a session that was not signed.
pub fn run(name: &str, data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    SUBJECTS.with(|all| {
        let decoders = &all[name];
        let Decoder { subject, sealed } = &decoders[usize::from(choice >> 1) % decoders.len()];
        let is_content = choice & 1 == 0;
        let header =
            if is_content { [subject.cookie.as_bytes(), b"=", &(subject.seal)(rest)].concat() } else { rest.to_vec() };
        let headers = [&header[..]];
        let cookies = FormerCookies::new(&headers);
        let former = subject.decode(cookies);
        if former.session.is_some() && !is_content {
            let is_authentic = cookies.values(subject.cookie).any(|value| sealed.iter().any(|one| one == value));
            assert!(is_authentic, "a session that was not signed");
        }
    });
}
