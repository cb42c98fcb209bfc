//! The pictures of the README and the guides, taken from the running example. `docs/pictures/take` puts them into their
//! folder.

use std::{fs, path::Path};

use session_axum::SessionLayer;

use crate::support::{
    app::keys,
    browser::{Browser, Outcome, in_a_browser},
};

/// Writes a picture of the page, and removes what would differ from one run to the next.
async fn keep(browser: &Browser, name: &str) -> Outcome {
    browser.run("document.activeElement.blur(); document.body.style.caretColor = 'transparent'").await?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pictures");
    fs::create_dir_all(&folder).unwrap();
    let picture = browser.picture(1_000).await?;
    assert_is_small(name, &picture);
    fs::write(folder.join(name), picture).unwrap();
    Ok(())
}

#[test]
fn the_example_is_pictured() {
    in_a_browser(async |browser| {
        let url = browser.serve(session_examples::app(SessionLayer::signed(keys()).insecure_over_http())).await;
        browser.open(&url).await?;
        browser.type_into("#user", "ada").await?;
        browser.follow("form[action='/login'] button").await?;
        browser.type_into("#display_name", "Ada").await?;
        browser.type_into("#email", "ada@example.com").await?;
        browser.click("input[value=plum]").await?;
        browser.follow("form[action='/settings'] button").await?;
        assert_eq!(browser.texts(".message").await?.len(), 1);
        keep(browser, "settings.png").await?;

        browser.type_into("#display_name", "").await?;
        browser.type_into("#email", "ada").await?;
        browser.follow("form[action='/settings'] button").await?;
        assert_eq!(browser.texts(".mistake").await?.len(), 2);
        keep(browser, "mistakes.png").await
    });
}

#[test]
fn the_pictures_are_there_and_small() {
    for name in ["settings.png", "mistakes.png"] {
        let picture = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures").join(name)).unwrap();
        assert_is_small(name, &picture);
    }
}

fn assert_is_small(name: &str, picture: &[u8]) {
    assert!(picture.starts_with(b"\x89PNG") && picture.len() < 100_000, "{name}: {} bytes", picture.len());
}
