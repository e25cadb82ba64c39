//! Documents that name things: what they name exists.

use std::collections::BTreeSet;
use std::path::Path;

use crate::sources::{files, root};

const PROMISES: &str = "docs/SEMANTICS.md";

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    // Every other piece lies between two backticks.
    text.split('`').skip(1).step_by(2)
}

/// Whether this is the path of a function: words of small letters with `::` between them.
fn is_path(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    text.contains("::") && text.split("::").all(is_name)
}

fn is_rust(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "rs")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// All tests by their whole paths, from the folder of the crate down to the function.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for source in files(".rs") {
        let (mut module, mut is_test) = ("", false);
        for line in source.text.lines() {
            if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
                module = name;
            }
            let line = line.trim_start();
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            }
            let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let (true, Some((name, _))) =
                (is_test, function.and_then(|rest| rest.split_once('(')))
            {
                let mut path = source.modules();
                path.extend([module, name].into_iter().filter(|name| !name.is_empty()));
                tests.insert(path.join("::"));
                is_test = false;
            }
        }
    }
    tests
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let tests = tests();
    assert!(tests.len() > 100, "the tests were read: {}", tests.len());
    let text = read(PROMISES);
    let mut promises = 0;
    for paragraph in text.split("\n\n").filter(|paragraph| paragraph.starts_with("**")) {
        promises += 1;
        let (promise, names) = paragraph
            .split_once("\nShown by: ")
            .unwrap_or_else(|| panic!("no test is named for:\n{paragraph}"));
        let names: Vec<_> = quoted(names).collect();
        assert!(!names.is_empty(), "no test is named for:\n{promise}");
        for name in names {
            assert!(is_path(name), "{name} is no test, for:\n{promise}");
        }
    }
    assert!(promises > 10, "the promises were read: {promises}");
    let is_there = |name: &&str| {
        let end = format!("::{name}");
        tests.iter().any(|test| test.ends_with(&end))
    };
    let missing: Vec<_> =
        quoted(&text).filter(|name| is_path(name)).filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{PROMISES} names tests that do not exist: {missing:#?}");
}

#[test]
fn links_and_files_that_documents_name_exist() {
    let sources: Vec<_> = files(".rs").into_iter().map(|source| source.path).collect();
    let mut links = 0;
    for document in files(".md") {
        let folder = root().join(&document.path);
        let folder = folder.parent().unwrap();
        for link in document.text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") {
                continue;
            }
            links += 1;
            assert!(folder.join(link).exists(), "{} links to {link}", document.path);
        }
        for name in quoted(&document.text).filter(|name| is_rust(name)) {
            let end = format!("/{name}");
            let is_there = sources.iter().any(|path| path == name || path.ends_with(&end));
            // `upload.rs` beside `upload/` is how modules are called, not one of them.
            assert!(
                is_there || name == "upload.rs" || name == "mod.rs",
                "{}: {name}",
                document.path
            );
        }
    }
    assert!(links > 5, "the links were read: {links}");
}
