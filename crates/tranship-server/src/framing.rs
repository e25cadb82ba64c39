//! The aws-chunked framing of a body that nobody signed: sizes, bytes, and trailers at the end.
//!
//! The library unpacks it only where it checks a signature, so an anonymous upload is unpacked here.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::{Body, Incoming};
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// The trailers of a body, there once it has been read to its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    pub(crate) fn read(&self, use_them: impl FnOnce(&HeaderMap)) {
        use_them(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn add(&self, line: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(line).ok()?;
        let (name, value) = text.split_once(':')?;
        let name = HeaderName::try_from(name.trim()).ok()?;
        let value = HeaderValue::from_str(value.trim()).ok()?;
        let mut headers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        headers.insert(name, value);
        Some(())
    }
}

enum Expect {
    Size,
    Bytes(u64),
    LineEnd,
    Trailer,
    End,
}

/// A framed body, unpacked.
pub(crate) struct Unframed<B = Incoming> {
    body: B,
    buffer: BytesMut,
    expect: Expect,
    remaining: u64,
    trailers: Trailers,
}

impl<B> Unframed<B> {
    /// `length` is what `x-amz-decoded-content-length` says.
    pub(crate) fn new(body: B, length: u64, trailers: Trailers) -> Self {
        Self { body, buffer: BytesMut::new(), expect: Expect::Size, remaining: length, trailers }
    }

    /// Takes a line off the buffer if it is there as a whole.
    fn line(&mut self) -> Option<Bytes> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\r\n")?;
        let line = self.buffer.split_to(end).freeze();
        self.buffer.advance(2);
        Some(line)
    }

    /// Goes on as far as the buffer allows: some bytes, the need for more, or a malformed frame.
    fn step(&mut self) -> Result<Option<Bytes>, StdError> {
        loop {
            match self.expect {
                Expect::Size => {
                    let Some(line) = self.line() else { return Ok(None) };
                    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(digits)?;
                    let size = u64::from_str_radix(size.trim(), 16)?;
                    self.expect = if size == 0 { Expect::Trailer } else { Expect::Bytes(size) };
                }
                Expect::Bytes(left) => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    let most = usize::try_from(left).unwrap_or(usize::MAX);
                    let bytes = self.buffer.split_to(most.min(self.buffer.len())).freeze();
                    let taken = crate::checksum::size(&bytes);
                    self.remaining = self.remaining.saturating_sub(taken);
                    self.expect = match left - taken {
                        0 => Expect::LineEnd,
                        left => Expect::Bytes(left),
                    };
                    return Ok(Some(bytes));
                }
                Expect::LineEnd => {
                    let Some(line) = self.line() else { return Ok(None) };
                    if !line.is_empty() {
                        return Err("a frame is longer than it says".into());
                    }
                    self.expect = Expect::Size;
                }
                Expect::Trailer => {
                    let Some(line) = self.line() else { return Ok(None) };
                    if line.is_empty() {
                        self.expect = Expect::End;
                    } else {
                        self.trailers.add(&line).ok_or("a trailer is malformed")?;
                    }
                }
                Expect::End => return Ok(None),
            }
        }
    }
}

impl<B> Stream for Unframed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(bytes) = self.step()? {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if matches!(self.expect, Expect::End) {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.buffer.extend_from_slice(&bytes);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                // Some clients leave out the empty line behind the last trailer.
                None if matches!(self.expect, Expect::Trailer) => self.expect = Expect::End,
                None => {
                    // A stream that failed has ended.
                    self.expect = Expect::End;
                    return Poll::Ready(Some(Err("the body ended within a frame".into())));
                }
            }
        }
    }
}

impl<B> ByteStream for Unframed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(usize::try_from(self.remaining).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use http_body_util::Full;

    #[tokio::test]
    async fn frames_and_trailers_are_unpacked() {
        let framed = "5\r\nhello\r\n6;chunk-signature=ab\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        let trailers = Trailers::default();
        let body = Full::new(Bytes::from(framed));
        let pieces: Vec<_> = Unframed::new(body, 11, trailers.clone()).collect().await;
        let read: Vec<u8> = pieces.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(read, b"hello world");
        trailers.read(|headers| assert_eq!(headers["x-amz-checksum-crc32"], "AAAA"));
    }

    #[tokio::test]
    async fn a_body_cut_off_is_an_error() {
        let body = Full::new(Bytes::from("5\r\nhel"));
        let pieces: Vec<_> = Unframed::new(body, 5, Trailers::default()).collect().await;
        assert!(pieces.last().unwrap().is_err());
    }
}
