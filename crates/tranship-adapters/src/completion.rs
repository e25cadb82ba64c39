//! The completion port's adapter: Step Functions. In embedded mode the process completes by itself.

pub mod step_functions;
