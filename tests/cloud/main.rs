//! The stack, deployed into a local cloud as a person would deploy it, and used.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, in their helpers too"
)]

mod look;
mod runs;
