//! Sealed values: what opens, and what does not.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use session_axum::{Error, ErrorKind, Keys, Sealer, error::SealErrorKind, testing::ManualClock};

use crate::support::app::{NOW, OLD_SECRET, SECRET, keys};

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Invitation {
    user: u64,
    email: String,
}

fn invitation() -> Invitation {
    Invitation { user: 7, email: "ada@example.com".to_owned() }
}

/// A signing and an encrypting sealer, at a time that stands still.
fn sealers() -> [(Sealer, ManualClock); 2] {
    let timed = |change: fn(Sealer) -> Sealer| {
        let clock = ManualClock::at(NOW);
        (change(keys().sealer("invitation")).clock(clock.clone()), clock)
    };
    [timed(|sealer| sealer), timed(Sealer::encrypted)]
}

#[test]
fn a_value_opens_until_its_last_second() {
    for (sealer, clock) in sealers() {
        let text = sealer.seal(&invitation(), HOUR).unwrap();
        for seconds in [0, 3_600] {
            clock.set(NOW + seconds);
            assert_eq!(sealer.open(&text), Some(invitation()), "{seconds}");
        }
        clock.set(NOW + 3_601);
        assert_eq!(sealer.open::<Invitation>(&text), None);
        let for_ever = sealer.seal(&1, Duration::MAX).unwrap();
        clock.advance(Duration::from_secs(1_000_000_000));
        assert_eq!(sealer.open(&for_ever), Some(1));
    }
}

#[test]
fn a_value_from_the_future_does_not_open() {
    for (sealer, clock) in sealers() {
        let text = sealer.seal(&1, HOUR).unwrap();
        clock.set(NOW - 60);
        assert_eq!(sealer.open(&text), Some(1), "clocks differ");
        clock.set(NOW - 61);
        assert_eq!(sealer.open::<u8>(&text), None);
    }
}

#[test]
fn only_the_same_purpose_application_key_and_form_open_it() {
    let sealer = || keys().sealer("invitation");
    let text = sealer().seal(&7, HOUR).unwrap();
    assert_eq!(sealer().open(&text), Some(7));
    let others = [
        keys().sealer("invitation2"),
        keys().sealer(""),
        keys().sealer("value/invitation"),
        sealer().application("shop"),
        sealer().encrypted(),
        Keys::new(OLD_SECRET).unwrap().sealer("invitation"),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_eq!(other.open::<u8>(&text), None, "{index}");
        let theirs = other.seal(&7, HOUR).unwrap();
        assert_eq!((other.open(&theirs), sealer().open::<u8>(&theirs)), (Some(7), None), "{index}");
    }
    let later = Keys::new(OLD_SECRET).unwrap().with_fallback(SECRET).unwrap();
    assert_eq!(later.sealer("invitation").open(&text), Some(7), "an older secret still opens");
}

#[test]
fn every_changed_bit_and_every_cut_opens_nothing() {
    for (sealer, _) in sealers() {
        let text = sealer.seal(&7, HOUR).unwrap();
        for (index, bit) in (0..text.len()).flat_map(|index| (0..7).map(move |bit| (index, bit))) {
            let mut bytes = text.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(sealer.open::<u8>(&changed), None, "{index} {bit}");
        }
        for end in 0..text.len() {
            assert_eq!(sealer.open::<u8>(&text[..end]), None, "{end}");
        }
        for hostile in ["", ".", "1.", "....", &text.repeat(2), &"A".repeat(100_000), &format!(" {text}"), "1.\u{e4}"] {
            assert_eq!(sealer.open::<u8>(hostile), None);
        }
    }
}

#[test]
fn another_type_opens_nothing() {
    for (sealer, _) in sealers() {
        let text = sealer.seal(&invitation(), HOUR).unwrap();
        assert_eq!(sealer.open::<u64>(&text), None);
        assert_eq!(sealer.open::<Vec<String>>(&text), None);
        assert_eq!(sealer.open::<BTreeMap<String, u8>>(&text), None);
    }
}

#[test]
fn a_text_fits_into_a_url_and_has_a_longest_length() {
    for (sealer, _) in sealers() {
        let text = sealer.seal(&("\u{e4} /?&=#%", [0_u8; 32]), HOUR).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{text}");
        let sealed = |len: usize| sealer.seal(&"x".repeat(len), HOUR);
        let most = (2_000..4_096).rfind(|len| sealed(*len).is_ok()).unwrap();
        assert!((4_093..=4_096).contains(&sealed(most).unwrap().len()));
        assert_eq!(sealer.open(&sealed(most).unwrap()), Some("x".repeat(most)));
        assert_eq!(sealed(most + 1).unwrap_err().kind(), SealErrorKind::TooLong);
    }
}

#[test]
fn a_handler_can_return_the_error() {
    fn seal() -> Result<String, Error> {
        Ok(keys().sealer("x").seal(&f64::NAN, HOUR)?)
    }
    let error = seal().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Seal(SealErrorKind::Encode));
    assert_eq!(format!("{error}"), "a value could not be sealed");
    assert!(std::error::Error::source(&error).unwrap().to_string().starts_with("the value cannot be written as JSON"));
}

#[test]
fn debug_shows_nothing() {
    for (sealer, _) in sealers() {
        assert_eq!(format!("{sealer:?}"), "Sealer { .. }");
    }
}
