//! The copy token: what tells our own write from anybody else's, and which source it came from.
//!
//! It travels as user metadata of the destination's object, so it survives the loss of the ledger.
//! `tranship-token` names the transfer, the epoch and a random number that the header also holds;
//! `tranship-source` is the identity of the source that was copied.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::object::{ETag, Identity, Millis, VersionId};
use crate::room::MetadataRoom;

/// The metadata names, as stores return them: in lower case.
pub const TOKEN: &str = "tranship-token";
pub const SOURCE: &str = "tranship-source";

/// Who wrote an object, and from what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub transfer: String,
    pub epoch: u64,
    pub random: u64,
    pub source: Identity,
}

impl Token {
    /// Reads the token off an object's user metadata; `None` if it carries none that we can read.
    pub fn read(user: &BTreeMap<String, String>) -> Option<Self> {
        let mut token = user.get(TOKEN)?.split(':');
        let (transfer, epoch, random) = (token.next()?, token.next()?, token.next()?);
        let mut source = user.get(SOURCE)?.split(';');
        let (etag, size, modified) = (source.next()?, source.next()?, source.next()?);
        let version = source.next().filter(|v| !v.is_empty());
        Some(Self {
            transfer: transfer.to_owned(),
            epoch: epoch.parse().ok()?,
            random: u64::from_str_radix(random, 16).ok()?,
            source: Identity {
                etag: ETag::written(decode(etag)?),
                version: version.and_then(decode).map(VersionId),
                size: size.parse().ok()?,
                modified: Millis(modified.parse().ok()?),
            },
        })
    }

    /// Adds the token to user metadata; `false`, and no change, if both do not find room together: the
    /// user's own is never dropped.
    pub fn write(&self, user: &mut BTreeMap<String, String>, room: &MetadataRoom) -> bool {
        let token = format!("{}:{}:{:016x}", self.transfer, self.epoch, self.random);
        let version = self.source.version.as_ref().map_or("", |v| v.0.as_str());
        let source = format!(
            "{};{};{};{}",
            encode(self.source.etag.as_str()),
            self.source.size,
            self.source.modified.0,
            encode(version)
        );
        let mut both = user.clone();
        both.insert(TOKEN.to_owned(), token);
        both.insert(SOURCE.to_owned(), source);
        let fits = room.holds(&both);
        if fits {
            *user = both;
        }
        fits
    }
}

/// Removes a token that was copied along from a source which is itself a copy.
pub fn strip(user: &mut BTreeMap<String, String>) {
    user.remove(TOKEN);
    user.remove(SOURCE);
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(etag: &str, version: Option<&str>) -> Token {
        Token {
            transfer: "0123abcd".to_owned(),
            epoch: 7,
            random: 42,
            source: Identity {
                etag: ETag::new(etag),
                version: version.map(|v| VersionId(v.to_owned())),
                size: 9,
                modified: Millis(1_700_000_000_000),
            },
        }
    }

    #[test]
    fn a_token_survives_the_metadata_of_an_object() {
        for token in
            [token("abc-3", None), token("a;b:c\u{e9}", Some("v;1")), token("\"W/a\"", None)]
        {
            let mut user = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
            assert!(token.write(&mut user, &MetadataRoom::ASSUMED));
            assert_eq!(Token::read(&user), Some(token));
            strip(&mut user);
            assert_eq!(user.len(), 1);
        }
    }

    #[test]
    fn a_token_never_drops_what_the_user_wrote() {
        let mut user = BTreeMap::from([("big".to_owned(), "x".repeat(2_000))]);
        assert!(!token("abc", None).write(&mut user, &MetadataRoom::ASSUMED));
        assert_eq!(user.len(), 1);
    }

    #[test]
    fn a_damaged_token_is_no_token() {
        for (text, source) in
            [("", ""), ("a:b:c", "e;1;2;"), ("a:1:zz", "e;1;2;"), ("a:1:2", "e;x;2;")]
        {
            let user = BTreeMap::from([
                (TOKEN.to_owned(), text.to_owned()),
                (SOURCE.to_owned(), source.to_owned()),
            ]);
            assert_eq!(Token::read(&user), None, "{text} {source}");
        }
    }

    proptest! {
        #[test]
        fn any_token_comes_back(
            transfer in "[0-9a-f]{8,16}",
            (epoch, random, size, modified) in any::<(u64, u64, u64, u64)>(),
            etag in any::<String>(),
            version in proptest::option::of(any::<String>().prop_filter("none", |v| !v.is_empty())),
        ) {
            let source = Identity {
                etag: ETag::new(&etag),
                version: version.map(VersionId),
                size,
                modified: Millis(modified),
            };
            let token = Token { transfer, epoch, random, source };
            let mut user = BTreeMap::new();
            if token.write(&mut user, &MetadataRoom::ASSUMED) {
                prop_assert!(MetadataRoom::ASSUMED.holds(&user));
                prop_assert!(user.values().all(|value| value.is_ascii()));
                prop_assert_eq!(Token::read(&user), Some(token));
            } else {
                prop_assert!(user.is_empty());
            }
        }

        #[test]
        fn any_text_is_a_token_or_none(token in "[a-z0-9:]{0,24}", source in "[a-z0-9;%]{0,24}") {
            let user = [(TOKEN, token), (SOURCE, source)];
            let user = user.map(|(name, value)| (name.to_owned(), value));
            if let Some(token) = Token::read(&user.into()) {
                let mut user = BTreeMap::new();
                prop_assert!(token.write(&mut user, &MetadataRoom::ASSUMED));
                prop_assert_eq!(Token::read(&user), Some(token));
            }
        }
    }
}
