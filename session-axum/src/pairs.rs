//! The arguments of the helpers: one pair or several, one key or several.

/// Pairs of a key and a value: one pair, or an array, a `Vec`, an `Option`, a map or another iterator of pairs.
///
/// The compiler infers `Kind`.
///
/// ```
/// # use std::collections::BTreeMap;
/// use axum::http::StatusCode;
/// use session_axum::SessionResponseExt;
///
/// # let voucher: Option<&str> = None;
/// # let settings = BTreeMap::from([("size", "L")]);
/// let response = StatusCode::OK
///     .adding_to_session(("user", "Ada"))
///     .adding_to_session([("theme", "dark"), ("language", "en")])
///     .adding_to_session(voucher.map(|code| ("voucher", code)))
///     .adding_to_session(settings);
/// assert_eq!(response.status(), 200);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pair of key and value, and not a list of such pairs",
    label = "needs a pair of key and value",
    note = "pass one pair, as in `((\"success\", \"Saved.\"))`, or an array, a `Vec`, an `Option`, a map or an iterator of pairs"
)]
pub trait IntoPairs<Kind> {
    /// The type of the values.
    type Value;

    /// Calls `each` with each pair, in their order.
    ///
    /// ```
    /// use session_axum::response::IntoPairs;
    ///
    /// let mut cart = Vec::new();
    /// [("tea", 2), ("honey", 1)].for_each_pair(&mut |key, value| cart.push(format!("{key} {value}")));
    /// assert_eq!(cart, ["tea 2", "honey 1"]);
    /// ```
    fn for_each_pair(self, each: &mut dyn FnMut(String, Self::Value));
}

/// Keys: one key, or an array, a `Vec`, a slice or another iterator of keys.
///
/// The compiler infers `Kind`.
///
/// ```
/// use axum::http::StatusCode;
/// use session_axum::SessionResponseExt;
///
/// let response = StatusCode::OK
///     .removing_from_session("cart")
///     .removing_from_session(["theme", "language"]);
/// assert_eq!(response.status(), 200);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key, and not a list of keys",
    label = "needs a key",
    note = "pass one string, or an array, a `Vec`, a slice or an iterator of strings"
)]
pub trait IntoKeys<Kind> {
    /// Calls `each` with each key, in their order.
    ///
    /// ```
    /// use session_axum::response::IntoKeys;
    ///
    /// let mut keys = Vec::new();
    /// ["theme", "language"].for_each_key(&mut |key| keys.push(key));
    /// assert_eq!(keys, ["theme", "language"]);
    /// ```
    fn for_each_key(self, each: &mut dyn FnMut(String));
}

/// Marks a single value: a pair for [`IntoPairs`], a key for [`IntoKeys`].
#[doc(hidden)]
#[derive(Debug)]
pub struct One(());
/// Marks several values: an iterator of pairs or of keys.
#[doc(hidden)]
#[derive(Debug)]
pub struct Several(());

impl<K: AsRef<str>, V> IntoPairs<One> for (K, V) {
    type Value = V;

    fn for_each_pair(self, each: &mut dyn FnMut(String, V)) {
        each(self.0.as_ref().to_owned(), self.1);
    }
}

#[diagnostic::do_not_recommend]
impl<I, K, V> IntoPairs<Several> for I
where
    I: IntoIterator<Item = (K, V)>,
    K: AsRef<str>,
{
    type Value = V;

    fn for_each_pair(self, each: &mut dyn FnMut(String, V)) {
        self.into_iter().for_each(|(key, value)| each(key.as_ref().to_owned(), value));
    }
}

impl<K: AsRef<str>> IntoKeys<One> for K {
    fn for_each_key(self, each: &mut dyn FnMut(String)) {
        each(self.as_ref().to_owned());
    }
}

#[diagnostic::do_not_recommend]
impl<I, K> IntoKeys<Several> for I
where
    I: IntoIterator<Item = K>,
    K: AsRef<str>,
{
    fn for_each_key(self, each: &mut dyn FnMut(String)) {
        self.into_iter().for_each(|key| each(key.as_ref().to_owned()));
    }
}

/// Returns all keys.
pub(crate) fn keys<Kind>(keys: impl IntoKeys<Kind>) -> Vec<String> {
    let mut all = Vec::new();
    keys.for_each_key(&mut |key| all.push(key));
    all
}
