//! Pages of any size and with any flaw: what is merged is what both sides have, or an error.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::*;
use crate::body::Body;
use crate::object::{ByteRange, ETag, Millis, PartNumber, UploadId, VersionId};
use crate::ports::Clock;
use crate::progress::Progress;
use crate::store::{
    BucketFacts, Completion, CopySource, Head, OpenUpload, PartPage, Pin, Put, Read, Reading,
    Write, Written,
};

const HERE: &str = "from/";
const THERE: &str = "copies/of/";

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// It begins with the last key of the page before.
    Repeats,
    /// It ends with a key that came long ago.
    GoesBack,
    OutOfOrder,
    LeavesThePrefix,
    /// It is empty, and says that more follow.
    Stands,
    /// It cannot be had.
    Fails,
}

/// A listing that is cut into pages of these sizes, of which one may be flawed.
struct Scripted {
    prefix: &'static str,
    names: Vec<String>,
    sizes: Vec<usize>,
    has_continuations: bool,
    /// The first page with it, and whether those that are asked for later have it too.
    flaw: Option<(usize, Flaw, bool)>,
    pages: Mutex<usize>,
}

fn listed(key: String) -> Listed {
    Listed {
        key: ObjectKey::new(key),
        size: 1,
        etag: ETag::new("e"),
        modified: Millis(1),
        storage_class: None,
        reading: Reading::Open,
    }
}

impl Scripted {
    fn page(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        assert_eq!(request.prefix, self.prefix);
        let mut pages = self.pages.lock().unwrap();
        let (page, size) = (*pages, self.sizes[*pages % self.sizes.len()]);
        *pages += 1;
        assert!(*pages < 1_000, "it is asked for ever");
        let all: Vec<String> =
            self.names.iter().map(|name| format!("{}{name}", self.prefix)).collect();
        let is_new = |key: &&String| {
            request.after.as_ref().is_none_or(|after| key.as_str() > after.as_str())
        };
        let from = match &request.continuation {
            Some(from) => from.parse().unwrap(),
            None => all.len() - all.iter().filter(is_new).count(),
        };
        let to = (from + size).min(all.len());
        let mut objects: Vec<_> = all[from..to].iter().cloned().map(listed).collect();
        let mut truncated = to < all.len();
        if let Some((at, flaw, lasts)) = self.flaw
            && (page == at || lasts && page > at)
        {
            match flaw {
                Flaw::Repeats => {
                    let again = request.after.clone().unwrap_or(objects[0].key.clone());
                    objects.insert(0, listed(again.as_str().to_owned()));
                }
                Flaw::GoesBack => objects.push(listed(all[0].clone())),
                Flaw::OutOfOrder => objects.insert(0, listed(format!("{}\u{10ffff}", self.prefix))),
                Flaw::LeavesThePrefix => objects.push(listed("other/k".to_owned())),
                Flaw::Stands => (objects, truncated) = (Vec::new(), true),
                Flaw::Fails => return Err(StoreError::new(ErrorKind::Denied, "list", "no")),
            }
        }
        let continuation = (truncated && self.has_continuations).then(|| to.to_string());
        Ok(ListPage { objects, truncated, continuation })
    }
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        self.page(request)
    }
    async fn bucket(&self) -> Result<BucketFacts, StoreError> {
        unreachable!()
    }
    async fn head(
        &self,
        _: &ObjectKey,
        _: Option<&VersionId>,
        _: Option<PartNumber>,
    ) -> Result<Head, StoreError> {
        unreachable!()
    }
    async fn get(
        &self,
        _: &ObjectKey,
        _: Option<ByteRange>,
        _: Option<&Pin>,
    ) -> Result<Read, StoreError> {
        unreachable!()
    }
    async fn put(&self, _: Put<'_>, _: Body) -> Result<Written, StoreError> {
        unreachable!()
    }
    async fn copy(&self, _: CopySource<'_>, _: Put<'_>) -> Result<Written, StoreError> {
        unreachable!()
    }
    async fn create_upload(&self, _: &ObjectKey, _: &Write) -> Result<UploadId, StoreError> {
        unreachable!()
    }
    async fn upload_part(
        &self,
        _: &ObjectKey,
        _: &UploadId,
        _: PartNumber,
        _: u64,
        _: Body,
    ) -> Result<ETag, StoreError> {
        unreachable!()
    }
    async fn copy_part(
        &self,
        _: CopySource<'_>,
        _: &ObjectKey,
        _: &UploadId,
        _: PartNumber,
        _: ByteRange,
    ) -> Result<ETag, StoreError> {
        unreachable!()
    }
    async fn list_parts(
        &self,
        _: &ObjectKey,
        _: &UploadId,
        _: Option<PartNumber>,
    ) -> Result<PartPage, StoreError> {
        unreachable!()
    }
    async fn list_uploads(&self, _: &ObjectKey) -> Result<Vec<OpenUpload>, StoreError> {
        unreachable!()
    }
    async fn complete_upload(&self, _: Completion<'_>) -> Result<Written, StoreError> {
        unreachable!()
    }
    async fn abort_upload(&self, _: &ObjectKey, _: &UploadId) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn delete(&self, _: &ObjectKey, _: Option<&ETag>) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn tags(
        &self,
        _: &ObjectKey,
        _: Option<&VersionId>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        unreachable!()
    }
    async fn has_acls(&self) -> Result<bool, StoreError> {
        unreachable!()
    }
    async fn grants(&self, _: &ObjectKey) -> Result<usize, StoreError> {
        unreachable!()
    }
}

struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Millis {
        Millis(1)
    }
    async fn sleep(&self, _: u64) {}
    fn random(&self) -> u64 {
        1
    }
}

/// All that both sides are said to have, by window, and how it ended.
type Walked = (Vec<Merged>, Result<(), StoreError>);

fn walked(here: &Scripted, there: &Scripted, cursor: Option<&ObjectKey>) -> Walked {
    let (clock, progress, stopping) = (Still, Progress::default(), AtomicBool::new(false));
    let patience = Patience { clock: &clock, progress: &progress, stopping: &stopping };
    let side = |store, prefix: &str| Side::new(store, prefix.to_owned(), HERE.to_owned(), cursor);
    let mut sides = Sides { source: side(here, HERE), destination: side(there, THERE) };
    let mut windows = Vec::new();
    loop {
        // Nothing here ever waits.
        if let Err(error) = sides.fill(&patience, None).now_or_never().unwrap() {
            return (windows, Err(error));
        }
        match sides.take() {
            Some(window) => windows.push(window),
            None => return (windows, Ok(())),
        }
    }
}

/// The names on one side of some windows, without what stands before them at the source.
fn names<'a>(side: impl Iterator<Item = &'a Listed>) -> Vec<&'a str> {
    side.map(|listed| listed.key.as_str().strip_prefix(HERE).unwrap()).collect()
}

fn any_names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[ab/+%\u{e9}\u{1f600}\u{7f}]{0,4}", 1..40)
        .prop_map(|names| names.into_iter().collect())
}

fn any_side(prefix: &'static str) -> impl Strategy<Value = Scripted> {
    (any_names(), prop::collection::vec(1..8_usize, 1..5), any::<bool>()).prop_map(
        move |(names, sizes, has_continuations)| {
            let (flaw, pages) = (None, Mutex::new(0));
            Scripted { prefix, names, sizes, has_continuations, flaw, pages }
        },
    )
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} by {:?}, {:?}", self.names, self.sizes, self.flaw)
    }
}

proptest! {
    #[test]
    fn whatever_the_pages_are_both_sides_are_merged_whole(
        here in any_side(HERE),
        there in any_side(THERE),
        cursor in prop::option::of("[ab/+\u{e9}]{0,3}"),
    ) {
        let cursor = cursor.map(|cursor| ObjectKey::new(format!("{HERE}{cursor}")));
        let (windows, ended) = walked(&here, &there, cursor.as_ref());
        prop_assert_eq!(ended, Ok(()));
        let left = |names: &[String]| -> Vec<String> {
            let is_left = |name: &&String| {
                cursor.as_ref().is_none_or(|c| format!("{HERE}{name}").as_str() > c.as_str())
            };
            names.iter().filter(is_left).cloned().collect()
        };
        prop_assert_eq!(names(windows.iter().flat_map(|w| &w.source)), left(&here.names));
        prop_assert_eq!(names(windows.iter().flat_map(|w| &w.destination)), left(&there.names));
        let mut before = cursor;
        for window in windows {
            for listed in window.source.iter().chain(&window.destination) {
                prop_assert!(before.as_ref().is_none_or(|before| listed.key > *before));
                prop_assert!(listed.key <= window.through);
            }
            before = Some(window.through);
        }
    }

    #[test]
    fn a_flawed_page_is_asked_for_again_or_an_error_and_what_came_before_it_is_true(
        mut here in any_side(HERE),
        mut there in any_side(THERE),
        flaw in prop::sample::select(vec![
            Flaw::Repeats, Flaw::GoesBack, Flaw::OutOfOrder, Flaw::LeavesThePrefix, Flaw::Stands,
            Flaw::Fails,
        ]),
        at in 0..6_usize,
        lasts: bool,
        is_there: bool,
    ) {
        let flawed = if is_there { &mut there } else { &mut here };
        flawed.flaw = Some((at, flaw, lasts));
        let (windows, ended) = walked(&here, &there, None);
        let flawed = if is_there { &there } else { &here };
        let was_met = *flawed.pages.lock().unwrap() > at;
        // A page that does not make sense is asked for again.
        let is_told = was_met && (lasts || flaw == Flaw::Fails);
        prop_assert_eq!(ended.is_err(), is_told, "{:?}", ended);
        if let Err(error) = ended {
            let kind = if flaw == Flaw::Fails { ErrorKind::Denied } else { ErrorKind::Lied };
            prop_assert_eq!(error.kind, kind);
        }
        let source = names(windows.iter().flat_map(|w| &w.source));
        let destination = names(windows.iter().flat_map(|w| &w.destination));
        prop_assert!(here.names.iter().map(String::as_str).take(source.len()).eq(source));
        prop_assert!(
            there.names.iter().map(String::as_str).take(destination.len()).eq(destination)
        );
    }
}
