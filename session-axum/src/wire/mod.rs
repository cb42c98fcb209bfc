//! Cookies and headers, byte for byte. Each file reads and writes one kind.

pub(crate) mod bearer;
pub(crate) mod candidates;
mod few;
pub(crate) mod flash_cookies;
pub(crate) mod flash_fit;
pub(crate) mod headers;
pub(crate) mod page_view;
pub(crate) mod request_cookies;
pub(crate) mod return_cookie;
pub(crate) mod session_cookie;
pub(crate) mod ticket_cookie;
