//! The bytes of an object on their way from one store to the other.
//!
//! A [`Body`] is a stream of frames that nobody collects. On the way it is *measured*: bytes are
//! counted, checksums are computed, and the last frame is held back until the whole is known to be what
//! the source promised. A body that is too short, too long or damaged ends in an error instead of
//! its last frame, so the destination never receives all the bytes that it was told to expect, and
//! nothing wrong becomes visible.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::checksum::{Algorithm, Checksum, Crcs};
use crate::error::{ErrorKind, StoreError};
use crate::object::ObjectKey;
use crate::progress::Progress;
use crate::qetag::{Blocks, Claim, Qetag};

/// What a body's stream may fail with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A stream of bytes of known length.
pub type Body = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send + Sync>>;

/// A body from bytes in memory.
pub fn full(bytes: Bytes) -> Body {
    Box::pin(Full(Some(bytes).filter(|b| !b.is_empty())))
}

struct Full(Option<Bytes>);

impl HttpBody for Full {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let size = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(size).unwrap_or(u64::MAX))
    }
}

/// What a measured body must turn out to be.
#[derive(Debug, Clone)]
pub struct Expectation {
    pub size: u64,
    /// The source's own checksum of exactly these bytes, where it has one; or what an earlier reading came to, where
    /// this one has to come to the same.
    pub checksum: Option<Checksum>,
    /// What the source's own qetag says of exactly these bytes, where it has one.
    pub qetag: Option<Claim>,
    /// What to compute besides.
    pub algorithms: Vec<Algorithm>,
}

/// What a body turned out to be, once all of it has passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    pub checksums: Vec<Checksum>,
    /// What the bytes came to, where that was compared.
    pub qetag: Option<Qetag>,
    /// What was wrong with it, if anything was.
    pub fault: Option<String>,
    /// The source's own word, where that was it.
    pub refusal: Option<StoreError>,
}

impl Measured {
    /// Why a write broke off, if it was for the bytes of this key.
    pub fn error(self, key: &ObjectKey) -> Option<StoreError> {
        let lied = |fault| StoreError::new(ErrorKind::Lied, format!("GetObject {key}"), fault);
        self.refusal.or_else(|| self.fault.map(lied))
    }
}

/// Reads what a body turned out to be, after the call that consumed it.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Measured>>);

impl Meter {
    pub fn read(&self) -> Measured {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, change: impl FnOnce(&mut Measured)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Wraps a body so that it is counted, checksummed and checked while it passes.
pub fn measure(body: Body, expectation: Expectation, progress: Arc<Progress>) -> (Body, Meter) {
    let meter = Meter::default();
    let mut algorithms = expectation.algorithms;
    if let Some(checksum) = expectation.checksum
        && !algorithms.contains(&checksum.algorithm)
    {
        algorithms.push(checksum.algorithm);
    }
    let measuring = Measuring {
        body,
        crcs: Crcs::new(&algorithms),
        checksum: expectation.checksum,
        qetag: expectation.qetag.map(|claim| (claim, Blocks::default())),
        unread: expectation.size,
        unsent: expectation.size,
        held: None,
        progress,
        meter: meter.clone(),
    };
    (Box::pin(measuring), meter)
}

struct Measuring {
    body: Body,
    crcs: Crcs,
    checksum: Option<Checksum>,
    /// SHA-1 costs more than all else here: it is computed for those alone whose source has one.
    qetag: Option<(Claim, Blocks)>,
    /// Bytes that the source still owes.
    unread: u64,
    /// Bytes that the destination still expects.
    unsent: u64,
    /// The frame that completes the length, kept until the source has ended and the checksum fits.
    held: Option<Bytes>,
    progress: Arc<Progress>,
    meter: Meter,
}

impl Measuring {
    fn fail(&self, fault: String) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.meter.write(|measured| measured.fault = Some(fault.clone()));
        Poll::Ready(Some(Err(fault.into())))
    }

    /// The source has ended: judge the whole and let the last frame go.
    fn finish(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.unread > 0 {
            return self.fail(format!("the source ended {} bytes early", self.unread));
        }
        let checksums = self.crcs.finish();
        if let Some(expected) = self.checksum
            && !checksums.contains(&expected)
        {
            let name = expected.algorithm;
            return self.fail(format!("the bytes do not match the source's own {name:?} checksum"));
        }
        if let Some((claim, blocks)) = self.qetag.take() {
            let qetag = blocks.finish();
            self.meter.write(|measured| measured.qetag = Some(qetag));
            if !claim.admits(qetag) {
                return self.fail("the bytes do not match the source's own qetag".to_owned());
            }
        }
        self.meter.write(|measured| measured.checksums = checksums);
        let Some(last) = self.held.take() else { return Poll::Ready(None) };
        self.unsent = 0;
        Poll::Ready(Some(Ok(Frame::data(last))))
    }

    fn admit(&mut self, bytes: Bytes) -> Result<Option<Bytes>, String> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(unread) = self.unread.checked_sub(length) else {
            return Err("the source sent more bytes than it announced".to_owned());
        };
        self.unread = unread;
        self.crcs.update(&bytes);
        if let Some((_, blocks)) = &mut self.qetag {
            blocks.update(&bytes);
        }
        self.progress.moved(length);
        if unread == 0 && length > 0 {
            self.held = Some(bytes);
            return Ok(None);
        }
        self.unsent -= length;
        Ok(Some(bytes))
    }
}

impl HttpBody for Measuring {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Some(frame) = ready!(self.body.as_mut().poll_frame(cx)) else {
                return self.finish();
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    let refusal = error.downcast_ref::<StoreError>().cloned();
                    self.meter.write(|measured| measured.refusal = refusal);
                    return self.fail(format!("reading the source failed: {error}"));
                }
            };
            // Trailers and empty frames say nothing to the destination.
            let Ok(bytes) = frame.into_data() else { continue };
            match self.admit(bytes) {
                Ok(Some(bytes)) if !bytes.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Ok(_) => {}
                Err(fault) => return self.fail(fault),
            }
        }
    }

    // Without these two the HTTP client would not know when the body is complete.
    fn is_end_stream(&self) -> bool {
        self.unsent == 0 && self.held.is_none() && self.unread == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.unsent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ETag;
    use futures_util::FutureExt as _;
    use std::collections::VecDeque;

    struct Frames(VecDeque<Bytes>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    /// Passes the frames through a meter; gives the bytes that came out, and what went wrong.
    fn pass(frames: &[&'static [u8]], size: u64, checksum: Option<Checksum>) -> (usize, Measured) {
        let algorithms = vec![Algorithm::Crc64Nvme];
        pass_as(frames, Expectation { size, checksum, qetag: None, algorithms })
    }

    fn pass_as(frames: &[&'static [u8]], expectation: Expectation) -> (usize, Measured) {
        let body = Box::pin(Frames(frames.iter().map(|b| Bytes::from_static(b)).collect()));
        let (mut body, meter) = measure(body, expectation, Arc::default());
        let mut out = 0;
        let next = |body: &mut Body| {
            std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).now_or_never().unwrap()
        };
        while !body.is_end_stream() {
            match next(&mut body) {
                Some(Ok(frame)) => out += frame.into_data().unwrap().len(),
                Some(Err(_)) | None => break,
            }
        }
        (out, meter.read())
    }

    fn good() -> Checksum {
        Checksum { algorithm: Algorithm::Crc64Nvme, value: 0xae8b_1486_0a79_9888 }
    }

    #[test]
    fn a_whole_body_passes_with_its_checksum() {
        for frames in [&[&b"123456789"[..]][..], &[b"1234", b"", b"56789"], &[b"123456789", b""]] {
            let (out, measured) = pass(frames, 9, Some(good()));
            assert_eq!((out, measured.fault), (9, None));
            assert_eq!(measured.checksums, [good()]);
        }
        assert_eq!(pass(&[], 0, None).0, 0);
    }

    #[test]
    fn a_bad_body_never_arrives_whole() {
        for (frames, size) in [
            (&[&b"12345678"[..]][..], 9),
            (&[b"123456789", b"0"], 9),
            (&[b"12345678X"], 9),
            (&[b"1234", b"5678X"], 9),
        ] {
            let (out, measured) = pass(frames, size, Some(good()));
            assert!(out < 9, "{frames:?}: {out}");
            assert!(measured.fault.is_some(), "{frames:?}");
        }
    }

    fn against(own: Qetag, frames: &[&'static [u8]]) -> (usize, Measured) {
        let qetag = Some(Claim { own, seen: None });
        pass_as(frames, Expectation { size: 4, checksum: None, qetag, algorithms: Vec::new() })
    }

    #[test]
    fn a_body_that_its_qetag_speaks_against_never_arrives_whole() {
        // Of `etag`: <https://docs.rs/qiniu-etag>.
        let own = Qetag::of(&ETag::new("FpLiADEaVoALPkdb8tJEJyRTXoe_"), 4).unwrap();
        for frames in [&[&b"etag"[..]][..], &[b"e", b"", b"tag"]] {
            let (out, measured) = against(own, frames);
            assert_eq!((out, measured.qetag, measured.fault), (4, Some(own), None), "{frames:?}");
        }
        for frames in [&[&b"etaG"[..]][..], &[b"g", b"ate"]] {
            let (out, measured) = against(own, frames);
            assert!(out < 4, "{frames:?}: {out}");
            assert!(measured.fault.unwrap().contains("qetag"), "{frames:?}");
            assert!(measured.qetag.is_some_and(|it| it != own), "{frames:?}");
        }
    }
}
