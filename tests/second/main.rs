//! The strict server and the adapter, checked by an S3 server of another hand.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, in their helpers too"
)]

mod checksums;
mod copies;
mod exchanges;
mod known;
mod listing;
mod multipart;
mod pipeline;
mod process;
mod reads;
mod talk;
