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
