//! The guides: the pages of `docs` in the repository. The package `tests` compiles their code.
//!
//! - To begin: [`getting_started`], [`tasks`] with one line for each task, [`glossary`] for the words of other libraries.
//! - To build: [`cookbook`], [`forms`], [`beyond_requests`] for sockets, jobs and native clients, [`testing`].
//! - To run: [`deployment`], [`configuration`], [`stores`], [`observability`], [`troubleshooting`] for each log line and
//!   error.
//! - To decide: [`security`], [`comparison`] with other crates, [`wire_format`].
//! - To move: [`migrating`], [`from_play`], [`from_revel`], [`from_buffalo`], [`from_tower_sessions`].

/// Makes a module of each page.
macro_rules! guides {
    ($($module:ident = $file:literal,)+) => {
        $(
            pub mod $module {
                #![doc = session_macros::guide!($file)]

                /// The compiler reads the file as well, so that the page is made again when it changes.
                const _: &str = include_str!(concat!("../docs/", $file));
            }
        )+
    };
}

guides! {
    beyond_requests = "beyond-requests.md",
    comparison = "comparison.md",
    configuration = "configuration.md",
    cookbook = "cookbook.md",
    deployment = "deployment.md",
    forms = "forms.md",
    from_buffalo = "from-buffalo.md",
    from_play = "from-play.md",
    from_revel = "from-revel.md",
    from_tower_sessions = "from-tower-sessions.md",
    getting_started = "getting-started.md",
    glossary = "glossary.md",
    migrating = "migrating.md",
    observability = "observability.md",
    security = "security.md",
    stores = "stores.md",
    tasks = "tasks.md",
    testing = "testing.md",
    troubleshooting = "troubleshooting.md",
    wire_format = "wire-format.md",
}
