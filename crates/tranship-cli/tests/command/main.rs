//! The real command as a process of its own, between strict servers in the process of the test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod copying;
mod doctor;
mod lambda;
mod ledgers;
mod mistakes;
mod planning;
mod real;
mod reporting;
mod resume;
mod signals;
mod stack;
mod stores;
mod support;
mod usage;
mod vendors;
mod verify;
