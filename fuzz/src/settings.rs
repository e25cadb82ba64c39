//! What a person writes: options, in the environment and in a file, and a file of keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tranship_cli::args::CopyArgs;
use tranship_cli::keys_file::KeysFile;
use tranship_cli::settings::{ConfigFile, CopySettings};
use tranship_core::finder::KeyLines as _;
use tranship_core::object::ObjectKey;

use super::assert_readable;

/// A line with this alone stands between the variables and the file.
const BETWEEN: &str = "\n---\n";

/// Variables, one a line, and a configuration file: settings, or one mistake with its place and a
/// remedy.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (variables, file) = text.split_once(BETWEEN).unwrap_or(("", text));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let mut variables: BTreeMap<String, String> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    variables.entry("HOME".to_owned()).or_insert_with(|| "/home/me".to_owned());
    let args = CopyArgs {
        source: Some("s3://here/from/".to_owned()),
        destination: Some("s3://there/to/".to_owned()),
        ..CopyArgs::default()
    };
    let file = ConfigFile { path: PathBuf::from("the-file.toml"), text: file.to_owned() };
    match CopySettings::resolve(&args, &variables, &[file]) {
        Ok(settings) => {
            assert!(settings.concurrency > 0 && settings.memory_budget_bytes > 0);
            assert!(!settings.source.location.bucket.is_empty());
        }
        Err(mistake) => {
            assert_readable(&mistake.what);
            assert_readable(&mistake.place);
            assert_readable(&mistake.remedy);
        }
    }
}

/// The keys of a file are the same in whatever portions they are read.
pub fn keys_file(data: &[u8]) {
    let path = std::env::temp_dir().join(format!("tranship-fuzz-keys-{}", std::process::id()));
    std::fs::write(&path, data).unwrap();
    match KeysFile::open(&path) {
        Ok(file) => {
            let (all, lines) = keys_of(&file, 0, usize::MAX);
            assert!(all.len() <= usize::try_from(lines).unwrap());
            let (mut by_two, mut next) = (Vec::new(), 0);
            while next < lines {
                let (keys, then) = keys_of(&file, next, 2);
                assert!(then > next, "it goes on");
                by_two.extend(keys);
                next = then;
            }
            assert_eq!(by_two, all);
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
    std::fs::remove_file(&path).unwrap();
}

fn keys_of(file: &KeysFile, from: u64, limit: usize) -> (Vec<ObjectKey>, u64) {
    // It never waits.
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(file.read(from, limit))
        .unwrap()
}
