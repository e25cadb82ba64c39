//! The s3-event function: from a notification, however it travelled, to the tasks of its keys.

pub mod intake;
pub mod records;
