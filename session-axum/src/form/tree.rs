//! The fields of a form as a tree: `address[city]` is `city` in `address`.

use session_core::flash::Texts;

use super::MAX_DEPTH;

/// A place in the tree: the texts of a field, its members, or both.
#[derive(Default)]
pub(super) struct Node<'a> {
    pub(super) texts: Option<&'a Texts>,
    pub(super) members: Vec<(&'a str, Node<'a>)>,
}

impl<'a> Node<'a> {
    /// Returns the tree of the fields. Of two fields with one name the first counts.
    pub(super) fn tree(fields: &[(&'a str, &'a Texts)]) -> Self {
        let mut root = Self::default();
        for (name, texts) in fields {
            let (first, others) = path(name);
            let place = others.iter().fold(root.member(first), |node, key| node.member(key));
            place.texts.get_or_insert(texts);
        }
        root
    }

    /// Returns the fields under their whole names.
    pub(super) fn flat(fields: &[(&'a str, &'a Texts)]) -> Self {
        let mut root = Self::default();
        for (name, texts) in fields {
            root.member(name).texts.get_or_insert(texts);
        }
        root
    }

    fn member(&mut self, key: &'a str) -> &mut Self {
        let place = self.members.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.members.push((key, Self::default()));
            self.members.len() - 1
        });
        &mut self.members[place].1
    }

    /// Returns the members in the order of their indexes; `None` if a key is no index.
    pub(super) fn items(&self) -> Option<Vec<&Self>> {
        let index = |(key, node)| Some((str::parse::<usize>(key).ok()?, node));
        let mut items = self.members.iter().map(|(key, node)| index((key, node))).collect::<Option<Vec<_>>>()?;
        items.sort_by_key(|(index, _)| *index);
        Some(items.into_iter().map(|(_, node)| node).collect())
    }

    /// Returns whether there is nothing here but an empty text or an empty list.
    pub(super) fn is_blank(&self) -> bool {
        self.members.is_empty() && self.texts.is_none_or(|texts| texts.as_slice().iter().all(|text| is_blank(text)))
    }
}

pub(super) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Returns the keys of a name: `guests`, and `0` and `name`, for `guests[0][name]`. A name that nests too deep is one
/// key.
fn path(name: &str) -> (&str, Vec<&str>) {
    let brackets = name.split_once('[').and_then(|(first, rest)| Some((first, rest.strip_suffix(']')?)));
    let Some((first, inner)) = brackets else { return (name, Vec::new()) };
    let others: Vec<_> = inner.split("][").take(MAX_DEPTH + 1).collect();
    if others.len() > MAX_DEPTH { (name, Vec::new()) } else { (first, others) }
}
