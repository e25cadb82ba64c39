//! Object stores: one file per service.

pub mod s3;
