//! The derive macro of `session-axum`: see `SessionData` there.
