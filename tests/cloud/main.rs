//! The stack, deployed into a local cloud as a person would deploy it, and used.
//!
//! What the local cloud does otherwise than AWS is said where a test meets it, and put right where the
//! tests start it (`tests/support/second.py`).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, in their helpers too, and print what they count"
)]

mod by_role;
mod cost;
mod events;
mod fleet;
mod halts;
mod large;
mod links;
mod look;
mod messages;
mod runs;
mod trouble;
mod vendors;
