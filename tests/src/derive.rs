//! What `#[derive(SessionData)]` reads and writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use session_axum::SessionData;

use crate::support::fields::{keys, read, saved, unreadable};

#[derive(SessionData, Debug, PartialEq)]
struct Visitor {
    name: Option<String>,
    #[session(default)]
    visits: u32,
}

#[test]
fn fields_are_keys_of_the_session() {
    let visitor = read::<Visitor>(r#"{"name":"Ada","other":true,"visits":3}"#).unwrap();
    assert_eq!(visitor, Visitor { name: Some("Ada".into()), visits: 3 });
    assert_eq!(saved(&visitor, "{}"), r#"{"name":"Ada","visits":3}"#);
    assert_eq!(Visitor::KEYS, ["name", "visits"]);
    assert_eq!(Visitor::REDIRECT, None);
}

#[test]
fn an_empty_session_has_none_and_the_default() {
    assert_eq!(read::<Visitor>("{}"), Ok(Visitor { name: None, visits: 0 }));
}

#[test]
fn none_removes_the_key_and_leaves_the_others() {
    let guest = Visitor { name: None, visits: 4 };
    assert_eq!(saved(&guest, r#"{"name":"Ada","other":1.0e2,"visits":3}"#), r#"{"other":1.0e2,"visits":4}"#);
}

#[test]
fn what_cannot_be_decoded_counts_as_missing() {
    let session = r#"{"name":"Ada","visits":"many"}"#;
    assert_eq!(read::<Visitor>(session).unwrap().visits, 0);
    assert_eq!(unreadable::<Visitor>(session), ["visits"]);
}

#[derive(SessionData, Debug)]
#[session(prefix = "user.", redirect = "/login")]
struct User {
    email: String,
    #[session(rename = "since")]
    member_since: u64,
}

#[test]
fn a_required_field_that_is_missing_is_named_by_its_key() {
    assert_eq!(read::<User>(r#"{"user.email":"ada@example.com"}"#).unwrap_err().key(), "user.since");
    assert_eq!(read::<User>(r#"{"email":"ada@example.com"}"#).unwrap_err().key(), "user.email");
    assert_eq!(User::REDIRECT, Some("/login"));
}

#[test]
fn a_prefix_precedes_names_and_renames() {
    let user = User { email: "ada@example.com".into(), member_since: 1843 };
    assert_eq!(saved(&user, "{}"), r#"{"user.email":"ada@example.com","user.since":1843}"#);
    assert_eq!(User::KEYS, ["user.email", "user.since"]);
}

#[derive(SessionData, Debug)]
#[session(prefix = "user.")]
struct Renamed {
    #[session(alias = "name", alias = "user.login")]
    nickname: String,
}

#[test]
fn an_alias_is_a_whole_key_read_when_the_name_is_absent_and_removed_when_written() {
    let old = r#"{"name":"ada","user.login":"al"}"#;
    assert_eq!(read::<Renamed>(old).unwrap().nickname, "ada");
    assert_eq!(read::<Renamed>(r#"{"name":"ada","user.nickname":"countess"}"#).unwrap().nickname, "countess");
    assert_eq!(saved(&Renamed { nickname: "a".into() }, old), r#"{"user.nickname":"a"}"#);
    assert_eq!(Renamed::KEYS, ["user.nickname", "name", "user.login"]);
}

macro_rules! cases {
    ($($case:literal $name:ident $keys:expr;)*) => {$(
        #[derive(SessionData)]
        #[session(rename_all = $case)]
        struct $name {
            id: u8,
            first_name: String,
            r#type: String,
            #[session(rename = "as_it_is")]
            renamed: u8,
        }

        assert_eq!($name::KEYS, $keys, $case);
    )*};
}

#[test]
fn rename_all_takes_the_cases_of_serde() {
    cases! {
        "lowercase" Lower ["id", "first_name", "type", "as_it_is"];
        "UPPERCASE" Upper ["ID", "FIRST_NAME", "TYPE", "as_it_is"];
        "PascalCase" Pascal ["Id", "FirstName", "Type", "as_it_is"];
        "camelCase" Camel ["id", "firstName", "type", "as_it_is"];
        "snake_case" Snake ["id", "first_name", "type", "as_it_is"];
        "SCREAMING_SNAKE_CASE" ScreamingSnake ["ID", "FIRST_NAME", "TYPE", "as_it_is"];
        "kebab-case" Kebab ["id", "first-name", "type", "as_it_is"];
        "SCREAMING-KEBAB-CASE" ScreamingKebab ["ID", "FIRST-NAME", "TYPE", "as_it_is"];
    }
}

/// Neither serde nor `Default`.
#[derive(Debug, PartialEq)]
struct Connection(u8);

#[derive(SessionData, Debug, PartialEq)]
struct Defaults {
    #[session(default = Self::START)]
    start: u32,
    #[session(default = vec!["en".to_owned()])]
    languages: Vec<String>,
    #[session(skip)]
    cache: BTreeMap<String, u8>,
    #[session(skip, default = Connection(7))]
    connection: Connection,
}

impl Defaults {
    const START: u32 = 12;
}

#[test]
fn a_default_is_any_expression_and_skipped_fields_stay_outside() {
    let defaults = read::<Defaults>(r#"{"cache":{"a":1},"start":"?"}"#).unwrap();
    assert_eq!(
        defaults,
        Defaults { start: 12, languages: vec!["en".to_owned()], cache: BTreeMap::new(), connection: Connection(7) }
    );
    assert_eq!(saved(&defaults, r#"{"cache":1}"#), r#"{"cache":1,"languages":["en"],"start":12}"#);
    assert_eq!(Defaults::KEYS, ["start", "languages"]);
}

#[derive(SessionData, Debug, PartialEq)]
#[session(prefix = "address.", rename_all = "UPPERCASE")]
struct Address {
    street: String,
    city: Option<String>,
}

#[derive(SessionData, Debug, PartialEq)]
#[session(prefix = "order.")]
struct Order {
    number: u32,
    #[session(flatten)]
    address: Address,
}

#[test]
fn a_flattened_struct_keeps_its_own_keys_and_prefix() {
    let session = r#"{"address.STREET":"St James's Square","order.number":5}"#;
    let order = read::<Order>(session).unwrap();
    assert_eq!(order.address, Address { street: "St James's Square".into(), city: None });
    assert_eq!(saved(&order, "{}"), session);
    assert_eq!(Order::KEYS, ["order.number"]);
    assert_eq!(read::<Order>(r#"{"order.number":5}"#).unwrap_err().key(), "address.STREET");
}

#[derive(SessionData, Debug, PartialEq)]
struct Page<T, P, const N: usize = 2>
where
    P: Clone,
{
    items: Vec<T>,
    #[session(default)]
    chosen: Option<T>,
    #[session(skip)]
    first: T,
    row: Row<N>,
    #[session(flatten)]
    rest: P,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Row<const N: usize>(u8);

#[derive(SessionData, Clone, Debug, PartialEq)]
struct Rest {
    total: u64,
}

#[test]
fn generics_ask_for_what_their_fields_need() {
    let page = read::<Page<u8, Rest>>(r#"{"items":[1,2],"row":3,"total":9}"#).unwrap();
    assert_eq!(page, Page { items: vec![1, 2], chosen: None, first: 0, row: Row(3), rest: Rest { total: 9 } });
    assert_eq!(saved(&page, "{}"), r#"{"items":[1,2],"row":3,"total":9}"#);
    assert_eq!(<Page<u8, Rest>>::KEYS, ["items", "chosen", "row"]);
}

#[derive(SessionData, Debug, PartialEq)]
struct Empty {}

#[test]
fn a_struct_without_fields_reads_every_session_and_writes_nothing() {
    assert_eq!(read::<Empty>(r#"{"a":1}"#), Ok(Empty {}));
    assert_eq!(saved(&Empty {}, r#"{"a":1}"#), r#"{"a":1}"#);
    assert_eq!(Empty::KEYS, [""; 0]);
}

#[test]
fn names_of_a_users_module_are_not_mistaken_for_ours() {
    let odd = read::<hygiene::Odd<u8>>(r#"{"fields":1,"key":2,"self_":3,"type":4}"#).unwrap();
    assert_eq!((odd.fields, odd.key, odd.self_, odd.r#type, odd.default), (1, 2, 3, 4, 40));
    assert_eq!(
        keys(&saved(&odd, "{}")),
        ["braces", "call", "default", "fields", "key", "private", "self_", "type", "words"]
    );
}

/// Everything shadowed, everything denied.
#[deny(warnings, missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::nursery)]
#[no_implicit_prelude]
mod hygiene {
    #![allow(non_camel_case_types, non_upper_case_globals, dead_code, reason = "what stands in the way")]

    use ::serde::{Deserialize, Serialize};
    use ::session_axum::SessionData as Derive;

    struct Result;
    struct Option;
    struct String;
    struct Some;
    struct Ok;
    struct Default;
    struct str;
    struct SessionData;
    struct SessionField;
    struct Reader;
    struct Writer;
    struct MissingField;
    mod session_axum {}
    mod core {}

    const fields: u32 = 40;

    /// A type that nobody else sees, in a struct that everybody does.
    #[derive(Serialize, Deserialize, ::core::default::Default)]
    struct Private<T>(T);

    const fn one() -> u8 {
        1
    }

    #[derive(Derive)]
    #[deprecated]
    struct Old {
        #[session(flatten)]
        older: Older,
    }

    #[derive(Derive)]
    struct Older {}

    /// A struct with difficult names.
    #[derive(Derive)]
    #[session(redirect = "/odd")]
    pub(super) struct Odd<T> {
        /// Called as our argument.
        pub(super) fields: T,
        /// Called as a parameter.
        pub(super) key: u8,
        /// Nearly a keyword.
        pub(super) self_: u8,
        /// A keyword.
        pub(super) r#type: u8,
        /// Not ours, but the constant of this module.
        #[session(default = fields)]
        pub(super) default: u32,
        /// A field that warns whom it meets.
        #[deprecated]
        #[session(default)]
        pub(super) words: ::std::vec::Vec<::std::string::String>,
        #[session(default)]
        private: Private<T>,
        #[session(default = { 1 })]
        braces: u8,
        #[session(default = one())]
        call: u8,
        #[session(skip, default = one())]
        skipped: u8,
    }
}

/// A framework that ships us under its own name.
mod framework {
    pub(crate) mod session {
        pub(crate) use session_axum::__private;
    }
}

#[derive(SessionData, Debug)]
#[session(crate = "crate::derive::framework::session")]
struct Elsewhere {
    name: String,
}

#[test]
fn the_crate_may_have_another_name() {
    assert_eq!(read::<Elsewhere>(r#"{"name":"Ada"}"#).unwrap().name, "Ada");
}
