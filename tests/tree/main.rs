//! What holds for the tree of sources: dependencies, documents, names.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, in their helpers too"
)]

mod dependencies;
mod documents;
mod licences;
mod sources;
mod unrun;
mod words;
