//! The guides: their links lead somewhere, and the claims of docs/comparison.md have their tests.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::asvs::has_test;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The README, the guides and the index of the examples.
fn pages() -> Vec<PathBuf> {
    let guides = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let guides = guides.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut pages: Vec<_> = guides.chain([root().join("README.md"), root().join("examples/README.md")]).collect();
    pages.sort();
    pages
}

/// The targets of the links on a page, without code.
fn links(page: &str) -> Vec<&str> {
    let texts = page.split("```").step_by(2);
    let after = texts.flat_map(|text| text.split("](").skip(1));
    after.filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

/// The anchors of a page's headings, as a forge makes them.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| -> String {
        let kept = heading
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
            .collect::<String>();
        kept.replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn each_link_of_the_guides_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for link in links(&page).into_iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                assert!(anchors.iter().any(|known| known == anchor), "{}: {link}: {anchors:?}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn the_readme_links_each_guide() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for path in pages().into_iter().filter(|path| path.parent().unwrap().ends_with("docs")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(readme.contains(&format!("docs/{name})")) || readme.contains(&format!("({name})")), "{name}");
    }
}

#[test]
fn each_claim_of_the_comparison_has_a_test_that_exists() {
    let page = fs::read_to_string(root().join("docs/comparison.md")).unwrap();
    let claims = page.split("## Our claims, and their tests").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<_> = claims.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| claim")).collect();
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let tests: Vec<_> = row.split('`').skip(1).step_by(2).filter(|text| text.contains(".rs")).collect();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            let (file, name) = test.split_once(": ").unwrap_or((test, ""));
            let source = fs::read_to_string(root().join("tests/src").join(file)).unwrap_or_else(|_| panic!("{row}"));
            assert!(name.is_empty() || has_test(&source, name), "{row}");
        }
    }
}

/// The versions of other crates that docs/comparison.md speaks of, by name.
fn compared_versions(page: &str) -> BTreeMap<&str, &str> {
    let table = page.split("| crate | version |").nth(1).unwrap().split("\n## ").next().unwrap();
    let links: Vec<_> = table.split("](https://docs.rs/").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    links.iter().map(|link| link.trim_start_matches("crate/").split_once('/').unwrap()).collect()
}

#[test]
fn each_fact_about_another_crate_is_of_a_version_that_is_named() {
    let page = fs::read_to_string(root().join("docs/comparison.md")).unwrap();
    let versions = compared_versions(&page);
    assert_eq!(versions.len(), 10, "{versions:?}");
    let facts = page.split("## Our claims, and their tests").next().unwrap();
    let mut count = 0;
    for link in links(facts).into_iter().filter_map(|link| link.strip_prefix("https://docs.rs/")) {
        let mut parts = link.trim_start_matches("crate/").split('/');
        let (name, version) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        assert_eq!(versions.get(name), Some(&version), "{link}");
        count += 1;
    }
    assert!(count > 30, "{count}");
}

/// When the benchmarks or the application to move from take a newer version, the comparison is read again.
#[test]
fn the_compared_versions_are_those_that_are_measured() {
    let page = fs::read_to_string(root().join("docs/comparison.md")).unwrap();
    let locks = ["benches/Cargo.lock", "tests/tower-sessions-app/Cargo.lock"];
    let locks = locks.map(|lock| fs::read_to_string(root().join(lock)).unwrap());
    for (name, version) in compared_versions(&page) {
        let package = |version: &str| format!("name = \"{name}\"\nversion = \"{version}\"");
        let is_locked = locks.iter().any(|lock| lock.contains(&package(version)));
        assert!(is_locked || ["axum-flash", "axum_session_auth"].contains(&name), "{name} {version}");
    }
}

/// The row of each part of the comparison names a source or a test for what it says of another crate or of this one.
#[test]
fn each_crate_of_the_comparison_has_a_source_in_its_cell() {
    let page = fs::read_to_string(root().join("docs/comparison.md")).unwrap();
    let table = page.split("## Which one has what").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")).collect();
    assert!(rows.len() >= 8, "{rows:?}");
    for row in rows {
        let others = row.split(" | ").skip(2).map(|cell| cell.trim_matches(['|', ' ']));
        for cell in others.filter(|cell| !cell.is_empty()) {
            assert!(cell.contains("](https://docs.rs/"), "{row}: {cell}");
        }
    }
}

#[test]
fn each_guide_is_a_page_of_the_documentation() {
    let modules = fs::read_to_string(root().join("session-axum/src/guides.rs")).unwrap();
    for path in pages().into_iter().filter(|path| path.parent().unwrap().ends_with("docs")) {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let module = file.trim_end_matches(".md").replace('-', "_");
        let is_page = modules.contains(&format!("{module} = \"{file}\"")) && modules.contains(&format!("[`{module}`]"));
        assert_eq!(is_page, file != "releasing.md", "{file}");
    }
}

/// The links to the guides on docs.rs, from the pages of the crates.
#[test]
fn each_link_to_a_page_of_the_documentation_leads_to_a_guide() {
    let guides = "https://docs.rs/session-axum/latest/session_axum/guides/";
    let mut count = 0;
    for crate_ in ["session-axum", "session-core", "session-stores"] {
        let readme = fs::read_to_string(root().join(crate_).join("README.md")).unwrap();
        let page = fs::read_to_string(root().join(crate_).join("src/lib.rs")).unwrap();
        for rest in readme.split(guides).skip(1).chain(page.split(guides).skip(1)) {
            let module = rest.split('/').next().unwrap();
            let file = format!("docs/{}.md", module.replace('_', "-"));
            assert!(rest.starts_with(')') || root().join(&file).exists(), "{crate_}: {file}");
            count += 1;
        }
    }
    assert!(count >= 7, "{count}");
}
