//! Object stores: one file per service, and one in memory.

pub mod memory;
pub mod s3;
