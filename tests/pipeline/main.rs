//! Whole-system tests.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, in their helpers too"
)]

mod copy;
mod corruption;
mod large;
mod ports;
mod resume;
mod simulation;
mod visits;
