//! What was seen of the stores of a transfer, where they differ from the rows of their vendors.
//!
//! `tranship doctor` writes facts as options of the command; a stack takes the same as one line of
//! `name=value`, with commas between them.

use super::ListVersion;

const MIB: u64 = 1 << 20;

/// The options of the command that are facts: what a look at a store can find out, and a copy has to know.
pub const NAMES: [&str; 10] = [
    "source-list-version",
    "source-list-encoding",
    "source-path-style",
    "source-checksums",
    "destination-list-version",
    "destination-list-encoding",
    "destination-path-style",
    "destination-checksums",
    "destination-conditions",
    "multipart-threshold",
];

/// What is to be believed instead of the rows. `None`: nothing else was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    pub source: SideFacts,
    pub destination: SideFacts,
    /// Whether the destination honours conditions on writes.
    pub conditions: Option<bool>,
    /// Below this objects are read in one piece.
    pub multipart_threshold_bytes: Option<u64>,
}

/// Of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SideFacts {
    pub list_version: Option<ListVersion>,
    pub list_encoding: Option<bool>,
    pub path_style: Option<bool>,
    /// Whether Amazon's headers about checksums, and those that came with them, may be sent.
    pub checksums: Option<bool>,
}

impl Facts {
    /// Reads a line of facts; `Err` says what is wrong with it. Spaces, and quotes around a value, as in a file
    /// of facts, change nothing.
    pub fn read(line: &str) -> Result<Self, String> {
        let mut facts = Self::default();
        for fact in line.split(',').map(str::trim).filter(|fact| !fact.is_empty()) {
            let Some((name, value)) = fact.split_once('=') else {
                return Err(format!("{fact:?} is no name=value"));
            };
            facts.take(name.trim(), value.trim().trim_matches('"'))?;
        }
        Ok(facts)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Self { source, destination, conditions, multipart_threshold_bytes } = self;
        let taken = match name {
            "source-list-version" => put(&mut source.list_version, version(value)),
            "source-list-encoding" => put(&mut source.list_encoding, value.parse().ok()),
            "source-path-style" => put(&mut source.path_style, value.parse().ok()),
            "source-checksums" => put(&mut source.checksums, value.parse().ok()),
            "destination-list-version" => put(&mut destination.list_version, version(value)),
            "destination-list-encoding" => put(&mut destination.list_encoding, value.parse().ok()),
            "destination-path-style" => put(&mut destination.path_style, value.parse().ok()),
            "destination-checksums" => put(&mut destination.checksums, value.parse().ok()),
            "destination-conditions" => put(conditions, value.parse().ok()),
            "multipart-threshold" => put(multipart_threshold_bytes, bytes(value)),
            _ => return Err(format!("{name:?} is no fact: {} are", NAMES.join(", "))),
        };
        taken.map_err(|wrong| format!("{name}={value} {wrong}"))
    }
}

/// Takes a value that could be read, and no second one.
fn put<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), &'static str> {
    let value = value.ok_or("has a value that it cannot have")?;
    if place.replace(value).is_some() { Err("is said twice") } else { Ok(()) }
}

fn version(value: &str) -> Option<ListVersion> {
    ListVersion::WORDS.into_iter().find(|(word, _)| *word == value).map(|(_, version)| version)
}

/// A size in whole MiB or GiB.
fn bytes(value: &str) -> Option<u64> {
    let in_mib = |number: &str| number.parse::<u64>().ok();
    let mib = match value.strip_suffix("GiB") {
        Some(number) => in_mib(number)?.checked_mul(1_024)?,
        None => in_mib(value.strip_suffix("MiB")?)?,
    };
    mib.checked_mul(MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_printed_and_as_a_file_has_it() {
        let wanted = Facts {
            source: SideFacts { list_version: Some(ListVersion::V1), ..SideFacts::default() },
            destination: SideFacts { path_style: Some(true), ..SideFacts::default() },
            conditions: Some(false),
            multipart_threshold_bytes: Some(5 << 30),
        };
        for line in [
            "destination-conditions=false,destination-path-style=true,multipart-threshold=5GiB,source-list-version=1",
            "source-list-version = \"1\", multipart-threshold = \"5120MiB\",\n destination-path-style = true, destination-conditions = false,",
        ] {
            assert_eq!(Facts::read(line), Ok(wanted), "{line}");
        }
        assert_eq!(Facts::read(""), Ok(Facts::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, says) in [
            ("source-list-version", "is no name=value"),
            ("source-list-version=3", "source-list-version=3 has a value"),
            ("destination-conditions=no", "destination-conditions=no has a value"),
            ("multipart-threshold=64", "multipart-threshold=64 has a value"),
            ("multipart-threshold=99999999999999GiB", "has a value"),
            ("source-conditions=true", "\"source-conditions\" is no fact: source-list-version,"),
            ("source-path-style=true,source-path-style=true", "is said twice"),
        ] {
            let wrong = Facts::read(line).unwrap_err();
            assert!(wrong.contains(says), "{line}: {wrong}");
        }
    }

    #[test]
    fn every_name_is_read() {
        for name in NAMES {
            let values = ["1", "true", "64MiB"];
            let read = values.iter().any(|value| Facts::read(&format!("{name}={value}")).is_ok());
            assert!(read, "{name}");
        }
    }
}
