//! Whether a key needs to be copied: by the listings alone where they can tell, else by one look.

use crate::object::{ETag, ETagForm, Identity, ObjectKey};
use crate::policy::{Compare, Overwrite, Policy};
use crate::store::{Attributes, Head, Listed, STANDARD};
use crate::token::{self, Token};

/// What a pair of listed objects asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Equal,
    Kept,
    Copy,
    /// The listings cannot tell: look at the destination's evidence first.
    Check,
}

/// Decides by the listings of both sides.
pub fn by_listing(policy: &Policy, source: &Listed, destination: Option<&Listed>) -> Verdict {
    let Some(destination) = destination else { return Verdict::Copy };
    let same_size = source.size == destination.size;
    let same_etag = source.etag == destination.etag;
    let equal = match policy.compare {
        Compare::Size => same_size,
        Compare::SizeAndTime => same_size && destination.modified >= source.modified,
        Compare::ETag => same_size && same_etag,
        // A change of headers or tags alone leaves size and ETag as they were.
        Compare::Always | Compare::Metadata => false,
    };
    if equal {
        return Verdict::Equal;
    }
    let newer = source.modified > destination.modified;
    let may_tell = matches!(policy.compare, Compare::ETag | Compare::Metadata);
    match policy.overwrite {
        // Whether they differ must be known before one of them is said to be kept.
        _ if same_size && may_tell => Verdict::Check,
        Overwrite::Never => Verdict::Kept,
        Overwrite::Newer if !newer => Verdict::Kept,
        Overwrite::Always | Overwrite::Newer => Verdict::Copy,
    }
}

/// Whether what lies at the destination is a copy of this source, by the evidence at hand.
pub fn by_evidence(policy: &Policy, source: &Identity, destination: &Head) -> bool {
    let there = &destination.identity;
    if there.size != source.size {
        return false;
    }
    if there.etag == source.etag {
        return true;
    }
    if let Some(token) = Token::read(&destination.attributes.user) {
        return token.source.is_same_as(source);
    }
    policy.trust_size_and_time && there.modified >= source.modified
}

/// Whether a copy of the same size lies there and nothing says of which source it is: neither `ETag`s
/// that can be compared, nor a token.
pub fn is_unproven(policy: &Policy, source: &Identity, destination: &Head) -> bool {
    let there = &destination.identity;
    let may_tell = matches!(policy.compare, Compare::ETag | Compare::Metadata);
    let plain = |etag: &ETag| etag.form() == ETagForm::Plain;
    // Two plain ETags that differ are two contents, unless a store's key management makes them up.
    let changed = plain(&source.etag) && plain(&there.etag) && !destination.etag_is_opaque;
    may_tell
        && there.size == source.size
        && !by_evidence(policy, source, destination)
        && Token::read(&destination.attributes.user).is_none()
        && !changed
}

/// Whether the destination carries what the source does, tags apart.
pub fn same_attributes(policy: &Policy, source: &Attributes, destination: &Attributes) -> bool {
    let plain = |attributes: &Attributes| {
        let mut plain = attributes.clone();
        token::strip(&mut plain.user);
        plain.storage_class = None;
        plain
    };
    // The standard class can be asked for by name; a look leaves it out.
    let class = policy.class_for(source.storage_class.as_deref());
    let class = class.filter(|class| *class != STANDARD);
    let carried = !policy.metadata || plain(source) == plain(destination);
    carried && class == destination.storage_class.as_deref()
}

/// What a policy says about writing over a destination that differs.
pub fn may_overwrite(policy: &Policy, source: &Identity, destination: &Identity) -> bool {
    match policy.overwrite {
        Overwrite::Always => true,
        Overwrite::Never => false,
        Overwrite::Newer => source.modified > destination.modified,
    }
}

/// A key of the merged listings.
#[derive(Debug, PartialEq, Eq)]
pub enum Pair<'a> {
    Source(&'a Listed, Option<&'a Listed>),
    /// Only the destination has it; its key is in the source's terms.
    Extra(&'a Listed),
}

/// Merges two listings that are sorted by key, the destination's keys in the source's terms.
pub fn merge<'a>(source: &'a [Listed], destination: &'a [Listed]) -> Vec<Pair<'a>> {
    let mut pairs = Vec::with_capacity(source.len().max(destination.len()));
    let mut there = destination.iter().peekable();
    for here in source {
        while let Some(extra) = there.next_if(|d| d.key < here.key) {
            pairs.push(Pair::Extra(extra));
        }
        pairs.push(Pair::Source(here, there.next_if(|d| d.key == here.key)));
    }
    pairs.extend(there.map(Pair::Extra));
    pairs
}

/// Checks that a page of keys is sorted, new, and under its prefix; says what is wrong if not.
pub fn check_order(prefix: &str, after: Option<&ObjectKey>, page: &[Listed]) -> Result<(), String> {
    let mut last = after;
    for listed in page {
        if !listed.key.as_str().starts_with(prefix) {
            return Err(format!("the key {} is not under the prefix", listed.key));
        }
        if last.is_some_and(|last| listed.key <= *last) {
            let last = last.map(ToString::to_string).unwrap_or_default();
            return Err(format!(
                "the key {} comes after {last}: repeated or out of order",
                listed.key
            ));
        }
        last = Some(&listed.key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Millis;
    use crate::store::Reading;
    use proptest::prelude::*;

    fn listed(key: &str, size: u64, etag: &str, modified: u64) -> Listed {
        Listed {
            key: ObjectKey::new(key),
            size,
            etag: ETag::new(etag),
            modified: Millis(modified),
            storage_class: None,
            reading: Reading::Open,
        }
    }

    #[test]
    fn a_class_that_was_left_to_the_destination_is_no_difference() {
        let ia: &[_] = &[("IA", "STANDARD_IA")];
        for (asked, classes, source, there, same) in [
            (None, &[][..], Some("ONEZONE_IA"), Some("ONEZONE_IA"), true),
            (None, &[], Some("ONEZONE_IA"), None, false),
            (None, ia, Some("ONEZONE_IA"), None, true),
            (None, ia, Some("STANDARD_IA"), None, false),
            (Some("ONEZONE_IA"), ia, None, Some("ONEZONE_IA"), true),
            (Some("STANDARD"), &[], Some("ONEZONE_IA"), None, true),
        ] {
            let storage_class = asked.map(str::to_owned);
            let policy = Policy { storage_class, classes, ..Policy::default() };
            let [source, there] = [source, there].map(|class: Option<&str>| Attributes {
                storage_class: class.map(str::to_owned),
                ..Attributes::default()
            });
            assert_eq!(same_attributes(&policy, &source, &there), same, "{asked:?} {source:?}");
        }
    }

    #[test]
    fn listings_decide_what_they_can() {
        use Compare as C;
        use Overwrite as O;
        use Verdict as V;
        let source = listed("k", 5, "a", 10);
        // (size, etag, modified) of the destination.
        for (compare, overwrite, there, verdict) in [
            (C::ETag, O::Always, None, V::Copy),
            (C::ETag, O::Never, None, V::Copy),
            (C::ETag, O::Always, Some((5, "a", 1)), V::Equal),
            (C::ETag, O::Always, Some((5, "b", 99)), V::Check),
            (C::ETag, O::Never, Some((5, "b", 99)), V::Check),
            (C::ETag, O::Always, Some((6, "a", 99)), V::Copy),
            (C::ETag, O::Never, Some((6, "a", 99)), V::Kept),
            (C::ETag, O::Newer, Some((6, "a", 99)), V::Kept),
            (C::ETag, O::Newer, Some((6, "a", 1)), V::Copy),
            (C::Size, O::Always, Some((5, "b", 1)), V::Equal),
            (C::SizeAndTime, O::Always, Some((5, "b", 9)), V::Copy),
            (C::SizeAndTime, O::Always, Some((5, "b", 10)), V::Equal),
            (C::Metadata, O::Always, Some((5, "a", 1)), V::Check),
            (C::Always, O::Always, Some((5, "a", 1)), V::Copy),
        ] {
            let policy = Policy { compare, overwrite, ..Policy::default() };
            let there = there.map(|(size, etag, modified)| listed("k", size, etag, modified));
            let got = by_listing(&policy, &source, there.as_ref());
            assert_eq!(got, verdict, "{compare:?} {overwrite:?} {there:?}");
        }
    }

    #[test]
    fn disorder_is_named() {
        let page = [listed("p/a", 1, "", 0), listed("p/b", 1, "", 0)];
        assert!(check_order("p/", None, &page).is_ok());
        assert!(check_order("q/", None, &page).is_err());
        assert!(check_order("p/", Some(&ObjectKey::new("p/a")), &page).is_err());
        let page = [listed("p/b", 1, "", 0), listed("p/a", 1, "", 0)];
        assert!(check_order("p/", None, &page).is_err());
    }

    proptest! {
        #[test]
        fn merging_pairs_every_key_once(
            source in proptest::collection::btree_set("[a-d]{1,3}", 0..20),
            destination in proptest::collection::btree_set("[a-d]{1,3}", 0..20),
        ) {
            let list = |keys: &std::collections::BTreeSet<String>| -> Vec<Listed> {
                keys.iter().map(|k| listed(k, 1, "", 0)).collect()
            };
            let (here, there) = (list(&source), list(&destination));
            let (mut both, mut only, mut extra) = (0, 0, 0);
            for pair in merge(&here, &there) {
                match pair {
                    Pair::Source(s, Some(d)) => { prop_assert_eq!(&s.key, &d.key); both += 1 }
                    Pair::Source(..) => only += 1,
                    Pair::Extra(_) => extra += 1,
                }
            }
            prop_assert_eq!(both, source.intersection(&destination).count());
            prop_assert_eq!(only, source.difference(&destination).count());
            prop_assert_eq!(extra, destination.difference(&source).count());
        }
    }
}
