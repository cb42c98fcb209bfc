//! What can be written can be read back, and what cannot is refused when it is written.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use proptest::{collection, prelude::*};
use serde::{Deserialize, Serialize};
use session_axum::SessionData;
use session_core::{data::Writer, decode, encode};

use crate::support::fields::{read, saved};

/// A float that equals another only with the same bits: -0.0 is not 0.0.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Float(f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl fmt::Debug for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { write!(f, "{:?}", self.0) } else { f.write_str(NOT_FINITE) }
    }
}

const NOT_FINITE: &str = "a float that is not finite";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Meal {
    Lunch,
    Dinner,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum External {
    Empty,
    Wide(i128),
    Pair(u8, Float),
    Ages { by_id: BTreeMap<u64, Option<i8>> },
    Inner(BTreeMap<String, External>),
    List(Vec<External>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    Empty,
    Sized { ratio: Float, by_name: BTreeMap<String, i64> },
    Wrapped(Inner),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    letter: char,
    number: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Empty,
    Wide(u128),
    Maps(BTreeMap<i16, Meal>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Truth(bool),
    Number(i64),
    Text(String),
    List(Vec<Float>),
    Struct { meal: Meal },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    texts: BTreeMap<String, Option<String>>,
    integers: BTreeMap<i32, Float>,
    wide: HashMap<u128, i128>,
    truths: BTreeMap<bool, char>,
    letters: BTreeMap<char, Vec<f32>>,
    meals: HashMap<Meal, Internal>,
    set: HashSet<i64>,
    external: External,
    internal: Vec<Internal>,
    adjacent: Vec<Adjacent>,
    untagged: Vec<Untagged>,
    #[serde(flatten)]
    inner: Inner,
}

#[derive(SessionData, Debug)]
struct Kept {
    everything: Everything,
    ratio: Option<Float>,
}

fn meal() -> impl Strategy<Value = Meal> {
    prop_oneof![Just(Meal::Lunch), Just(Meal::Dinner)]
}

/// Mostly numbers, and among them subnormal ones and both zeros; sometimes what JSON does not have.
fn float() -> impl Strategy<Value = Float> {
    use proptest::num::f64::{INFINITE, NEGATIVE, NORMAL, POSITIVE, QUIET_NAN, SUBNORMAL, ZERO};

    let finite = POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO;
    prop_oneof![60 => finite, 1 => POSITIVE | NEGATIVE | INFINITE | QUIET_NAN].prop_map(Float)
}

fn inner() -> impl Strategy<Value = Inner> {
    any::<(char, u64)>().prop_map(|(letter, number)| Inner { letter, number })
}

fn external() -> impl Strategy<Value = External> {
    let leaf = prop_oneof![
        Just(External::Empty),
        any::<i128>().prop_map(External::Wide),
        (any::<u8>(), float()).prop_map(|(number, float)| External::Pair(number, float)),
        collection::btree_map(any::<u64>(), any::<Option<i8>>(), 0..3).prop_map(|by_id| External::Ages { by_id }),
    ];
    leaf.prop_recursive(8, 16, 3, |inner| {
        prop_oneof![
            collection::btree_map(any::<String>(), inner.clone(), 0..3).prop_map(External::Inner),
            collection::vec(inner, 0..3).prop_map(External::List),
        ]
    })
}

fn internal() -> impl Strategy<Value = Internal> {
    let by_name = collection::btree_map(any::<String>(), any::<i64>(), 0..3);
    prop_oneof![
        Just(Internal::Empty),
        (float(), by_name).prop_map(|(ratio, by_name)| Internal::Sized { ratio, by_name }),
        inner().prop_map(Internal::Wrapped),
    ]
}

fn adjacent() -> impl Strategy<Value = Adjacent> {
    prop_oneof![
        Just(Adjacent::Empty),
        any::<u128>().prop_map(Adjacent::Wide),
        collection::btree_map(any::<i16>(), meal(), 0..3).prop_map(Adjacent::Maps),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        any::<bool>().prop_map(Untagged::Truth),
        any::<i64>().prop_map(Untagged::Number),
        any::<String>().prop_map(Untagged::Text),
        collection::vec(float(), 0..3).prop_map(Untagged::List),
        meal().prop_map(|meal| Untagged::Struct { meal }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let maps = (
        collection::btree_map(any::<String>(), any::<Option<String>>(), 0..3),
        collection::btree_map(any::<i32>(), float(), 0..3),
        collection::hash_map(any::<u128>(), any::<i128>(), 0..3),
        collection::btree_map(any::<bool>(), any::<char>(), 0..3),
        collection::btree_map(any::<char>(), collection::vec(-1e38_f32..1e38, 0..3), 0..3),
        collection::hash_map(meal(), internal(), 0..3),
        collection::hash_set(any::<i64>(), 0..3),
    );
    let enums = (
        external(),
        collection::vec(internal(), 0..3),
        collection::vec(adjacent(), 0..3),
        collection::vec(untagged(), 0..3),
    );
    (maps, enums, inner()).prop_map(|(maps, enums, inner)| Everything {
        texts: maps.0,
        integers: maps.1,
        wide: maps.2,
        truths: maps.3,
        letters: maps.4,
        meals: maps.5,
        set: maps.6,
        external: enums.0,
        internal: enums.1,
        adjacent: enums.2,
        untagged: enums.3,
        inner,
    })
}

fn is_finite(value: &impl fmt::Debug) -> bool {
    !format!("{value:?}").contains(NOT_FINITE)
}

proptest! {
    #[test]
    fn by_key_a_value_is_read_back_or_refused(value in everything()) {
        match encode(&value) {
            Ok(text) => prop_assert_eq!(decode::<Everything>(&text).ok(), Some(value)),
            Err(error) => prop_assert!(!is_finite(&value), "{}", error),
        }
    }

    #[test]
    fn a_field_is_read_back_or_refused(everything in everything(), ratio in proptest::option::of(float())) {
        let kept = Kept { everything, ratio };
        let mut writer = Writer::new();
        kept.write(&mut writer);
        if writer.finish().is_err() {
            prop_assert!(!is_finite(&kept));
            return Ok(());
        }
        let back = read::<Kept>(&saved(&kept, "{}")).unwrap();
        prop_assert_eq!((back.everything, back.ratio), (kept.everything, kept.ratio));
    }
}

#[test]
fn nesting_is_refused_where_it_could_not_be_read() {
    let nested = |levels: usize| (0..levels).fold(External::Empty, |inner, _| External::List(vec![inner]));
    let deepest = (1..100).take_while(|levels| encode(&nested(*levels)).is_ok()).last().unwrap();
    assert_eq!(deepest, 16);
    for levels in [deepest, deepest + 1, 200] {
        match encode(&nested(levels)) {
            Ok(text) => assert_eq!(decode::<External>(&text).unwrap(), nested(levels)),
            Err(_) => assert!(levels > deepest),
        }
    }
}
