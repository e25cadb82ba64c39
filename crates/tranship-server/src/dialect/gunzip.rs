//! Gunzip: what a store does to a body that it hands out uncompressed (RFC 1951 and 1952).

/// The bits of a DEFLATE stream, lowest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    bit: u32,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<usize> {
        let mut value = 0;
        for place in 0..count {
            let byte = *self.bytes.get(self.at)?;
            value |= usize::from((byte >> self.bit) & 1) << place;
            self.bit = (self.bit + 1) % 8;
            self.at += usize::from(self.bit == 0);
        }
        Some(value)
    }

    fn align(&mut self) {
        self.at += usize::from(self.bit != 0);
        self.bit = 0;
    }
}

/// A canonical Huffman code: how many symbols there are of each length, and the symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        let mut symbols = Vec::new();
        for (length, count) in counts.iter_mut().enumerate().skip(1) {
            let here = lengths.iter().enumerate().filter(|(_, known)| **known == length);
            symbols.extend(here.map(|(symbol, _)| symbol));
            *count = lengths.iter().filter(|known| **known == length).count();
        }
        Self { counts, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in self.counts.iter().skip(1) {
            code |= bits.take(1)?;
            if code < first + count {
                return self.symbols.get(index + code - first).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// The least length or distance of each symbol, with the number of bits to add.
const LENGTHS: [(usize, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

fn distance(symbol: usize) -> Option<(usize, u32)> {
    let extra = u32::try_from(symbol / 2).ok()?.saturating_sub(1);
    match symbol {
        0..4 => Some((symbol + 1, 0)),
        4..30 => Some((((2 + symbol % 2) << extra) + 1, extra)),
        _ => None,
    }
}

fn fixed() -> (Code, Code) {
    let lengths = (0..288).map(|symbol| match symbol {
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    });
    (Code::new(&lengths.collect::<Vec<_>>()), Code::new(&[5; 30]))
}

fn dynamic(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5)? + 257;
    let distances = bits.take(5)? + 1;
    let count = bits.take(4)? + 4;
    let mut lengths = [0; 19];
    for place in ORDER.iter().take(count) {
        *lengths.get_mut(*place)? = bits.take(3)?;
    }
    let code = Code::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.read(bits)? {
            16 => (*lengths.last()?, bits.take(2)? + 3),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    let (literals, distances) = lengths.split_at_checked(literals)?;
    Some((Code::new(literals), Code::new(distances)))
}

fn compressed(bits: &mut Bits<'_>, codes: &(Code, Code), plain: &mut Vec<u8>) -> Option<()> {
    loop {
        let symbol = codes.0.read(bits)?;
        if let Ok(byte) = u8::try_from(symbol) {
            plain.push(byte);
            continue;
        }
        let Some(index) = symbol.checked_sub(257) else { return Some(()) };
        let (least, extra) = *LENGTHS.get(index)?;
        let length = least + bits.take(extra)?;
        let (least, extra) = distance(codes.1.read(bits)?)?;
        let back = least + bits.take(extra)?;
        for _ in 0..length {
            plain.push(*plain.get(plain.len().checked_sub(back)?)?);
        }
    }
}

fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Bits { bytes, at: 0, bit: 0 };
    let mut plain = Vec::new();
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.align();
                let length = bits.take(16)?;
                bits.take(16)?;
                plain.extend_from_slice(bytes.get(bits.at..bits.at + length)?);
                bits.at += length;
            }
            1 => compressed(&mut bits, &fixed(), &mut plain)?,
            2 => {
                let codes = dynamic(&mut bits)?;
                compressed(&mut bits, &codes, &mut plain)?;
            }
            _ => return None,
        }
        if last {
            return Some(plain);
        }
    }
}

/// The bytes that were compressed, out of a file of one member; `None` if it is no such file.
pub(super) fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let flags = *bytes.strip_prefix(&[0x1f, 0x8b, 8])?.first()?;
    let mut rest = bytes.get(10..)?;
    if flags & 4 != 0 {
        let [low, high] = *rest.first_chunk()?;
        rest = rest.get(2 + usize::from(u16::from_le_bytes([low, high]))..)?;
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            rest = rest.get(rest.iter().position(|byte| *byte == 0)? + 1..)?;
        }
    }
    if flags & 2 != 0 {
        rest = rest.get(2..)?;
    }
    inflate(rest)
}

#[cfg(test)]
mod tests {
    use super::gunzip;

    #[test]
    fn blocks_of_all_kinds_are_unpacked() {
        let unpack = |text: &str| gunzip(&hex::decode(text).unwrap()).unwrap();
        assert_eq!(unpack("1f8b0800000000000403010600f9ff73746f7265640bf9435606000000"), b"stored");
        assert_eq!(unpack("1f8b08000000000002034b4c4a4e842100342a6e5a0c000000"), b"abcabcabcabc");
        let packed = concat!(
            "1f8b080000000000020335cf5b0ec3200c44d1b59aa7510a0591e2edd7336dce47240271b8a25a4ad9eec00c41",
            "4486c3ab3dcc7cf97637ac9472ce1f97407af71d7513468cb5563f2f8dce893162a892997f8bdd17f49cfd8963",
            "9c6c739a190e5f305a5b6b616885ab94f9c3656fcdef866b74d86bf9e4faffb72873180381398c01630e632031",
            "8731d099c318881cd91e8739fa30e630063273180393398c812f931d0efe68010000",
        );
        let number = |i: usize| u8::try_from(97 + (i * i * 7 + i / 3) % 23).unwrap();
        let plain: Vec<u8> =
            (0..120).flat_map(|i| std::iter::repeat_n(number(i), i % 5 + 1)).collect();
        assert_eq!(unpack(packed), plain);
    }

    #[test]
    fn what_is_no_file_of_that_kind_is_told() {
        assert_eq!(gunzip(b"plain"), None);
        assert_eq!(gunzip(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 7]), None);
    }
}
