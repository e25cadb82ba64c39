//! Sizes and checksums.

use tranship_core::checksum::{Algorithm, Crcs, combine, composite_etag};
use tranship_core::layout::Layout;
use tranship_core::object::{
    ByteRange, ETag, ETagForm, OBJECT_SIZE_MAX_BYTES, PART_NUMBER_MAX, PART_SIZE_MAX_BYTES,
    PART_SIZE_MIN_BYTES, PartNumber,
};

use super::number;

/// The layout of any object: by a size and a preference, and by what a source says of its own.
pub fn layout(mut data: &[u8]) {
    let (size, preferred) = (number(&mut data), number(&mut data));
    let preferred = Some(preferred).filter(|preferred| preferred % 4 != 0);
    match Layout::by_size(size, preferred) {
        Ok(layout) => assert_covers(&layout, size),
        Err(_) => assert!(size == 0 || size > OBJECT_SIZE_MAX_BYTES, "{size}"),
    }
    let (first, count) = (number(&mut data), number(&mut data));
    let count = u32::try_from(count % (1 << 32)).unwrap_or(u32::MAX);
    if let Some(layout) = Layout::of_source(size, first, count) {
        assert_covers(&layout, size);
        assert_eq!((layout.part_size(), u32::from(layout.part_count())), (first, count));
    }
}

/// The parts cover the object exactly, and S3 takes each of them.
fn assert_covers(layout: &Layout, size: u64) {
    assert!((1..=PART_NUMBER_MAX).contains(&layout.part_count()), "{layout:?}");
    let mut end = 0;
    for part in layout.parts() {
        let range = layout.range(part).unwrap();
        assert_eq!(range.start(), end, "{layout:?}");
        let is_last = part.get() == layout.part_count();
        assert!(is_last || range.size() >= PART_SIZE_MIN_BYTES, "{layout:?}");
        assert!(range.size() <= PART_SIZE_MAX_BYTES, "{layout:?}");
        end = range.end();
    }
    assert_eq!(end, size, "{layout:?}");
    let beyond = PartNumber::new(layout.part_count() + 1);
    assert_eq!(beyond.and_then(|beyond| layout.range(beyond)), None::<ByteRange>, "{layout:?}");
}

/// The first byte says into how many pieces the others are cut, and the next ones where.
pub fn checksum(data: &[u8]) {
    let Some((pieces, rest)) = data.split_first() else { return };
    let (places, bytes) = rest.split_at(rest.len().min(usize::from(*pieces % 16)));
    let mut cuts: Vec<_> =
        places.iter().map(|place| usize::from(*place) * bytes.len() / 255).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    for algorithm in Algorithm::ALL {
        let crc = |bytes: &[u8]| {
            let mut crcs = Crcs::new(&[algorithm]);
            crcs.update(bytes);
            crcs.finish().first().unwrap().value
        };
        let parts = cuts.windows(2).map(|cut| bytes.get(cut[0]..cut[1]).unwrap());
        let parts = parts.map(|part| (crc(part), u64::try_from(part.len()).unwrap()));
        let whole = crc(bytes);
        assert_eq!(combine(algorithm, parts), whole, "{algorithm:?}");
        assert_eq!(algorithm.decode(&algorithm.encode(whole)), Some(whole));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for value in
        Algorithm::ALL.iter().filter_map(|algorithm| Some((algorithm, algorithm.decode(text)?)))
    {
        assert_eq!(value.0.encode(value.1), text);
    }
    etags(text);
}

/// Any text is an `ETag`, and says of itself what its form is.
fn etags(text: &str) {
    let etags: Vec<_> = text.split(',').map(ETag::new).collect();
    for etag in &etags {
        assert_eq!(ETag::new(&etag.quoted()), *etag, "what a store is told, it may tell");
        assert_eq!(etag.md5().is_some(), etag.form() == ETagForm::Plain);
    }
    let count = u32::try_from(etags.len()).unwrap();
    match composite_etag(&etags) {
        Some(whole) => assert_eq!(whole.form(), ETagForm::Composite { parts: count }),
        None => assert!(etags.iter().any(|etag| etag.form() != ETagForm::Plain)),
    }
}
