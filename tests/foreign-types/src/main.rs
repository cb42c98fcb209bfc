//! Lists the types and traits of other crates that the public API of a crate names. A new major version of one of
//! these crates needs a new major version of ours.
//!
//! ```sh
//! RUSTC_BOOTSTRAP=1 cargo rustdoc -p session-core --all-features -- -Z unstable-options --output-format json
//! cargo run -p session-foreign-types -- target/doc/session_core.json
//! ```

use std::{collections::BTreeSet, env, error::Error, fs};

use serde_json::Value;

/// Crates that come with the compiler, and our own.
const OURS: &[&str] = &["alloc", "core", "proc_macro", "std"];

fn main() -> Result<(), Box<dyn Error>> {
    for path in env::args().skip(1) {
        let documentation = serde_json::from_slice(&fs::read(path)?)?;
        for line in foreign_types(&documentation) {
            println!("{line}");
        }
    }
    Ok(())
}

/// Returns a line for each: the name of our crate, and the path of the type.
fn foreign_types(documentation: &Value) -> BTreeSet<String> {
    let items = documentation["index"].as_object().into_iter().flat_map(serde_json::Map::values);
    let root = documentation["index"][text(&documentation["root"])]["name"].as_str().unwrap_or_default();
    let mut used = BTreeSet::new();
    // Blanket and automatic implementations are those of the other crate, and not of ours.
    for item in items.filter(|item| {
        let implementation = &item["inner"]["impl"];
        item["crate_id"] == 0 && implementation["blanket_impl"].is_null() && implementation["is_synthetic"] != true
    }) {
        collect(&item["inner"], &mut used);
    }
    used.iter()
        .filter_map(|id| {
            let found = &documentation["paths"][id];
            let name = documentation["external_crates"][text(&found["crate_id"])]["name"].as_str()?;
            let path: Vec<&str> = found["path"].as_array()?.iter().filter_map(Value::as_str).collect();
            let is_foreign = !OURS.contains(&name) && !name.starts_with("session_");
            is_foreign.then(|| format!("{root}: {}", path.join("::")))
        })
        .collect()
}

/// Collects the ids of all types and traits that a value names.
fn collect(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if members.contains_key("path") && members.contains_key("args") {
                used.insert(text(&members["id"]));
            }
            members.values().for_each(|member| collect(member, used));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, used)),
        _ => {}
    }
}

/// Returns an id, which is a number here and a key there.
fn text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_in_a_signature_and_a_trait_of_an_impl_are_listed_and_others_are_not() {
        let named = |id: u8| json!({"resolved_path": {"path": "Any", "id": id, "args": null}});
        let documentation = json!({
            "root": 0,
            "index": {
                "0": {"crate_id": 0, "name": "ours", "inner": {"module": {}}},
                "1": {"crate_id": 0, "inner": {"function": {"sig": {"inputs": [["a", named(10)], ["b", named(11)]]}}}},
                "2": {"crate_id": 0, "inner": {"impl": {
                    "blanket_impl": null, "is_synthetic": false, "trait": {"path": "Tower", "id": 12, "args": null},
                }}},
                "3": {"crate_id": 0, "inner": {"impl": {
                    "blanket_impl": {}, "is_synthetic": false, "trait": {"path": "Blanket", "id": 13, "args": null},
                }}},
                "4": {"crate_id": 7, "inner": {"function": named(13)}},
            },
            "paths": {
                "10": {"crate_id": 7, "path": ["http", "HeaderMap"]},
                "11": {"crate_id": 8, "path": ["std", "string", "String"]},
                "12": {"crate_id": 9, "path": ["tower_layer", "Layer"]},
                "13": {"crate_id": 7, "path": ["http", "Never"]},
            },
            "external_crates": {"7": {"name": "http"}, "8": {"name": "std"}, "9": {"name": "tower_layer"}},
        });
        let expected = ["ours: http::HeaderMap".to_owned(), "ours: tower_layer::Layer".to_owned()];
        assert_eq!(foreign_types(&documentation), BTreeSet::from(expected));
    }
}
