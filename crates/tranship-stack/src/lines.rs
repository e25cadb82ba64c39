//! A list of prefixes that lies in a bucket: one a line, read in blocks and never as a whole.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use tranship_adapters::stores::s3::S3Store;
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::finder::KeyLines;
use tranship_core::object::{ByteRange, ObjectKey};
use tranship_core::store::{ObjectStore, Pin};

/// Bytes of one read: a thousand long lines.
const BLOCK_BYTES: u64 = 1 << 20;
/// No prefix is longer than a key.
const LINE_BYTES_MAX: usize = 1_026;

/// Positions in it are bytes.
#[derive(Debug)]
pub struct PrefixFile<S = S3Store> {
    store: S,
    key: ObjectKey,
    known: Mutex<Option<Known>>,
}

/// The generation that is read, and its bytes from a position on.
#[derive(Debug, Clone)]
struct Known {
    pin: Pin,
    size: u64,
    from: u64,
    bytes: Vec<u8>,
}

impl<S: ObjectStore + std::fmt::Debug> PrefixFile<S> {
    pub fn new(store: S, key: &str) -> Self {
        Self { store, key: ObjectKey::new(key), known: Mutex::default() }
    }

    /// Looks which generation lies there; it is the one that is read from now on.
    pub async fn generation(&self) -> Result<String, StoreError> {
        let head = self.store.head(&self.key, None, None).await?;
        let pin = Pin::from(&head.identity);
        let generation = pin.etag.to_string();
        let mut known = self.known();
        if known.as_ref().is_none_or(|known| known.pin != pin) {
            *known = Some(Known { pin, size: head.identity.size, from: 0, bytes: Vec::new() });
        }
        Ok(generation)
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes from a position on: a block, or what is left.
    async fn block(&self, from: u64) -> Result<Known, String> {
        let known = self.known().clone().ok_or_else(|| "the list was not opened".to_owned())?;
        let held = known.from + u64::try_from(known.bytes.len()).unwrap_or(u64::MAX);
        let least = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        if known.from <= from && (from + least <= held || held == known.size) && held > 0 {
            return Ok(known);
        }
        let range = ByteRange::new(from, known.size.min(from + BLOCK_BYTES));
        let bytes = match range {
            None => Vec::new(),
            Some(range) => self.get(range, &known.pin).await.map_err(|error| error.to_string())?,
        };
        let next = Known { from, bytes, ..known };
        *self.known() = Some(next.clone());
        Ok(next)
    }

    async fn get(&self, range: ByteRange, pin: &Pin) -> Result<Vec<u8>, StoreError> {
        let read = self.store.get(&self.key, Some(range), Some(pin)).await?;
        let collected = read.body.collect().await.map_err(|error| {
            StoreError::new(
                ErrorKind::Unavailable,
                format!("GetObject {}", self.key),
                error.to_string(),
            )
        })?;
        Ok(collected.to_bytes().to_vec())
    }
}

/// The line that begins here, without its end, and where the next one begins.
fn line(known: &Known, at: u64) -> Result<Option<(&[u8], u64)>, String> {
    let offset = usize::try_from(at - known.from).unwrap_or(usize::MAX);
    let rest = known.bytes.get(offset..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(None);
    }
    let end = rest.iter().position(|byte| *byte == b'\n');
    let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("the line at byte {at} is longer than a prefix can be"));
    }
    let taken = u64::try_from(line.len()).unwrap_or(u64::MAX) + u64::from(end.is_some());
    Ok(Some((line.strip_suffix(b"\r").unwrap_or(line), at + taken)))
}

#[async_trait]
impl<S: ObjectStore + std::fmt::Debug> KeyLines for PrefixFile<S> {
    async fn read(&self, from: u64, limit: usize) -> Result<(Vec<ObjectKey>, u64), String> {
        let at_fault = |text: String| format!("the list of prefixes {}: {text}", self.key);
        let mut prefixes = Vec::new();
        let mut at = from;
        while prefixes.len() < limit {
            let block = self.block(at).await.map_err(at_fault)?;
            let Some((line, next)) = line(&block, at).map_err(at_fault)? else { break };
            if !line.is_empty() {
                let text = std::str::from_utf8(line)
                    .map_err(|_| at_fault(format!("the line at byte {at} is not UTF-8")))?;
                prefixes.push(ObjectKey::new(text));
            }
            at = next;
        }
        Ok((prefixes, at))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tranship_adapters::clock::SystemClock;
    use tranship_adapters::stores::memory::MemoryStore;
    use tranship_core::body::full;
    use tranship_core::store::{Put, Write};

    use super::*;

    async fn list(text: &str) -> PrefixFile<MemoryStore> {
        let store = MemoryStore::new("b", Arc::new(SystemClock::new()));
        let key = ObjectKey::new("list");
        let bytes = text.as_bytes().to_vec();
        let size = u64::try_from(bytes.len()).unwrap();
        let (write, condition, checksum, md5) = (Write::default(), None, None, None);
        let put = Put { key: &key, size, write, condition, checksum, md5 };
        store.put(put, full(bytes.into())).await.unwrap();
        let file = PrefixFile::new(store, "list");
        file.generation().await.unwrap();
        file
    }

    async fn read(file: &PrefixFile<MemoryStore>, from: u64, limit: usize) -> (Vec<String>, u64) {
        let (lines, next) = file.read(from, limit).await.unwrap();
        (lines.iter().map(|line| line.as_str().to_owned()).collect(), next)
    }

    #[tokio::test]
    async fn lines_are_read_from_any_position() {
        let file = list("a/\r\n\n b+%/\nlast").await;
        assert_eq!(read(&file, 0, 9).await, (vec!["a/".into(), " b+%/".into(), "last".into()], 15));
        assert_eq!(read(&file, 0, 1).await, (vec!["a/".into()], 4));
        assert_eq!(read(&file, 4, 1).await, (vec![" b+%/".into()], 11));
        assert_eq!(read(&file, 15, 1).await, (vec![], 15));
        assert_eq!(read(&list("").await, 0, 1).await, (vec![], 0));
    }

    #[tokio::test]
    async fn a_list_longer_than_a_block_is_read_to_its_end() {
        let lines: Vec<_> = (0..90_000)
            .map(|n| {
                format!(
                    "prefix-of-some-length/{n:06}/
"
                )
            })
            .collect();
        let text = lines.concat();
        let file = list(&text).await;
        let (mut from, mut count) = (0, 0);
        loop {
            let (lines, next) = read(&file, from, 1_000).await;
            if lines.is_empty() {
                break;
            }
            assert_eq!(lines[0], format!("prefix-of-some-length/{count:06}/"));
            count += lines.len();
            from = next;
        }
        assert_eq!(count, 90_000);
    }

    #[tokio::test]
    async fn a_line_that_can_be_no_prefix_is_refused() {
        let file = list(&"x".repeat(5_000)).await;
        assert!(file.read(0, 1).await.unwrap_err().contains("longer than a prefix"));
    }
}
