//! The programs in the README and in `docs` compile, and those that end are run.

#[doc = include_str!("../../README.md")]
struct Readme;

#[doc = include_str!("../../docs/configuration.md")]
struct Configuration;

#[doc = include_str!("../../docs/forms.md")]
struct Forms;

#[doc = include_str!("../../docs/stores.md")]
struct Stores;

#[doc = include_str!("../../session-axum/README.md")]
struct AxumReadme;

#[doc = include_str!("../../session-core/README.md")]
struct CoreReadme;

#[doc = include_str!("../../session-macros/README.md")]
struct MacrosReadme;

#[doc = include_str!("../../session-macros/src/examples.md")]
struct DeriveExamples;

#[doc = include_str!("../../session-stores/README.md")]
struct StoresReadme;
