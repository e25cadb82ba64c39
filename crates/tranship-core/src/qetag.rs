//! Qetags: `ETag`s that say by their form what they are, and that anybody can compute.
//!
//! A qetag is URL-safe base64 of 21 bytes. The first one says how the other twenty follow from the
//! content: 0x16, the SHA-1 of it, for at most 4 MiB; 0x96, the SHA-1 of the SHA-1s of its blocks of
//! 4 MiB, for more (<https://github.com/qiniu/qetag>). What was uploaded in parts of another size has
//! 0x9e, and follows from sizes that no answer tells
//! (<https://github.com/qiniu/java-sdk/blob/master/src/main/java/com/qiniu/util/EtagV2.java>): it is
//! not taken for a qetag here.
//!
//! One that is equal proves the content. One that differs proves other bytes only where there is one
//! block: there is no other way to cut it. That 0x96 is never given for blocks of another size is what
//! the vendor's clients take for granted, and what no document promises.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha1::{Digest as _, Sha1};

use crate::object::ETag;

const BLOCK_BYTES: u64 = 4 << 20;
const OF_ONE_BLOCK: u8 = 0x16;
const OF_SEVERAL: u8 = 0x96;

type Hash = [u8; 20];

/// What an `ETag` of this form says of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qetag {
    has_one_block: bool,
    hash: Hash,
}

impl Qetag {
    /// `None` for a text of another form, and for one that content of this size cannot have.
    pub fn of(etag: &ETag, size: u64) -> Option<Self> {
        let bytes: [u8; 21] = BASE64.decode(etag.as_str()).ok()?.try_into().ok()?;
        let [mark, hash @ ..] = bytes;
        let has_one_block = match mark {
            OF_ONE_BLOCK => true,
            OF_SEVERAL => false,
            _ => return None,
        };
        (has_one_block == (size <= BLOCK_BYTES)).then_some(Self { has_one_block, hash })
    }

    /// As the store writes it.
    pub fn text(self) -> String {
        let mark = if self.has_one_block { OF_ONE_BLOCK } else { OF_SEVERAL };
        BASE64.encode([&[mark][..], &self.hash].concat())
    }

    /// Whether bytes that come to another one cannot be those that it was made of.
    pub fn proves_a_difference(self) -> bool {
        self.has_one_block
    }
}

/// The running hash of one body, in whatever pieces it comes.
pub struct Blocks {
    block_bytes: u64,
    block: Sha1,
    /// Bytes of the block that is not closed yet. A full one is closed only when more bytes come.
    open_bytes: u64,
    /// Of the hashes of the blocks that are closed.
    whole: Sha1,
    has_one_block: bool,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks").field("open_bytes", &self.open_bytes).finish_non_exhaustive()
    }
}

impl Default for Blocks {
    fn default() -> Self {
        Self::of(BLOCK_BYTES)
    }
}

impl Blocks {
    fn of(block_bytes: u64) -> Self {
        let (block, whole) = (Sha1::new(), Sha1::new());
        Self { block_bytes, block, open_bytes: 0, whole, has_one_block: true }
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.open_bytes == self.block_bytes {
                self.whole.update(self.block.finalize_reset());
                self.open_bytes = 0;
                self.has_one_block = false;
            }
            let room = usize::try_from(self.block_bytes - self.open_bytes).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.update(now);
            self.open_bytes += u64::try_from(now.len()).unwrap_or(u64::MAX);
            bytes = later;
        }
    }

    pub fn finish(mut self) -> Qetag {
        let last = self.block.finalize();
        if self.has_one_block {
            return Qetag { has_one_block: true, hash: last.into() };
        }
        self.whole.update(last);
        Qetag { has_one_block: false, hash: self.whole.finalize().into() }
    }
}

/// What bytes have to come to, so that nothing speaks against them.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The store's own.
    pub own: Qetag,
    /// What an earlier reading came to, if it was not that.
    pub seen: Option<Qetag>,
}

impl Claim {
    /// Two readings that agree with each other were not damaged on their way. If they do not agree with
    /// the store's own, it was made of other blocks, unless there is but one.
    pub fn admits(&self, bytes: Qetag) -> bool {
        bytes == self.own || (!self.own.proves_a_difference() && self.seen == Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: usize = 1 << 20;

    fn qetag(bytes: &[u8]) -> Qetag {
        let mut blocks = Blocks::default();
        blocks.update(bytes);
        blocks.finish()
    }

    /// By the words of the description, of content that lies there as a whole.
    fn described(bytes: &[u8], block_bytes: usize) -> Vec<u8> {
        if bytes.len() <= block_bytes {
            return [&[0x16][..], &Sha1::digest(bytes)].concat();
        }
        let hashes: Vec<_> = bytes.chunks(block_bytes).flat_map(Sha1::digest).collect();
        [&[0x96][..], &Sha1::digest(hashes)].concat()
    }

    fn noise(size: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()
        };
        std::iter::repeat_with(&mut next).take(size.div_ceil(4)).flatten().take(size).collect()
    }

    /// <https://docs.rs/qiniu-etag>, which is the vendor's own.
    #[test]
    fn the_published_values_hold() {
        for (bytes, text) in
            [(&b""[..], "Fto5o-5ea0sNMlW_75VgGJCv2AcJ"), (b"etag", "FpLiADEaVoALPkdb8tJEJyRTXoe_")]
        {
            assert_eq!(qetag(bytes).text(), text);
        }
    }

    #[test]
    fn sizes_around_a_block_come_to_what_is_described() {
        let all = noise(9 * MIB);
        for size in [1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB, 9 * MIB] {
            let bytes = &all[..size];
            let text = BASE64.encode(described(bytes, 4 * MIB));
            let computed = qetag(bytes);
            assert_eq!(computed.text(), text, "{size}");
            let size = u64::try_from(size).unwrap();
            assert_eq!(Qetag::of(&ETag::new(&text), size), Some(computed), "{size}");
        }
    }

    #[test]
    fn only_what_has_the_form_and_fits_the_size_is_a_qetag() {
        let (one, several) = (qetag(b"etag").text(), qetag(&noise(5 * MIB)).text());
        let most = BLOCK_BYTES;
        for (text, size, is_one) in [
            (&*one, 0, true),
            (&one, most, true),
            (&one, most + 1, false),
            (&several, most, false),
            (&several, most + 1, true),
            // Of parts of another size; an MD5, and one of parts; and what is too long or too short.
            ("ns56DcSIfBFUENXjdhsJTIvl3Rcu", most + 1, false),
            ("ns56DcSIfBFUENXjdhsJTIvl3Rcu", 10, false),
            ("d41d8cd98f00b204e9800998ecf8427e", 0, false),
            ("d41d8cd98f00b204e9800998ecf8427e-2", most + 1, false),
            ("FpLiADEaVoALPkdb8tJEJyRTXoe", 4, false),
            ("FpLiADEaVoALPkdb8tJEJyRTXoe_AAAA", 4, false),
            // The other base64.
            ("FpLiADEaVoALPkdb8tJEJyRTXoe/", 4, false),
            ("", 0, false),
        ] {
            assert_eq!(Qetag::of(&ETag::new(text), size).is_some(), is_one, "{text} {size}");
        }
    }

    #[test]
    fn a_difference_is_a_proof_only_where_there_is_one_block() {
        let (one, other) = (qetag(b"one"), qetag(b"other"));
        let (many, others) = (qetag(&noise(5 * MIB)), qetag(&noise(6 * MIB)));
        for (own, seen, bytes, admitted) in [
            (one, None, one, true),
            (one, None, other, false),
            (one, Some(other), other, false),
            (many, None, many, true),
            (many, None, others, false),
            (many, Some(others), others, true),
            (many, Some(others), one, false),
            (many, Some(others), many, true),
        ] {
            let claim = Claim { own, seen };
            assert_eq!(claim.admits(bytes), admitted, "{claim:?} {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_pieces_they_come_in_the_bytes_come_to_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            block_bytes in 1_usize..200,
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut blocks = Blocks::of(u64::try_from(block_bytes).unwrap());
            cuts.windows(2).for_each(|ends| blocks.update(&bytes[ends[0]..ends[1]]));
            prop_assert_eq!(blocks.finish().text(), BASE64.encode(described(&bytes, block_bytes)));
        }

        /// Any text there: what is taken for a qetag is one, to the last letter.
        #[test]
        fn a_qetag_is_read_as_it_was_written(hash: Hash, text in "[Fl][A-Za-z0-9_-]{27}", size: u64) {
            for has_one_block in [true, false] {
                let qetag = Qetag { has_one_block, hash };
                let size = if has_one_block { size % (BLOCK_BYTES + 1) } else { size | (1 << 23) };
                prop_assert_eq!(Qetag::of(&ETag::new(&qetag.text()), size), Some(qetag));
            }
            if let Some(read) = Qetag::of(&ETag::new(&text), size) {
                prop_assert_eq!(read.text(), text);
            }
        }
    }
}
