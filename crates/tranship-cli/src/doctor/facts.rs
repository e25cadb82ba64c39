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
    format!(
        "facts: options that a copy should have; {place}\n{}in a stack: {}\n",
        lines(facts),
        parameter(facts)
    )
}

/// The same as a parameter of a stack.
fn parameter(facts: &Facts) -> String {
    let bare = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let each: Vec<_> =
        facts.iter().map(|(name, value)| format!("{name}={}", bare(value))).collect();
    format!("Facts={}", each.join(","))
}

#[cfg(test)]
mod tests {
    use tranship_adapters::stores::s3::vendors::{FACTS, Facts as Seen};

    use super::*;
    use crate::settings::names::OPTIONS;

    #[test]
    fn facts_are_lines_of_toml_and_a_parameter_of_a_stack() {
        let facts = Facts::from([
            ("source-list-version".to_owned(), Value::from("1")),
            ("destination-conditions".to_owned(), Value::from(false)),
            ("multipart-threshold".to_owned(), Value::from("5GiB")),
        ]);
        let file = lines(&facts);
        let of_file = "destination-conditions = false\nmultipart-threshold = \"5GiB\"\nsource-list-version = \"1\"\n";
        assert_eq!(file, of_file);
        let parameter = parameter(&facts);
        let line = parameter.strip_prefix("Facts=").unwrap();
        assert_eq!(
            line,
            "destination-conditions=false,multipart-threshold=5GiB,source-list-version=1"
        );
        // A stack reads both to the same.
        let read = Seen::read(line).unwrap();
        assert_eq!(read.multipart_threshold_bytes, Some(5 << 30));
        assert_eq!(Seen::read(&file.replace('\n', ",")), Ok(read));
        assert_eq!(text(&Facts::new(), None), "");
    }

    #[test]
    fn every_option_that_is_a_fact_is_an_option_of_the_command() {
        for name in FACTS {
            assert!(OPTIONS.iter().any(|(option, _)| *option == name), "{name}");
        }
    }
}
