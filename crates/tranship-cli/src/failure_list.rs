//! The failure list: what failed in a run, one line of JSON each, as `--keys-from` takes it.
//!
//! It is written beside its place and moved there when the run is over. The place may hold the very
//! list that the run reads its keys from, and until its last key is settled that one is needed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tranship_core::rows::Note;

use crate::exit::{Exit, Failure};

/// A list that grows beside its place.
#[derive(Debug)]
pub(crate) struct FailureList {
    path: PathBuf,
    file: BufWriter<File>,
    failures: u64,
    error: Option<io::Error>,
}

impl FailureList {
    /// Begins an empty list, so that a place that cannot be written is named before anything is
    /// copied.
    pub(crate) fn begin(path: &Path) -> Result<Self, Failure> {
        let file = create_beside(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), failures: 0, error: None })
    }

    pub(crate) fn add(&mut self, note: &Note) {
        self.failures += 1;
        let line = serde_json::to_string(note).map_err(io::Error::from);
        let written = line.and_then(|line| writeln!(self.file, "{line}"));
        if let Err(error) = written {
            self.error.get_or_insert(error);
        }
    }

    /// Moves the list to its place and tells it, if anything failed. What an earlier run left there
    /// is gone then, even if nothing failed: a list speaks of one run.
    pub(crate) fn publish(mut self) -> Result<Option<PathBuf>, Failure> {
        let written = self.error.take().map_or_else(|| self.file.flush(), Err);
        let moved = written.and_then(|()| {
            if self.failures > 0 || self.path.exists() {
                std::fs::rename(beside(&self.path), &self.path)?;
            }
            Ok(())
        });
        moved.map_err(|error| unwritable(&self.path, &error))?;
        Ok((self.failures > 0).then(|| self.path.clone()))
    }
}

impl Drop for FailureList {
    fn drop(&mut self) {
        // After it was moved there is nothing here any more.
        std::fs::remove_file(beside(&self.path)).ok();
    }
}

/// Whether a file can be made at this place, found out by making one beside it.
pub(crate) fn check_place(path: &Path) -> io::Result<()> {
    create_beside(path)?;
    std::fs::remove_file(beside(path))
}

fn create_beside(path: &Path) -> io::Result<File> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    File::create(beside(path))
}

pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("the failure list {} cannot be written: {error}", path.display());
    Failure::new(Exit::Usage, what, "name a writable file with --failures")
}

#[cfg(test)]
mod tests {
    use tranship_core::object::ObjectKey;

    use super::*;

    fn note(key: &str) -> Note {
        Note { key: ObjectKey::new(key), size: 1, reason: None, etag: None }
    }

    #[test]
    fn a_list_takes_its_place_at_the_end_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("list");
        let left = || {
            let entries = std::fs::read_dir(folder.path().join("new")).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        assert_eq!(FailureList::begin(&path).unwrap().publish().unwrap(), None);
        assert!(left().is_empty(), "nothing failed: {:?}", left());
        let mut list = FailureList::begin(&path).unwrap();
        list.add(&note("a"));
        assert!(!path.exists());
        assert_eq!(list.publish().unwrap(), Some(path.clone()));
        let mut list = FailureList::begin(&path).unwrap();
        list.add(&note("b"));
        drop(list);
        assert!(std::fs::read_to_string(&path).unwrap().contains("\"a\""), "not replaced");
        assert_eq!(FailureList::begin(&path).unwrap().publish().unwrap(), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "an old list is out of date");
        assert_eq!(left(), ["list"]);
    }
}
