//! The facts: what was seen of the stores, as options that a copy takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use tranship_core::object::escape;

use super::finding::Finding;
use crate::exit::{Exit, Failure};

/// The first line of the file, by which another look knows that it may be replaced.
const FIRST_LINE: &str =
    "# What tranship doctor saw of these stores. Give it to copy with --config.";

const REMEDY: &str = "name a file that is not there yet with --write-facts, in a folder that is";

/// Options and their values.
pub(super) type Facts = BTreeMap<String, Value>;

/// All options that any finding recommends.
pub(super) fn of(findings: &[Finding]) -> Facts {
    findings.iter().flat_map(|finding| finding.options.iter().cloned()).collect()
}

/// Refuses to replace a file that somebody else wrote.
pub(super) fn check_place(path: &Path) -> Result<(), Failure> {
    match std::fs::read(path) {
        Ok(bytes) if bytes.starts_with(FIRST_LINE.as_bytes()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(misplaced(path, "is there, and holds something else")),
        Err(error) => Err(misplaced(path, &error.to_string())),
    }
}

pub(super) fn write(path: &Path, facts: &Facts, names: &[String; 2]) -> Result<(), Failure> {
    let [source, destination] = names;
    let text = format!("{FIRST_LINE}\n# From {source} to {destination}\n{}", lines(facts));
    std::fs::write(path, text).map_err(|error| misplaced(path, &error.to_string()))
}

fn misplaced(path: &Path, why: &str) -> Failure {
    let what = format!("the file of facts {} {why}", escape(&path.to_string_lossy()));
    Failure::new(Exit::Usage, what, REMEDY)
}

/// The lines of a configuration file. What stands in them is the same text in JSON and in TOML.
fn lines(facts: &Facts) -> String {
    facts.iter().fold(String::new(), |mut out, (name, value)| {
        // Writing to a string cannot fail.
        writeln!(out, "{name} = {value}").unwrap_or_default();
        out
    })
}

/// What a person reads of them, at the end of everything.
pub(super) fn text(facts: &Facts, file: Option<&Path>) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let place = file.map_or_else(
        || "put them into the file of --config, or write one with --write-facts".to_owned(),
        |path| format!("written to {}, for --config", escape(&path.to_string_lossy())),
    );
    format!("facts: options that a copy should have; {place}\n{}", lines(facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_lines_of_toml() {
        let facts = Facts::from([
            ("source-list-version".to_owned(), Value::from("1")),
            ("destination-conditions".to_owned(), Value::from(false)),
        ]);
        assert_eq!(lines(&facts), "destination-conditions = false\nsource-list-version = \"1\"\n");
        assert_eq!(text(&Facts::new(), None), "");
    }
}
