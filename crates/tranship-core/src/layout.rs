//! Splits an object into the parts of a multipart upload.
//!
//! Where the source's own boundaries can be learned and the destination can hold them, they are
//! kept, so that the destination's `ETag` equals the source's and every later compare is a listing.
//! Else the size of a part is a matter of cost and time. Every layout is `count` parts of one
//! size, the last one shorter: a layout is three numbers, whatever the object's size.

use serde::{Deserialize, Serialize};

use crate::object::{
    ByteRange, OBJECT_SIZE_MAX_BYTES, PART_NUMBER_MAX, PART_SIZE_MAX_BYTES, PART_SIZE_MIN_BYTES,
    PartNumber,
};

const MIB: u64 = 1 << 20;

/// Equal parts, the last one shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    size: u64,
    part_size: u64,
    part_count: u16,
}

/// Why an object has no layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error(
        "an object of {0} bytes is larger than the {OBJECT_SIZE_MAX_BYTES} bytes that S3 holds"
    )]
    TooLarge(u64),
    #[error("an empty object has no parts")]
    Empty,
}

impl Layout {
    /// A layout with this part size, if it is one that S3 accepts.
    pub fn new(size: u64, part_size: u64) -> Option<Self> {
        if size == 0 || part_size == 0 || part_size > PART_SIZE_MAX_BYTES {
            return None;
        }
        let part_count = u16::try_from(size.div_ceil(part_size)).ok()?;
        let small_inner_part = part_count > 1 && part_size < PART_SIZE_MIN_BYTES;
        (part_count <= PART_NUMBER_MAX && !small_inner_part).then_some(Self {
            size,
            part_size,
            part_count,
        })
    }

    /// The source's own layout, from what a HEAD of its first part says: accepted if its arithmetic
    /// fits the whole, and if S3 can hold it.
    pub fn of_source(size: u64, first_part_size: u64, part_count: u32) -> Option<Self> {
        let layout = Self::new(size, first_part_size)?;
        (u32::from(layout.part_count) == part_count).then_some(layout)
    }

    /// The layout that cost and time choose: `preferred` (64 MiB where none is asked for), growing
    /// with the object so that there are at most 10,000 parts.
    pub fn by_size(size: u64, preferred: Option<u64>) -> Result<Self, LayoutError> {
        if size == 0 {
            return Err(LayoutError::Empty);
        }
        if size > OBJECT_SIZE_MAX_BYTES {
            return Err(LayoutError::TooLarge(size));
        }
        let by_cost = match size {
            0..0x4000_0000 => 64 * MIB,
            0x4000_0000..0x19_0000_0000 => 128 * MIB,
            _ => 256 * MIB,
        };
        let preferred =
            preferred.unwrap_or(by_cost).clamp(PART_SIZE_MIN_BYTES, PART_SIZE_MAX_BYTES);
        let least = size.div_ceil(u64::from(PART_NUMBER_MAX)).div_ceil(MIB) * MIB;
        let part_size = preferred.max(least).min(PART_SIZE_MAX_BYTES);
        Self::new(size, part_size).ok_or(LayoutError::TooLarge(size))
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn part_size(&self) -> u64 {
        self.part_size
    }

    pub fn part_count(&self) -> u16 {
        self.part_count
    }

    /// The bytes of a part; `None` if the layout has no such part.
    pub fn range(&self, part: PartNumber) -> Option<ByteRange> {
        let start = part.index() * self.part_size;
        ByteRange::new(start, (start + self.part_size).min(self.size))
    }

    /// All part numbers in order.
    pub fn parts(&self) -> impl Iterator<Item = PartNumber> + use<> {
        (1..=self.part_count).filter_map(PartNumber::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sizes_have_known_layouts() {
        let tib = 1_u64 << 40;
        for (size, preferred, part_size, part_count) in [
            (1, None, 64 * MIB, 1),
            (64 * MIB + 1, None, 64 * MIB, 2),
            (5 * MIB * 10_000, Some(5 * MIB), 5 * MIB, 10_000),
            (5 * MIB * 10_000 + 1, Some(5 * MIB), 6 * MIB, 8_334),
            (2 * tib, None, 256 * MIB, 8_192),
            (OBJECT_SIZE_MAX_BYTES, None, PART_SIZE_MAX_BYTES, 10_000),
        ] {
            let layout = Layout::by_size(size, preferred).unwrap();
            assert_eq!(
                (layout.part_size(), layout.part_count()),
                (part_size, part_count),
                "{size}"
            );
        }
        assert_eq!(Layout::by_size(0, None), Err(LayoutError::Empty));
        let too_large = OBJECT_SIZE_MAX_BYTES + 1;
        assert_eq!(Layout::by_size(too_large, None), Err(LayoutError::TooLarge(too_large)));
    }

    #[test]
    fn a_source_layout_is_kept_only_if_its_arithmetic_fits() {
        assert!(Layout::of_source(20 * MIB, 8 * MIB, 3).is_some());
        assert!(Layout::of_source(20 * MIB, 8 * MIB, 4).is_none());
        assert!(Layout::of_source(20 * MIB, 4 * MIB, 5).is_none(), "inner parts under 5 MiB");
        assert!(Layout::of_source(MIB, MIB, 1).is_some(), "one part may be small");
        assert!(Layout::of_source(PART_SIZE_MAX_BYTES + 1, PART_SIZE_MAX_BYTES, 2).is_some());
    }

    proptest! {
        #[test]
        fn parts_cover_the_object_exactly(
            size in 1..=OBJECT_SIZE_MAX_BYTES,
            preferred in proptest::option::of(1..=PART_SIZE_MAX_BYTES),
        ) {
            let layout = Layout::by_size(size, preferred).unwrap();
            let mut next = 0;
            for part in layout.parts() {
                let range = layout.range(part).unwrap();
                prop_assert_eq!(range.start(), next);
                prop_assert!(range.size() <= PART_SIZE_MAX_BYTES);
                let last = part.get() == layout.part_count();
                prop_assert!(last || range.size() >= PART_SIZE_MIN_BYTES);
                next = range.end();
            }
            prop_assert_eq!(next, size);
        }
    }
}
