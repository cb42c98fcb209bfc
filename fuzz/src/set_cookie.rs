//! The settings of a cookie, and the `Set-Cookie` header that is made of them.
//!
//! The bytes are five lines: flags, name, domain, path, value.

use cookie::{Cookie, SameSite};
use session_core::cookie::Settings;

/// Builds the header, and reads it with another parser.
///
/// # Panics
///
/// Panics if the header says something else than the settings.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let flags = line().bytes().next().unwrap_or_default();
    let (name, domain, path) = (line(), line(), line());
    // A value of ours is a token: letters, digits, `-`, `_` and dots.
    let value: String = line().chars().filter(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(*sign)).collect();

    let mut settings = Settings::new("session");
    if flags & 1 != 0 {
        settings = settings.name(name);
    }
    if flags & 2 != 0 {
        settings = settings.domain(domain);
    }
    if flags & 4 != 0 {
        settings = settings.path(path);
    }
    settings = settings.partitioned(flags & 8 != 0).same_site(match flags >> 4 & 3 {
        0 => SameSite::Lax,
        1 => SameSite::Strict,
        _ => SameSite::None,
    });
    if flags & 64 != 0 {
        settings = settings.insecure();
    }
    let Ok(spec) = settings.build() else { return };

    let set = spec.set("", &value, Some(60));
    assert_eq!(set.is_ok(), spec.name().len() + value.len() <= 4_096, "the limit of a browser");
    for (header, value, seconds) in
        set.map(|set| (set, value.as_str(), 60)).into_iter().chain([(spec.clear(""), "", 0)])
    {
        assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header:?}");
        let cookie = Cookie::parse(header.clone()).expect("another parser reads it");
        assert_eq!((cookie.name(), cookie.value()), (spec.name(), value), "{header:?}");
        assert_eq!(cookie.max_age().map(|age| age.whole_seconds()), Some(seconds), "{header:?}");
        assert_eq!(cookie.http_only(), Some(true), "{header:?}");
        assert_eq!(cookie.secure().unwrap_or(false), spec.is_secure(), "{header:?}");
        let expected_path = if flags & 4 != 0 { path } else { "/" };
        assert_eq!(cookie.path(), Some(expected_path), "{header:?}");
        let expected = (flags & 2 != 0).then(|| domain.trim_start_matches('.').to_ascii_lowercase());
        assert_eq!(cookie.domain().map(str::to_ascii_lowercase), expected.filter(|one| !one.is_empty()), "{header:?}");
        if spec.name().starts_with("__Host-") {
            assert!(spec.is_secure() && cookie.domain().is_none() && cookie.path() == Some("/"), "{header:?}");
        }
    }
    let found: Vec<_> = spec.find(data).collect();
    let all: Vec<_> = session_core::cookie::pairs(data)
        .filter_map(|(name, value)| Some((name.strip_prefix(spec.name().as_bytes())?, value)))
        .filter(|(suffix, value)| spec.name().len() + suffix.len() + value.len() <= 4_096)
        .collect();
    assert_eq!(found, all, "the finder and the splitter see the same cookies");
}
