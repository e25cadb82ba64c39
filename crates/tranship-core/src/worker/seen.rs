//! What earlier readings of an object have shown, while its copy is tried again.
//!
//! An `ETag` of an MD5's form is sent along, and the destination holds the bytes to it. Some stores give such
//! `ETag`s that are no MD5, of what they encrypt for one, and good bytes are refused then. Bytes that were
//! damaged on their way are refused in the same words. So a refusal alone decides nothing: the bytes have to come
//! to the source's own checksum, or, where there is none and the store does not promise that its `ETag`s are
//! MD5s, to the same in two readings. Only then the `ETag` is held to be opaque.

use crate::body::{Expectation, Measured};
use crate::checksum::{Algorithm, Checksum};
use crate::object::ETagForm;
use crate::policy::Policy;
use crate::qetag::{Claim, Qetag};
use crate::store::Head;

/// The readings of one object, one after the other.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What the bytes came to, where they are compared with a qetag.
    qetag: Option<Qetag>,
    /// The destination refused a reading for its MD5.
    is_refused: bool,
    /// What the bytes came to in the latest reading that was refused, if anybody computed it.
    crc: Option<Checksum>,
    /// The `ETag` is no MD5, whatever its form.
    is_refuted: bool,
}

impl Seen {
    /// Whether the destination can hold the bytes to the `ETag`, and a copy of them has the same one.
    pub(super) fn is_plain(&self, head: &Head) -> bool {
        head.identity.etag.form() == ETagForm::Plain && !head.etag_is_opaque && !self.is_refuted
    }

    /// Nothing that the source keeps speaks for the bytes: two readings that agree are all there is.
    pub(super) fn is_unproven(&self, head: &Head) -> bool {
        self.is_refuted && head.checksum.is_none()
    }

    /// What the next reading has to be, and what is to be computed of it.
    pub(super) fn expects(&self, head: &Head, size: u64) -> Expectation {
        let qetag = head.qetag.map(|own| Claim { own, seen: self.qetag });
        let agreed = self.crc.filter(|_| self.is_refuted);
        let in_doubt = self.is_refused && head.checksum.is_none();
        let algorithms = if in_doubt { vec![Algorithm::Crc64Nvme] } else { Vec::new() };
        Expectation { size, checksum: head.checksum.or(agreed), qetag, algorithms }
    }

    /// Takes in what a reading came to.
    pub(super) fn read(&mut self, measured: &Measured) {
        self.qetag = measured.qetag.or(self.qetag);
    }

    /// The destination has refused a reading, of which nothing else was wrong, for the MD5 that was sent with it.
    pub(super) fn refused(&mut self, policy: &Policy, head: &Head, measured: &Measured) {
        self.is_refused = true;
        match head.checksum {
            Some(own) => self.is_refuted |= measured.checksums.contains(&own),
            None if policy.md5_is_promised => {}
            None => {
                self.crc = measured.checksums.first().copied();
                // The next reading passes if it comes to the same.
                self.is_refuted |= self.crc.is_some();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{ETag, Identity, Millis};
    use crate::store::Attributes;

    const CRC: Checksum = Checksum { algorithm: Algorithm::Crc64Nvme, value: 7 };

    fn head(checksum: Option<Checksum>) -> Head {
        let etag = ETag::new("0123456789abcdef0123456789abcdef");
        Head {
            identity: Identity { etag, version: None, size: 9, modified: Millis(0) },
            attributes: Attributes::default(),
            tag_count: 0,
            checksum,
            qetag: None,
            etag_is_opaque: false,
            is_archived: false,
            losses: std::collections::BTreeSet::new(),
            part_count: None,
            content_size: 9,
        }
    }

    fn measured(checksums: &[Checksum]) -> Measured {
        Measured { checksums: checksums.to_vec(), ..Measured::default() }
    }

    #[test]
    fn the_sources_own_checksum_refutes_an_md5_at_once() {
        let (mut seen, head) = (Seen::default(), head(Some(CRC)));
        assert!(seen.is_plain(&head));
        seen.refused(&Policy::default(), &head, &measured(&[CRC]));
        assert!(!seen.is_plain(&head) && !seen.is_unproven(&head));
        assert_eq!(seen.expects(&head, 9).checksum, Some(CRC));
    }

    #[test]
    fn without_one_two_readings_have_to_agree_and_a_promise_is_never_doubted() {
        let (mut seen, head) = (Seen::default(), head(None));
        let mut promised = Seen::default();
        let doubtful = Policy { md5_is_promised: false, ..Policy::default() };
        for (reading, is_plain) in [(measured(&[]), true), (measured(&[CRC]), false)] {
            seen.refused(&doubtful, &head, &reading);
            promised.refused(&Policy::default(), &head, &reading);
            assert_eq!((seen.is_plain(&head), promised.is_plain(&head)), (is_plain, true));
            let expected = seen.expects(&head, 9);
            assert_eq!(expected.algorithms, [Algorithm::Crc64Nvme]);
            assert_eq!(expected.checksum, (!is_plain).then_some(CRC));
            assert_eq!(promised.expects(&head, 9).checksum, None);
        }
        assert!(seen.is_unproven(&head) && !promised.is_unproven(&head));
    }
}
