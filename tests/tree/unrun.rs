//! What has no tests is not built for them. So nobody may write one where it would never run.

use crate::sources::{Source, files, from_root, metadata};

/// What cargo makes of a package: a library, a program, or a program of tests.
struct Product {
    /// The file that it begins with.
    path: String,
    runs_tests: bool,
    runs_examples: bool,
}

fn products() -> Vec<Product> {
    let metadata = metadata();
    let ours = metadata["packages"].as_array().unwrap().iter();
    let ours = ours.filter(|package| package["source"].is_null());
    ours.flat_map(|package| package["targets"].as_array().unwrap())
        .map(|product| Product {
            path: from_root(product["src_path"].as_str().unwrap()).to_owned(),
            runs_tests: product["test"] == true,
            runs_examples: product["doctest"] == true,
        })
        .collect()
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').unwrap().0
}

impl Product {
    /// Its own files: all of its folder, or one alone where another product begins in that folder, too.
    fn files<'a>(&self, all: &[Self], sources: &'a [Source]) -> Vec<&'a Source> {
        let place = folder(&self.path);
        let is_shared = all.iter().filter(|other| folder(&other.path) == place).count() > 1;
        let is_own = |source: &&Source| {
            source.path == self.path
                || (!is_shared && source.path.starts_with(&format!("{place}/")))
        };
        sources.iter().filter(is_own).collect()
    }
}

fn has_test(source: &Source) -> bool {
    let begins = ["#[test]", "#[tokio::test", "#[cfg(test)]"];
    source.text.lines().any(|line| begins.iter().any(|begin| line.trim().starts_with(begin)))
}

fn has_example(source: &Source) -> bool {
    let begins = ["/// ```", "//! ```"];
    source.text.lines().any(|line| begins.iter().any(|begin| line.trim().starts_with(begin)))
}

#[test]
fn no_test_and_no_example_lies_where_it_is_not_run() {
    let (all, sources) = (products(), files(".rs"));
    let idle: Vec<_> = all.iter().filter(|product| !product.runs_tests).collect();
    assert!(!idle.is_empty() && idle.iter().all(|it| !it.files(&all, &sources).is_empty()));
    for product in &all {
        for source in product.files(&all, &sources) {
            assert!(product.runs_tests || !has_test(source), "{} is never tested", source.path);
            assert!(product.runs_examples || !has_example(source), "{}: an example", source.path);
        }
    }
}
