//! What a destination takes: of user metadata, of keys, of bytes. Nothing is ever dropped or bent: what does not fit
//! fails its object.

use std::collections::BTreeMap;

use crate::object::{KEY_LENGTH_MAX_BYTES, OBJECT_SIZE_MAX_BYTES, ObjectKey, escape};

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

/// What a destination's vendor documents of keys, and of the size of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectRoom {
    pub key_bytes: usize,
    /// No key begins with one of these.
    pub not_first: &'static [&'static str],
    /// No key holds one of these.
    pub not_within: &'static [char],
    /// No key is one of these.
    pub not_whole: &'static [&'static str],
    pub size_bytes: u64,
}

impl ObjectRoom {
    /// What the protocol itself can express.
    pub const WHOLE: Self = Self {
        key_bytes: KEY_LENGTH_MAX_BYTES,
        not_first: &[],
        not_within: &[],
        not_whole: &[],
        size_bytes: OBJECT_SIZE_MAX_BYTES,
    };

    /// Why the destination can have no such key; `None`: it can.
    pub fn refuses_key(&self, key: &ObjectKey) -> Option<String> {
        let text = key.as_str();
        let (has, most) = (text.len(), self.key_bytes);
        if has > most {
            return Some(format!(
                "the key has {has} bytes at the destination, which takes {most}: choose a shorter destination prefix"
            ));
        }
        if let Some(first) = self.not_first.iter().find(|first| text.starts_with(**first)) {
            return Some(format!(
                "the key begins with {first} at the destination, where none may: choose a destination prefix"
            ));
        }
        if self.not_whole.contains(&text) {
            return Some(format!(
                "no key at the destination may be {text}: choose a destination prefix"
            ));
        }
        let held = self.not_within.iter().find(|held| text.contains(**held))?;
        let held = escape(&held.to_string());
        Some(format!(
            "the key has the character {held}, which none at the destination may: rename it at the source"
        ))
    }

    /// Why the destination can have no object of so many bytes; `None`: it can.
    pub fn refuses_size(&self, bytes: u64) -> Option<String> {
        let most = self.size_bytes;
        (bytes > most).then(|| {
            format!("an object of {bytes} bytes, and the destination takes {most}: leave it out with a filter, or cut it at the source")
        })
    }
}

impl Default for ObjectRoom {
    fn default() -> Self {
        Self::WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_sizes_that_do_not_fit_are_named_and_the_last_that_fit_are_taken() {
        let room = ObjectRoom {
            key_bytes: 10,
            not_first: &["/", "\\"],
            not_within: &['\n'],
            not_whole: &[".."],
            size_bytes: 100,
        };
        for (key, says) in [
            ("0123456789", None),
            ("a/b\\c", None),
            ("...", None),
            ("0123456789a", Some("has 11 bytes at the destination, which takes 10")),
            ("ééééé\u{e9}", Some("has 12 bytes")),
            ("/a", Some("begins with /")),
            ("\\a", Some("begins with \\")),
            ("..", Some("may be ..")),
            ("a\nb", Some("\\n")),
        ] {
            let why = room.refuses_key(&ObjectKey::new(key));
            assert_eq!(why.is_some(), says.is_some(), "{key:?}: {why:?}");
            assert!(
                says.is_none_or(|says| why.as_ref().is_some_and(|why| why.contains(says))),
                "{key:?}: {why:?}"
            );
            assert_eq!(ObjectRoom::WHOLE.refuses_key(&ObjectKey::new(key)), None);
        }
        assert_eq!(room.refuses_size(100), None);
        assert!(room.refuses_size(101).is_some_and(|why| why.contains("takes 100")));
    }

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
