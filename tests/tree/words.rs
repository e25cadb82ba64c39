//! One word for one thing: names that we give do not hold the words that stand for something else.

use crate::sources::files;

/// Of others' making, with a meaning of their own each; ours are part, task, run and completer.
const NOT_USED: [&str; 7] = ["target", "chunk", "shard", "blob", "job", "session", "finisher"];
/// Modules that would say nothing of what is in them.
const NO_MODULES: [&str; 4] = ["util", "utils", "common", "helpers"];

/// What stands before a name that is given.
const GIVES_A_NAME: [&str; 9] =
    ["fn ", "struct ", "enum ", "trait ", "type ", "const ", "static ", "mod ", "let "];

/// The names that a line gives.
fn names(line: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let line = line.trim_start();
    if line.starts_with("//") {
        return Vec::new();
    }
    let mut names = Vec::new();
    for before in GIVES_A_NAME {
        for (at, _) in line.match_indices(before) {
            let is_word = line[..at].chars().next_back().is_none_or(|c| !is_part(c));
            let rest = line[at + before.len()..].trim_start_matches("mut ");
            let name = rest.split(|c| !is_part(c)).next().unwrap_or_default();
            if is_word && !name.is_empty() {
                names.push(name);
            }
        }
    }
    // A field, or a parameter that has a line of its own.
    let field = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
    if let Some((name, rest)) = field.split_once(':')
        && !name.is_empty()
        && name.chars().all(is_part)
        && rest.starts_with(' ')
    {
        names.push(name);
    }
    names
}

/// The words of a name, in small letters: `PartSize` and `part_size` have the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && was_small) {
            words.push(String::new());
        }
        was_small = c.is_lowercase();
        if c != '_' {
            words.last_mut().unwrap().extend(c.to_lowercase());
        }
    }
    words
}

#[test]
fn no_name_of_ours_holds_a_word_that_is_not_used() {
    let mut seen = 0;
    for source in files(".rs") {
        for (number, line) in (1..).zip(source.text.lines()) {
            for name in names(line) {
                seen += 1;
                for word in words(name) {
                    let word = word.strip_suffix('s').unwrap_or(&word);
                    assert!(!NOT_USED.contains(&word), "{}:{number}: {name}", source.path);
                }
            }
        }
        let module = source.modules().last().copied().unwrap_or_default().to_owned();
        assert!(!NO_MODULES.contains(&module.as_str()), "{}", source.path);
    }
    assert!(seen > 5_000, "the names were read: {seen}");
}

#[test]
fn names_and_their_words_are_found() {
    assert_eq!(names("pub(crate) async fn a_b<T>(c: T) {"), ["a_b"]);
    assert_eq!(names("    let mut part = 1; let other = 2;"), ["part", "other"]);
    assert_eq!(names("    pub size: u64,"), ["size"]);
    assert!(names("// let there be").is_empty());
    assert_eq!(words("BlobStore_jobs"), ["blob", "store", "jobs"]);
}
