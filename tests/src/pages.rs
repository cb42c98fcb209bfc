//! The programs in the README and in `docs` compile, and those that end are run.

#[doc = include_str!("../../README.md")]
struct Readme;

#[doc = include_str!("../../docs/forms.md")]
struct Forms;

#[doc = include_str!("../../docs/stores.md")]
struct Stores;
