//! A file of keys: one a line, bare or as a line of a failure list.
//!
//! A line that is a JSON object with a `key` is read as one; any other line is a key as it stands,
//! without its line end. Empty lines are passed over.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tranship_core::checksum::{Algorithm, Crcs};
use tranship_core::finder::KeyLines;
use tranship_core::object::ObjectKey;

/// Bytes of a line that may be a key: one of 1,024 bytes in JSON, with its reason, is far shorter.
const LINE_MAX_BYTES: u64 = 1 << 20;

/// An open file of keys, and how far it has been read.
#[derive(Debug)]
pub struct KeysFile {
    path: PathBuf,
    checksum: u64,
    open: Mutex<Option<(BufReader<File>, u64)>>,
}

impl KeysFile {
    /// Reads the file once, so that what is wrong with it is named before anything is written.
    pub fn open(path: &Path) -> Result<Self, String> {
        let mut file = Self { path: path.to_owned(), checksum: 0, open: Mutex::new(None) };
        file.checksum = file.check()?;
        Ok(file)
    }

    /// Tells one content of the file from another.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    fn check(&self) -> Result<u64, String> {
        let mut reader = self.reopen()?;
        let mut crcs = Crcs::new(&[Algorithm::Crc64Nvme]);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let read = (&mut reader).take(LINE_MAX_BYTES).read_until(b'\n', &mut line);
            let wrong = |what: &str| {
                let path = self.path.display();
                format!("the file of keys {path} cannot be read: line {number} {what}")
            };
            let read = read.map_err(|error| wrong(&format!("gives {error}")))?;
            if read == 0 {
                break;
            }
            if !line.ends_with(b"\n") && u64::try_from(read) == Ok(LINE_MAX_BYTES) {
                return Err(wrong("is longer than 1 MiB, and no key is"));
            }
            std::str::from_utf8(&line).map_err(|_| wrong("is not UTF-8"))?;
            crcs.update(&line);
        }
        Ok(crcs.finish().first().map_or(0, |checksum| checksum.value))
    }

    fn reopen(&self) -> Result<BufReader<File>, String> {
        File::open(&self.path).map(BufReader::new).map_err(|error| {
            format!("the file of keys {} cannot be read: {error}", self.path.display())
        })
    }
}

#[async_trait]
impl KeyLines for KeysFile {
    async fn read(&self, from: u64, limit: usize) -> Result<(Vec<ObjectKey>, u64), String> {
        self.lines(from, limit)
    }
}

impl KeysFile {
    fn lines(&self, from: u64, limit: usize) -> Result<(Vec<ObjectKey>, u64), String> {
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
    fn a_file_that_cannot_be_keys_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let open = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            KeysFile::open(&path)
        };
        assert!(open(b"a\n\xff\n").unwrap_err().ends_with("line 2 is not UTF-8"));
        assert!(open(&vec![b'a'; 2 << 20]).unwrap_err().contains("line 1 is longer than 1 MiB"));
        assert!(KeysFile::open(folder.path()).unwrap_err().contains("line 1 gives"));
        assert!(KeysFile::open(&folder.path().join("none")).unwrap_err().contains("cannot be"));
        let one = open(b"a\nb\n").unwrap().checksum();
        assert_ne!(one, open(b"a\nc\n").unwrap().checksum());
    }

    #[test]
    fn bare_keys_and_failures_are_read_from_any_line() {
        let folder = std::env::temp_dir().join(format!("tranship-keys-{}", std::process::id()));
        let text = "a b\r\n\n{\"key\":\"x\\ny\",\"size\":1,\"reason\":\"r\"}\n{not json\nlast";
        std::fs::write(&folder, text).unwrap();
        let file = KeysFile::open(&folder).unwrap();
        let read = |from, limit| {
            let (keys, next) = file.lines(from, limit).unwrap();
            (keys.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>(), next)
        };
        assert_eq!(read(0, 2), (vec!["a b".to_owned(), "x\ny".to_owned()], 3));
        assert_eq!(read(3, 9), (vec!["{not json".to_owned(), "last".to_owned()], 5));
        assert_eq!(read(1, 1), (vec!["x\ny".to_owned()], 3));
        assert_eq!(read(5, 9), (vec![], 5));
        std::fs::remove_file(&folder).unwrap();
    }
}
