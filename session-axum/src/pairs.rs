//! What the helpers take: one pair or several, one key or several.

/// Pairs of a key and a value: one pair, or an array, a `Vec`, an `Option`, a map or any other iterator of pairs.
///
/// The compiler infers `Kind`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pair of key and value, and no list of such pairs",
    note = "give a pair, or an array, `Vec`, `Option`, map or iterator of pairs"
)]
pub trait IntoPairs<Kind> {
    /// What the pairs hold.
    type Value;

    /// Passes each pair to `each`.
    fn for_each_pair(self, each: &mut dyn FnMut(String, Self::Value));
}

/// Keys: one key, or an array, a `Vec`, a slice or any other iterator of keys.
///
/// The compiler infers `Kind`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key, and no list of keys",
    note = "give a text, or an array, `Vec`, slice or iterator of texts"
)]
pub trait IntoKeys<Kind> {
    /// Passes each key to `each`.
    fn for_each_key(self, each: &mut dyn FnMut(String));
}

/// Marks what is one: [`IntoPairs`] of a pair, [`IntoKeys`] of a key.
#[doc(hidden)]
#[derive(Debug)]
pub struct One(());
/// Marks what is an iterator.
#[doc(hidden)]
#[derive(Debug)]
pub struct Several(());

impl<K: AsRef<str>, V> IntoPairs<One> for (K, V) {
    type Value = V;

    fn for_each_pair(self, each: &mut dyn FnMut(String, V)) {
        each(self.0.as_ref().to_owned(), self.1);
    }
}

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
