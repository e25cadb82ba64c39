//! A strict, fault-injecting S3 server for the demo, the tests and the benchmark; it never runs in a function.
//!
//! [`Server::start`] serves Amazon S3's object API on 127.0.0.1. [`Server::store`] reads and changes what is stored
//! behind its back, [`Server::faults`] makes requests go wrong, and [`Server::requests`] tells what was asked.
//! With another [`Dialect`] it plays the store of another vendor.

mod api;
mod checksum;
mod clock;
mod content;
mod dialect;
mod faults;
mod formula;
mod framing;
mod front;
mod keys;
mod operation;
mod options;
mod qetag;
mod record;
mod server;
mod store;
mod tls;

pub use checksum::{Algorithm, Sums};
pub use content::{Content, PERIOD};
pub use dialect::Dialect;
pub use faults::{Fault, Faults, Matcher, Rule};
pub use formula::{Formula, FormulaEtags};
pub use options::{Backend, CompleteReplay, EtagMode, ServerOptions};
pub use record::{Requests, Seen};
pub use server::{Server, ServerError};
pub use store::{
    BucketSettings, Form, Object, ObjectPart, OpenUpload, Properties, Store, Versioning,
};
