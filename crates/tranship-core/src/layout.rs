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
#[serde(try_from = "Numbers")]
pub struct Layout {
    size: u64,
    part_size: u64,
    part_count: u16,
}

/// A layout as it is written down. What is read is checked: all arithmetic relies on it.
#[derive(Deserialize)]
struct Numbers {
    size: u64,
    part_size: u64,
    part_count: u16,
}

impl TryFrom<Numbers> for Layout {
    type Error = String;

    fn try_from(numbers: Numbers) -> Result<Self, String> {
        let Numbers { size, part_size, part_count } = numbers;
        Self::of_source(size, part_size, part_count.into()).ok_or_else(|| {
            format!("{size} bytes in {part_count} parts of {part_size} are no layout")
        })
    }
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
    use crate::rows::{PARTS_PER_GROUP, group_of};
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

    /// Fails unless the parts cover the object exactly, in whole groups, and S3 takes each of them.
    #[track_caller]
    fn assert_covers(layout: &Layout, size: u64) {
        assert!((1..=PART_NUMBER_MAX).contains(&layout.part_count()), "{layout:?}");
        let mut next = 0;
        for (part, before) in layout.parts().zip(0..) {
            assert_eq!(group_of(part), before / PARTS_PER_GROUP, "groups are full but the last");
            let range = layout.range(part).unwrap();
            assert_eq!(range.start(), next, "{layout:?}");
            assert!(range.size() <= PART_SIZE_MAX_BYTES, "{layout:?}");
            let is_last = part.get() == layout.part_count();
            assert!(is_last || range.size() >= PART_SIZE_MIN_BYTES, "{layout:?}");
            next = range.end();
        }
        assert_eq!(next, size, "{layout:?}");
        let beyond = PartNumber::new(layout.part_count() + 1);
        assert_eq!(beyond.and_then(|part| layout.range(part)), None, "{layout:?}");
    }

    /// Where something changes: what a part holds, what ten thousand of them hold, and a power of two.
    fn boundaries() -> Vec<u64> {
        let sizes = [5, 6, 8, 63, 64, 65, 128, 255, 256, 257, 512, 1_023, 1_024, 4_096, 5_120];
        let sizes = sizes.map(|mib| mib * MIB);
        let counts = [1, 2, 15, 16, 17, 9_999, 10_000, 10_001];
        let products = sizes.iter().flat_map(|size| counts.map(|count| size * count));
        let powers = (0..64).map(|bit| 1_u64 << bit);
        let all = products.chain(powers).chain([OBJECT_SIZE_MAX_BYTES]);
        let mut all: Vec<_> = all.flat_map(|size| [size - 1, size, size + 1]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn every_boundary_of_the_sizes_has_a_layout() {
        let (mut some, mut none) = (0, 0);
        for size in boundaries() {
            for preferred in [None, Some(1), Some(5 * MIB), Some(5 * MIB + 1), Some(u64::MAX)] {
                match Layout::by_size(size, preferred) {
                    Ok(layout) => {
                        assert_covers(&layout, size);
                        some += 1;
                    }
                    Err(LayoutError::Empty) => assert_eq!(size, 0),
                    Err(LayoutError::TooLarge(of)) => {
                        assert!(size > OBJECT_SIZE_MAX_BYTES && of == size);
                        none += 1;
                    }
                }
            }
        }
        assert!(some > 1_000 && none > 100, "{some} {none}");
    }

    #[test]
    fn a_source_layout_is_kept_on_either_side_of_every_boundary() {
        for part_size in [5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 8 * MIB, PART_SIZE_MAX_BYTES] {
            for count in [1_u32, 2, 16, 17, 9_999, 10_000, 10_001] {
                for last in [1, part_size / 2, part_size] {
                    let size = part_size * u64::from(count - 1) + last;
                    let holds = count <= 10_000 && (count == 1 || part_size >= PART_SIZE_MIN_BYTES);
                    let first = part_size.min(size);
                    let layout = Layout::of_source(size, first, count);
                    assert_eq!(layout.is_some(), holds, "{size} {part_size} {count}");
                    if let Some(layout) = layout {
                        assert_covers(&layout, size);
                    }
                    assert_eq!(Layout::of_source(size, first, count + 1), None);
                    assert_eq!(Layout::of_source(size, first, count - 1), None);
                }
            }
        }
    }

    #[test]
    fn a_damaged_layout_cannot_be_read() {
        let layout = Layout::by_size(20 * MIB, Some(8 * MIB)).unwrap();
        let text = serde_json::to_string(&layout).unwrap();
        assert_eq!(serde_json::from_str::<Layout>(&text).unwrap(), layout);
        for (from, to) in [
            ("\"part_count\":3", "\"part_count\":4"),
            ("\"part_count\":3", "\"part_count\":0"),
            ("\"part_size\":8388608", "\"part_size\":18446744073709551615"),
            ("\"part_size\":8388608", "\"part_size\":0"),
            ("\"size\":20971520", "\"size\":0"),
        ] {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text);
            assert!(serde_json::from_str::<Layout>(&damaged).is_err(), "{damaged}");
        }
    }

    proptest! {
        #[test]
        fn parts_cover_the_object_exactly(
            bits in 0..46_u32,
            low: u64,
            preferred in proptest::option::of(1..=PART_SIZE_MAX_BYTES),
        ) {
            // Every magnitude is as likely as the next: nearly all numbers of the range are huge.
            let size = ((1 << bits) | (low % (1 << bits))).min(OBJECT_SIZE_MAX_BYTES);
            assert_covers(&Layout::by_size(size, preferred).unwrap(), size);
        }

        #[test]
        fn a_source_layout_covers_the_object_or_is_not_kept(
            size: u64,
            part_size in prop_oneof![1..=PART_SIZE_MAX_BYTES + 1, any::<u64>()],
            count in 0..=10_001_u64,
            exact: bool,
        ) {
            let size = if exact { part_size.saturating_mul(count) } else { size };
            let count = u32::try_from(count).unwrap();
            if let Some(layout) = Layout::of_source(size, part_size, count) {
                assert_covers(&layout, size);
                prop_assert_eq!(u32::from(layout.part_count()), count);
                prop_assert_eq!(layout.part_size(), part_size);
            }
        }
    }
}
