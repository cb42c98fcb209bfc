//! The programs in the README and in `docs` compile, and those that end are run.

#[doc = include_str!("../../README.md")]
struct Readme;

#[doc = include_str!("../../docs/beyond-requests.md")]
struct BeyondRequests;

#[doc = include_str!("../../docs/comparison.md")]
struct Comparison;

#[doc = include_str!("../../docs/configuration.md")]
struct Configuration;

#[doc = include_str!("../../docs/cookbook.md")]
struct Cookbook;

#[doc = include_str!("../../docs/deployment.md")]
struct Deployment;

#[doc = include_str!("../../docs/forms.md")]
struct Forms;

#[doc = include_str!("../../docs/from-buffalo.md")]
struct FromBuffalo;

#[doc = include_str!("../../docs/from-play.md")]
struct FromPlay;

#[doc = include_str!("../../docs/from-revel.md")]
struct FromRevel;

#[doc = include_str!("../../docs/from-tower-sessions.md")]
struct FromTowerSessions;

#[doc = include_str!("../../docs/getting-started.md")]
struct GettingStarted;

#[doc = include_str!("../../docs/glossary.md")]
struct Glossary;

#[doc = include_str!("../../docs/migrating.md")]
struct Migrating;

#[doc = include_str!("../../docs/observability.md")]
struct Observability;

#[doc = include_str!("../../docs/stores.md")]
struct Stores;

#[doc = include_str!("../../docs/tasks.md")]
struct Tasks;

#[doc = include_str!("../../docs/testing.md")]
struct Testing;

#[doc = include_str!("../../docs/troubleshooting.md")]
struct Troubleshooting;

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

/// docs/stores.md names the versions of the drivers, because an application passes its own pool or connection.
#[test]
fn the_versions_of_the_drivers_are_named() {
    let workspace: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    for driver in ["redis", "sqlx"] {
        let version = workspace["workspace"]["dependencies"][driver]["version"].as_str().unwrap();
        let named = format!("// {driver} {version}\n");
        assert!(include_str!("../../docs/stores.md").contains(&named), "{named}");
    }
}
