//! Qetags, as Qiniu Kodo gives them to its files: <https://github.com/qiniu/qetag>.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::crypto::{Checksum as _, Sha1};

const BLOCK: usize = 4 << 20;

/// The hashes of a body's blocks, while it arrives.
#[derive(Default)]
pub(crate) struct Blocks {
    hashes: Vec<[u8; 20]>,
    open: Vec<u8>,
}

impl Blocks {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
        while self.open.len() > BLOCK {
            let later = self.open.split_off(BLOCK);
            self.hashes.push(Sha1::checksum(&self.open));
            self.open = later;
        }
    }

    pub(crate) fn finish(mut self) -> String {
        self.hashes.push(Sha1::checksum(&self.open));
        match self.hashes.as_slice() {
            [only] => text(0x16, only),
            hashes => text(0x96, &Sha1::checksum(hashes.as_flattened())),
        }
    }
}

fn text(mark: u8, hash: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode([&[mark][..], hash].concat())
}

/// What parts with these, and of these sizes, come to: a qetag if each is a block, else one of another kind
/// (<https://github.com/qiniu/java-sdk/blob/master/src/main/java/com/qiniu/util/EtagV2.java>).
pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    let mut hashes = Vec::new();
    let mut sizes = Vec::new();
    for (qetag, size) in parts {
        hashes.extend(URL_SAFE_NO_PAD.decode(qetag).unwrap_or_default().into_iter().skip(1));
        sizes.push(usize::try_from(size).unwrap_or(usize::MAX));
    }
    let are_blocks = sizes
        .split_last()
        .is_some_and(|(last, others)| *last <= BLOCK && others.iter().all(|size| *size == BLOCK));
    match (are_blocks, sizes.len()) {
        (true, 1) => text(0x16, &hashes),
        (true, _) => text(0x96, &Sha1::checksum(&hashes)),
        (false, _) => text(0x9e, &Sha1::checksum(&hashes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qetag(bytes: &[u8]) -> String {
        let mut blocks = Blocks::default();
        blocks.update(bytes);
        blocks.finish()
    }

    /// <https://docs.rs/qiniu-etag>, which is the vendor's own.
    #[test]
    fn the_published_values_hold() {
        assert_eq!(qetag(b""), "Fto5o-5ea0sNMlW_75VgGJCv2AcJ");
        assert_eq!(qetag(b"etag"), "FpLiADEaVoALPkdb8tJEJyRTXoe_");
        let [hello, world] = [&b"hello"[..], b"world"].map(qetag);
        assert_eq!(of_parts([(&*hello, 5), (&*world, 5)]), "ns56DcSIfBFUENXjdhsJTIvl3Rcu");
    }

    #[test]
    fn parts_that_are_blocks_come_to_the_qetag_of_the_whole() {
        let bytes: Vec<u8> = (0..9 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
        let whole = qetag(&bytes);
        let cut = |size: usize| -> String {
            let parts: Vec<_> = bytes
                .chunks(size)
                .map(|part| (qetag(part), u64::try_from(part.len()).unwrap()))
                .collect();
            of_parts(parts.iter().map(|(qetag, size)| (&**qetag, *size)))
        };
        assert_eq!(cut(BLOCK), whole);
        for other in [BLOCK - 1, 5 << 20, bytes.len()] {
            assert_ne!(cut(other), whole, "{other}");
        }
    }
}
