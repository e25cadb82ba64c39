//! A file of keys: one a line, bare or as a line of a failure list.
//!
//! A line that is a JSON object with a `key` is read as one; any other line is a key as it stands,
//! without its line end. Empty lines are passed over.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tranship_core::finder::KeyLines;
use tranship_core::object::ObjectKey;

/// An open file of keys, and how far it has been read.
#[derive(Debug)]
pub struct KeysFile {
    path: PathBuf,
    open: Mutex<Option<(BufReader<File>, u64)>>,
}

impl KeysFile {
    /// Opens the file, so that one that cannot be read is named before anything is written.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = Self { path: path.to_owned(), open: Mutex::new(None) };
        file.reopen()?;
        Ok(file)
    }

    fn reopen(&self) -> Result<BufReader<File>, String> {
        File::open(&self.path).map(BufReader::new).map_err(|error| {
            format!("the file of keys {} cannot be read: {error}", self.path.display())
        })
    }
}

impl KeyLines for KeysFile {
    fn read(&self, from: u64, limit: usize) -> Result<(Vec<ObjectKey>, u64), String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut reader, mut line) = match open.take() {
            Some((reader, line)) if line <= from => (reader, line),
            _ => (self.reopen()?, 0),
        };
        let mut keys = Vec::new();
        let mut text = String::new();
        while keys.len() < limit {
            text.clear();
            let read = reader.read_line(&mut text);
            let read = read.map_err(|error| {
                format!("line {} of {}: {error}", line + 1, self.path.display())
            })?;
            if read == 0 {
                break;
            }
            line += 1;
            if line > from {
                keys.extend(key(&text));
            }
        }
        *open = Some((reader, line));
        Ok((keys, line))
    }
}

fn key(line: &str) -> Option<ObjectKey> {
    #[derive(serde::Deserialize)]
    struct Failure {
        key: String,
    }
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return None;
    }
    let failure: Option<Failure> =
        line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten();
    Some(ObjectKey::new(failure.map_or_else(|| line.to_owned(), |failure| failure.key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_keys_and_failures_are_read_from_any_line() {
        let folder = std::env::temp_dir().join(format!("tranship-keys-{}", std::process::id()));
        let text = "a b\r\n\n{\"key\":\"x\\ny\",\"size\":1,\"reason\":\"r\"}\n{not json\nlast";
        std::fs::write(&folder, text).unwrap();
        let file = KeysFile::open(&folder).unwrap();
        let read = |from, limit| {
            let (keys, next) = file.read(from, limit).unwrap();
            (keys.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>(), next)
        };
        assert_eq!(read(0, 2), (vec!["a b".to_owned(), "x\ny".to_owned()], 3));
        assert_eq!(read(3, 9), (vec!["{not json".to_owned(), "last".to_owned()], 5));
        assert_eq!(read(1, 1), (vec!["x\ny".to_owned()], 3));
        assert_eq!(read(5, 9), (vec![], 5));
        std::fs::remove_file(&folder).unwrap();
    }
}
