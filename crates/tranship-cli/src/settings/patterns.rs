//! Globs and regular expressions: how they are read, and where a bad one is wrong.
//!
//! A glob is turned into a regular expression here, and not by a library for paths: a key is a
//! string of characters in any script, and such libraries see bytes and folders.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexSet};

/// Why a pattern cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern {
    pub reason: String,
    /// Counted in characters from 1; `None` if the whole pattern is at fault.
    pub position: Option<usize>,
}

impl BadPattern {
    fn at(position: usize, reason: &str) -> Self {
        Self { reason: reason.to_owned(), position: Some(position) }
    }
}

/// Compiles globs and regular expressions into one set, which matches where any of them does.
pub fn set(globs: &[String], regexes: &[String]) -> Result<RegexSet, BadPattern> {
    let mut all = globs.iter().map(|pattern| glob(pattern)).collect::<Result<Vec<_>, _>>()?;
    all.extend(regexes.iter().cloned());
    RegexSet::new(all)
        .map_err(|error| BadPattern { reason: reason(&error.to_string()), position: None })
}

/// Checks a regular expression, in the dialect of the regex crate. It may match anywhere.
pub fn regex(pattern: &str) -> Result<(), BadPattern> {
    Regex::new(pattern).map(drop).map_err(|error| {
        let message = error.to_string();
        BadPattern { reason: reason(&message), position: caret_position(pattern, &message) }
    })
}

/// The regular expression that a glob stands for. It matches whole keys: `*` any text (`/` too),
/// `?` any one character, `[a-z]` and `[!a-z]` one of a class, `{a,b}` either, and `\` takes the
/// next character for itself.
pub fn glob(pattern: &str) -> Result<String, BadPattern> {
    let mut reader = Reader { chars: pattern.chars().peekable(), position: 0 };
    let mut out = String::from("(?s)\\A");
    let mut open = Vec::new();
    while let Some(c) = reader.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => class(&mut reader, &mut out)?,
            '{' => {
                open.push(reader.position);
                out.push_str("(?:");
            }
            ',' if !open.is_empty() => out.push('|'),
            '}' if open.pop().is_some() => out.push(')'),
            '}' => return Err(BadPattern::at(reader.position, "there is no { for this }")),
            '\\' => match reader.next() {
                Some(c) => literal(&mut out, c),
                None => {
                    return Err(BadPattern::at(reader.position, "there is nothing after this \\"));
                }
            },
            c => literal(&mut out, c),
        }
    }
    if let Some(position) = open.pop() {
        return Err(BadPattern::at(position, "there is no } for this {"));
    }
    out.push_str("\\z");
    Ok(out)
}

/// Characters and the position of the last one.
struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    position: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.position += usize::from(next.is_some());
        next
    }

    fn take(&mut self, any_of: &[char]) -> bool {
        let found = self.chars.peek().is_some_and(|c| any_of.contains(c));
        found && self.next().is_some()
    }
}

/// Reads what follows `[`. A `]` that comes first, and a `-` at either end, stand for themselves.
fn class(reader: &mut Reader<'_>, out: &mut String) -> Result<(), BadPattern> {
    let begin = reader.position;
    let unclosed = || BadPattern::at(begin, "there is no ] for this [");
    out.push_str(if reader.take(&['!', '^']) { "[^" } else { "[" });
    let mut is_first = true;
    loop {
        let from = reader.next().ok_or_else(unclosed)?;
        if from == ']' && !is_first {
            break;
        }
        is_first = false;
        let start = reader.position;
        literal(out, from);
        if !reader.take(&['-']) {
            continue;
        }
        if reader.take(&[']']) {
            literal(out, '-');
            break;
        }
        let to = reader.next().ok_or_else(unclosed)?;
        if to < from {
            return Err(BadPattern::at(start, "this range runs backwards"));
        }
        out.push('-');
        literal(out, to);
    }
    out.push(']');
    Ok(())
}

/// A character by its number means itself everywhere.
fn literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        // Writing to a string cannot fail.
        write!(out, "\\x{{{:x}}}", u32::from(c)).unwrap_or_default();
    }
}

/// The last line of the library's drawing.
fn reason(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// The library draws a caret below the pattern, four columns in. A pattern of several lines is
/// drawn otherwise.
fn caret_position(pattern: &str, message: &str) -> Option<usize> {
    if pattern.contains('\n') {
        return None;
    }
    let is_carets = |line: &&str| line.contains('^') && line.trim_matches([' ', '^']).is_empty();
    message.lines().find(is_carets)?.find('^')?.checked_sub(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_glob_says_where() {
        for (pattern, position) in [
            ("a[b", 2),
            ("[]", 1),
            ("[a-", 1),
            ("é{a,b", 2),
            ("{a,{b}", 1),
            ("a}b", 2),
            ("x[yz-a]", 4),
            ("ab\\", 3),
        ] {
            assert_eq!(glob(pattern).unwrap_err().position, Some(position), "{pattern}");
        }
    }

    #[test]
    fn a_bad_regex_says_where() {
        for (pattern, position) in [("a(b", 2), ("*", 1), ("é[", 2), ("a{5,2}", 2)] {
            let bad = regex(pattern).unwrap_err();
            assert_eq!(bad.position, Some(position), "{pattern}: {}", bad.reason);
            assert!(!bad.reason.contains("error:"), "{}", bad.reason);
        }
    }

    #[test]
    fn globs_see_characters_and_not_paths() {
        for (pattern, key, matches) in [
            ("*.jpg", "a/b/c.jpg", true),
            ("*.jpg", "a.jpg.txt", false),
            ("*.jpg", "a.jpg\n", false),
            ("*", "a//../b\n.", true),
            ("a?b", "a/b", true),
            ("a?b", "aéb", true),
            ("[é-ü]", "ö", true),
            ("[!x]", "😀", true),
            ("[!x]", "x", false),
            ("[]a-]", "]", true),
            ("[]a-]", "-", true),
            ("[\\]", "\\", true),
            ("**/..", "x/..", true),
            ("{a,b{1,2},}c", "b2c", true),
            ("{a,b{1,2},}c", "c", true),
            ("{a,b}*", "cb", false),
            ("a,b", "a,b", true),
            ("\\*.(x)", "*.(x)", true),
            ("\\*.(x)", "a.(x)", false),
        ] {
            let regex = Regex::new(&glob(pattern).unwrap()).unwrap();
            assert_eq!(regex.is_match(key), matches, "{pattern} {key:?}");
        }
    }

    #[test]
    fn a_set_holds_both_kinds() {
        let set = set(&["*.jpg".to_owned()], &["^b".to_owned()]).unwrap();
        assert!(set.is_match("a.jpg") && set.is_match("bc") && !set.is_match("c"));
    }
}
