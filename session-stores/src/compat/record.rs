//! A record of tower-sessions, as its stores write it: `MessagePack` of the id, the values and the time of expiry.

use std::{collections::HashMap, io::Cursor};

use rmp_serde::Deserializer;
use serde::Deserialize as _;
use serde_json::Value;

use super::cookie_id::Id;

/// The values of a session, and its last second.
pub(super) struct FormerRecord {
    pub(super) values: HashMap<String, Value>,
    /// The last second in which the session is alive.
    pub(super) last_second: i64,
}

impl FormerRecord {
    /// Decodes a record. Returns `None` if the bytes are not the record of this id.
    pub(super) fn decode(bytes: &[u8], id: &Id) -> Option<Self> {
        if bytes.len() > MOST_BYTES {
            return None;
        }
        let mut bytes = Deserializer::new(Cursor::new(bytes));
        bytes.set_max_depth(MOST_DEPTH);
        let (number, values, expiry): (i128, HashMap<String, Value>, Expiry) = <_>::deserialize(&mut bytes).ok()?;
        // A database may compare ids without regard to case.
        (number == id.number()).then(|| Self { values, last_second: last_second(expiry) })
    }
}

/// The time of expiry as the crate `time` writes it: year, day of the year, hour, minute, second, nanosecond, and the
/// hours, minutes and seconds of the offset.
type Expiry = (i32, u16, u8, u8, u8, u32, i8, i8, i8);

/// Returns the last second that is before the time of expiry.
fn last_second((year, day, hour, minute, second, nanosecond, hours, minutes, seconds): Expiry) -> i64 {
    let years = i64::from(year) - 1;
    let days = years * 365 + years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400) + i64::from(day) - 1;
    let in_seconds = |hours: i64, minutes: i64, seconds: i64| hours * 3_600 + minutes * 60 + seconds;
    let time = in_seconds(hour.into(), minute.into(), second.into());
    let offset = in_seconds(hours.into(), minutes.into(), seconds.into());
    (days - DAYS_BEFORE_1970) * 86_400 + time - offset - i64::from(nanosecond == 0)
}

const DAYS_BEFORE_1970: i64 = 719_162;

/// The largest record that is read: 1 MiB.
const MOST_BYTES: usize = 1 << 20;

/// How deep values may be nested. `serde_json` reads 128 levels.
const MOST_DEPTH: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};
    use serde_json::{Value, json};

    use super::{super::cookie_id::Id, Expiry, FormerRecord, last_second};

    fn id() -> Id {
        Id::parse("AQAAAAAAAAAAAAAAAAAAAA").expect("an id")
    }

    fn bytes(number: i128, values: &Value, expiry: Expiry) -> Vec<u8> {
        rmp_serde::to_vec(&(number, values, expiry)).expect("MessagePack")
    }

    const EXPIRY: Expiry = (2027, 1, 0, 0, 0, 0, 0, 0, 0);

    #[test]
    fn a_record_is_read() {
        let values = json!({ "a": 1, "b": { "c": [null, true, -1, 1.5, "é", u64::MAX] } });
        let record = FormerRecord::decode(&bytes(1, &values, EXPIRY), &id()).expect("a record");
        assert_eq!(json!(record.values), values);
        assert_eq!(record.last_second, 1_798_761_599);
    }

    #[test]
    fn the_last_second_is_before_the_expiry() {
        assert_eq!(last_second((1970, 1, 0, 0, 1, 0, 0, 0, 0)), 0);
        assert_eq!(last_second((1970, 1, 0, 0, 1, 1, 0, 0, 0)), 1);
        assert_eq!(last_second((2024, 366, 23, 59, 59, 5, 0, 0, 0)), 1_735_689_599);
        assert_eq!(last_second((2025, 1, 1, 30, 0, 5, 1, 30, 0)), 1_735_689_600);
        assert_eq!(last_second((9999, 365, 23, 59, 59, 0, 0, 0, 0)), 253_402_300_798);
        assert!(last_second((i32::MIN, 0, 0, 0, 0, 0, i8::MAX, i8::MAX, i8::MAX)) < 0);
        assert!(last_second((i32::MAX, u16::MAX, u8::MAX, u8::MAX, u8::MAX, 0, i8::MIN, i8::MIN, i8::MIN)) > 0);
    }

    #[test]
    fn the_record_of_another_id_is_none() {
        assert!(FormerRecord::decode(&bytes(2, &json!({}), EXPIRY), &id()).is_none());
    }

    #[test]
    fn a_record_that_is_too_deep_or_too_large_is_none() {
        let deep = |levels| {
            let value = (0..levels).fold(json!(1), |inner, _| json!([inner]));
            FormerRecord::decode(&bytes(1, &json!({ "deep": value }), EXPIRY), &id())
        };
        assert!(deep(100).is_some());
        assert!(deep(200).is_none());
        let large = |length| {
            let values = json!({ "large": "x".repeat(length) });
            FormerRecord::decode(&bytes(1, &values, EXPIRY), &id())
        };
        assert!(large(1_000_000).is_some());
        assert!(large(1 << 20).is_none());
        // Endless arrays inside of each other, without an end.
        assert!(FormerRecord::decode(&vec![0xdd; 1 << 20], &id()).is_none());
    }

    #[test]
    fn a_record_that_was_cut_is_none() {
        let whole = bytes(1, &json!({ "a": ["b", { "c": 1 }] }), EXPIRY);
        for end in 0..whole.len() {
            assert!(FormerRecord::decode(&whole[..end], &id()).is_none(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FormerRecord::decode(&bytes, &id());
        }

        #[test]
        fn no_changed_byte_panics(at in 0usize..40, byte in any::<u8>()) {
            let mut bytes = bytes(1, &json!({ "a": ["b", { "c": 1 }] }), EXPIRY);
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
            let read = FormerRecord::decode(&bytes, &id());
            prop_assert!(read.is_none_or(|record| record.values.len() <= 1));
        }
    }
}
