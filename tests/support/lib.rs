//! What the whole-system tests share: the conformance suites of the ports, and the rig.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "test support fails by panicking"
)]

pub mod between;
pub mod cloud;
pub mod faulty;
pub mod functions;
pub mod keys;
pub mod ledger;
pub mod namespace;
/// What the fuzzer's programs do; they belong to a workspace that needs another toolchain.
#[path = "../../fuzz/src/lib.rs"]
pub mod programs;
pub mod queue;
pub mod rig;
pub mod second;
pub mod store;
pub mod wire;
pub mod world;
