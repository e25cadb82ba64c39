//! The stack, deployed into a local cloud as a person would deploy it, and used.

mod look;
mod runs;
