//! The listings of both sides, page by page, checked as they come and merged by key.
//!
//! Whoever lists says what becomes of the keys; what a listing is, is decided here once: in order,
//! under its prefix, advancing. No more than two pages of each side are held.

use crate::compare;
use crate::error::{ErrorKind, StoreError};
use crate::location::rename;
use crate::object::{KEY_LENGTH_MAX_BYTES, ObjectKey};
use crate::split::Search;
use crate::stage::Patience;
use crate::store::{ListPage, ListRequest, Listed, ObjectStore};

/// Keys of one page: what S3 gives at most.
const PAGE_KEYS: u16 = 1_000;

/// One side's listing: a page at a time, checked as it comes, its keys in the source's terms.
pub(crate) struct Side<'a> {
    store: &'a dyn ObjectStore,
    /// The prefix to list.
    prefix: String,
    /// What stands in its place at the source.
    source_prefix: String,
    buffer: Vec<Listed>,
    /// The last key that was listed, as this side calls it.
    after: Option<ObjectKey>,
    /// The last key that an earlier window has dealt with.
    cursor: Option<ObjectKey>,
    continuation: Option<String>,
    done: bool,
}

impl<'a> Side<'a> {
    /// Lists what comes after the cursor, a key in the source's terms.
    pub(crate) fn new(
        store: &'a dyn ObjectStore,
        prefix: String,
        source_prefix: String,
        cursor: Option<&ObjectKey>,
    ) -> Self {
        let after = cursor.and_then(|key| rename(&source_prefix, &prefix, key)).map(listable);
        let (cursor, buffer) = (cursor.cloned(), Vec::new());
        let (continuation, done) = (None, false);
        Self { store, prefix, source_prefix, buffer, after, cursor, continuation, done }
    }

    /// Lists a page, if nothing is left of the one before. After an error it may be called again, and
    /// goes on behind the last key that came.
    async fn fill(
        &mut self,
        patience: &Patience<'_>,
        through: Option<&ObjectKey>,
    ) -> Result<(), StoreError> {
        while !self.done && self.buffer.is_empty() {
            let request = ListRequest {
                prefix: self.prefix.clone(),
                after: self.after.clone(),
                limit: PAGE_KEYS,
                continuation: self.continuation.take(),
            };
            let page = patience.retried(|| checked(self.store, &request)).await?;
            let ListPage { mut objects, truncated, continuation } = page;
            self.after = objects.last().map(|last| last.key.clone()).or(self.after.take());
            self.continuation = continuation;
            self.done = !truncated;
            if self.prefix != self.source_prefix {
                for listed in &mut objects {
                    if let Some(key) = rename(&self.prefix, &self.source_prefix, &listed.key) {
                        listed.key = key;
                    }
                }
            }
            objects.retain(|listed| self.cursor.as_ref().is_none_or(|after| listed.key > *after));
            self.buffer = objects;
            if let Some(through) = through {
                self.end_at(through);
            }
        }
        Ok(())
    }

    /// The range ends here: what is listed beyond belongs to another scan.
    fn end_at(&mut self, through: &ObjectKey) {
        let at = self.buffer.partition_point(|listed| listed.key <= *through);
        if at < self.buffer.len() {
            self.buffer.truncate(at);
            self.done = true;
        }
    }

    /// Takes out of the buffer what is listed up to a key.
    fn take_through(&mut self, bound: &ObjectKey) -> Vec<Listed> {
        let at = self.buffer.partition_point(|listed| listed.key <= *bound);
        self.buffer.drain(..at).collect()
    }
}

/// A key that a listing may start after: a longer one than keys can be is cut, and whoever lists
/// skips what comes between.
fn listable(key: ObjectKey) -> ObjectKey {
    let text = key.as_str();
    if text.len() <= KEY_LENGTH_MAX_BYTES {
        return key;
    }
    let end = (0..=KEY_LENGTH_MAX_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    ObjectKey::new(text.get(..end).unwrap_or_default())
}

/// Lists a page and refuses one that is out of order, repeats itself or leaves its prefix.
async fn checked(store: &dyn ObjectStore, request: &ListRequest) -> Result<ListPage, StoreError> {
    let page = store.list(request).await?;
    let lied = |text: String| {
        let prefix = crate::object::escape(&request.prefix);
        StoreError::new(ErrorKind::Lied, format!("ListObjectsV2 prefix \"{prefix}\""), text)
    };
    compare::check_order(&request.prefix, request.after.as_ref(), &page.objects).map_err(lied)?;
    if page.truncated && page.objects.is_empty() {
        return Err(lied("the listing says that it goes on, and does not advance".to_owned()));
    }
    Ok(page)
}

/// Both sides of one range of keys.
pub(crate) struct Sides<'a> {
    pub(crate) source: Side<'a>,
    pub(crate) destination: Side<'a>,
}

/// What both sides have listed up to a key, in the source's terms.
pub(crate) struct Merged {
    pub(crate) source: Vec<Listed>,
    pub(crate) destination: Vec<Listed>,
    /// Nothing is missing up to this key.
    pub(crate) through: ObjectKey,
}

impl Sides<'_> {
    /// Lists both at once, where nothing is left of the pages before.
    pub(crate) async fn fill(
        &mut self,
        patience: &Patience<'_>,
        through: Option<&ObjectKey>,
    ) -> Result<(), StoreError> {
        let (here, there) = futures_util::join!(
            self.source.fill(patience, through),
            self.destination.fill(patience, through),
        );
        here?;
        there
    }

    /// Takes what both have listed up to the same key; `None` if nothing is left.
    pub(crate) fn take(&mut self) -> Option<Merged> {
        let last = |side: &Side<'_>| side.buffer.last().map(|listed| listed.key.clone());
        let (here, there) = (last(&self.source), last(&self.destination));
        let through = match (self.source.done, self.destination.done) {
            // A side that is not done has a key in its buffer, and says nothing of what follows it.
            (false, false) => here?.min(there?),
            (false, true) => here?,
            (true, false) => there?,
            (true, true) => here.max(there)?,
        };
        Some(Merged {
            source: self.source.take_through(&through),
            destination: self.destination.take_through(&through),
            through,
        })
    }

    pub(crate) fn have_ended(&self) -> bool {
        let ended = |side: &Side<'_>| side.done && side.buffer.is_empty();
        ended(&self.source) && ended(&self.destination)
    }

    /// The range ends here: what is listed beyond belongs to another scan.
    pub(crate) fn end_at(&mut self, through: &ObjectKey) {
        self.source.end_at(through);
        self.destination.end_at(through);
    }
}

/// A key behind the cursor at which the rest of a range can be split, if there is one. All keys are
/// in the store's own terms.
pub(crate) async fn search(
    patience: &Patience<'_>,
    store: &dyn ObjectStore,
    prefix: &str,
    cursor: &ObjectKey,
    through: Option<&ObjectKey>,
) -> Result<Option<ObjectKey>, StoreError> {
    let mut search = Search::new(prefix, cursor);
    while let Some(after) = search.probe() {
        let request = ListRequest {
            prefix: prefix.to_owned(),
            after: Some(after),
            limit: 1,
            continuation: None,
        };
        let page = patience.retried(|| checked(store, &request)).await?;
        let found = page.objects.first().map(|listed| &listed.key);
        // The range's own end is no split: the second half would be empty.
        search.answer(found.filter(|key| through.is_none_or(|through| *key < through)));
    }
    Ok(search.split().cloned())
}

#[cfg(test)]
mod tests;
