//! The events as docs/observability.md has them.

use std::{collections::BTreeMap, sync::OnceLock};

use tracing::Metadata;

/// What the page says of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Documented {
    pub(crate) level: String,
    pub(crate) fields: Vec<String>,
}

/// The events of the page by their names.
pub(crate) fn documented() -> &'static BTreeMap<String, Documented> {
    static EVENTS: OnceLock<BTreeMap<String, Documented>> = OnceLock::new();
    EVENTS.get_or_init(|| {
        let page = include_str!("../../../docs/observability.md");
        let tables = page.split("## The events").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = tables.lines().filter(|line| line.starts_with("| `"));
        let event = |row: &str| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, level, _, fields] = cells[..] else { panic!("{row}") };
            let fields = fields.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (name.trim_matches('`').to_owned(), Documented { level: level.to_owned(), fields })
        };
        rows.map(event).collect()
    })
}

/// Compares an event that was logged with the page.
pub(crate) fn check(metadata: &Metadata<'_>) {
    if !metadata.target().starts_with("session_axum") && !metadata.target().starts_with("session_stores") {
        return;
    }
    let fields = metadata.fields().iter().map(|field| field.name().to_owned()).filter(|name| name != "message");
    let logged = Documented { level: metadata.level().to_string(), fields: fields.collect() };
    assert_eq!(documented().get(metadata.name()), Some(&logged), "{metadata:?}");
}
