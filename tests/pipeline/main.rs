//! Whole-system tests.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, in their helpers too, and print what they count"
)]

mod copy;
mod corpus;
mod corruption;
mod deliveries;
mod digests;
mod fleet;
mod keys;
mod large;
mod port_fault;
mod ports;
mod qetags;
mod resume;
mod server_side;
mod simulation;
mod single_fault;
mod strange_answers;
mod takeovers;
mod vendors;
mod verify;
mod visits;
