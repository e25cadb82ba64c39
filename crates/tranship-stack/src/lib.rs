//! What the functions of the stack have in common. What is decided stands in the core; here is what
//! a host has to do that does not stay: read its settings, build its clients once, stop before its
//! time is over, answer a batch in part, and say what happened.

pub mod batch;
pub mod breaker;
pub mod deadline;
pub mod failure;
pub mod health;
pub mod lines;
pub mod log;
pub mod metrics;
pub mod notices;
pub mod settings;
pub mod start;
pub mod surroundings;

pub use failure::{Failure, Name};
pub use settings::Settings;
pub use surroundings::Surroundings;
