//! What a destination takes of user metadata. Nothing of it is ever dropped: what does not fit fails its object.

use std::collections::BTreeMap;

use crate::object::escape;

/// What a destination's vendor documents, in bytes. Text beyond ASCII may take more on its way, so whatever is
/// refused here would be refused there, too, and what fits here is still judged there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataRoom {
    /// All names and values together.
    pub total: usize,
    /// One name and its value together.
    pub entry: usize,
    pub name: usize,
    pub value: usize,
    /// What a store counts of each entry besides: the part of the header's name that is always the same.
    pub prefix: usize,
    /// Names are letters, digits and hyphens.
    pub plain_names: bool,
    /// Nothing is documented: the store may take more, or other names, and is asked.
    pub is_assumed: bool,
}

impl MetadataRoom {
    /// Amazon's, which other stores of its protocol may widen.
    pub const ASSUMED: Self = Self {
        total: 2_048,
        entry: usize::MAX,
        name: usize::MAX,
        value: usize::MAX,
        prefix: 0,
        plain_names: false,
        is_assumed: true,
    };

    /// Whether all of it together finds room.
    pub fn holds(&self, user: &BTreeMap<String, String>) -> bool {
        self.taken(user) <= self.total
    }

    fn taken(&self, user: &BTreeMap<String, String>) -> usize {
        user.iter().map(|(name, value)| self.of_entry(name, value)).sum()
    }

    fn of_entry(&self, name: &str, value: &str) -> usize {
        self.prefix + name.len() + value.len()
    }

    /// Why the destination does not take it; `None`: it does, or nobody knows before it was asked.
    pub fn refusal(&self, user: &BTreeMap<String, String>) -> Option<String> {
        if self.is_assumed {
            return None;
        }
        let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if let Some(name) = user.keys().find(|name| self.plain_names && !is_plain(name)) {
            return Some(format!(
                "the destination takes letters, digits and hyphens in names of user metadata, and one is {}: rename it at the source",
                escape(name)
            ));
        }
        let too_long = |what: &str, name: &str, has: usize, most: usize| {
            (has > most).then(|| {
                let name = escape(name);
                format!("the user metadata {name} has {what} of {has} bytes, and the destination takes {most}: shorten it at the source")
            })
        };
        let one = user.iter().find_map(|(name, value)| {
            too_long("a name", name, name.len(), self.name)
                .or_else(|| too_long("a value", name, value.len(), self.value))
                .or_else(|| {
                    too_long("name and value", name, self.of_entry(name, value), self.entry)
                })
        });
        one.or_else(|| {
            (!self.holds(user)).then(|| {
                let (taken, total) = (self.taken(user), self.total);
                format!("user metadata of {taken} bytes, and the destination takes {total}: shorten it at the source")
            })
        })
    }
}

impl Default for MetadataRoom {
    fn default() -> Self {
        Self::ASSUMED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named_and_the_last_byte_that_fits_is_taken() {
        let room = MetadataRoom {
            total: 100,
            entry: 60,
            name: 20,
            value: 50,
            prefix: 2,
            plain_names: true,
            is_assumed: false,
        };
        let entry = |name: &str, value: usize| (name.to_owned(), "x".repeat(value));
        for (user, says) in [
            (vec![entry("Name-1", 50)], None),
            (vec![entry("a", 50), entry("b", 44)], None),
            (
                vec![entry("a", 50), entry("b", 45)],
                Some("of 101 bytes, and the destination takes 100"),
            ),
            (vec![entry("a", 51)], Some("the user metadata a has a value of 51 bytes")),
            (vec![entry(&"n".repeat(21), 1)], Some("a name of 21 bytes")),
            (vec![entry(&"n".repeat(20), 39)], Some("name and value of 61 bytes")),
            (vec![entry("my_key", 1)], Some("one is my_key")),
            (vec![entry("caf\u{e9}", 1)], Some("letters, digits and hyphens")),
        ] {
            let user: BTreeMap<_, _> = user.into_iter().collect();
            let why = room.refusal(&user);
            assert_eq!(why.is_some(), says.is_some(), "{user:?}: {why:?}");
            let has = says.is_none_or(|says| why.as_ref().is_some_and(|why| why.contains(says)));
            assert!(has, "{user:?}: {why:?}");
            let assumed = MetadataRoom { is_assumed: true, ..room };
            assert_eq!(assumed.refusal(&user), None, "a store that nobody knows is asked");
        }
    }
}
