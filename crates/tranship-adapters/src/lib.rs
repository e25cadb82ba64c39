//! adapters

pub mod clock;
pub mod embedded;
pub mod ledgers;
pub mod queues;
pub mod stores;
