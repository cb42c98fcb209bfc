//! Cookies and headers, byte for byte: each file reads and writes its own.

pub(crate) mod candidates;
mod few;
pub(crate) mod flash_cookies;
pub(crate) mod flash_fit;
pub(crate) mod headers;
pub(crate) mod request_cookies;
pub(crate) mod session_cookie;
