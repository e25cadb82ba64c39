//! adapters

pub mod aws;
pub mod clock;
pub mod completion;
pub mod embedded;
pub mod http;
pub mod ledgers;
pub mod queues;
pub mod secrets;
pub mod stores;
