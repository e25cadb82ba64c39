//! Keys that are easily mangled.

/// Keys that break whoever parses, normalises or decodes them: in a URL, a header, a listing or a path.
pub const HOSTILE: [&str; 24] = [
    "plus+sign",
    "per%cent",
    "%2B",
    "%",
    "space and  more ",
    " lead",
    "a//b",
    "./a",
    "a/../b",
    "..",
    "/slash",
    "trail/",
    "quote\"s'",
    "back\\slash",
    "tab\tnew\nline",
    "bell\u{7}",
    "é",
    "e\u{301}",
    "e\u{301}é",
    "😀",
    "?q#f&amp;",
    "<x>",
    "~tilde*()!",
    "\u{202e}rtl\u{10ffff}",
];

/// What XML cannot hold, not even as a reference, and what its readers take for another character.
pub fn is_lost_in_xml(c: char) -> bool {
    (c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\u{7f}'))
        || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// A key of so many bytes, most of which have to be written in another way in a URL or in XML.
pub fn of_length(bytes: usize) -> String {
    const PIECE: &str = "a+%2B é//😀\"&'.";
    let mut key = PIECE.repeat(bytes / PIECE.len());
    key.extend(std::iter::repeat_n('k', bytes - key.len()));
    key
}
