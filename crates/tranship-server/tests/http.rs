//! The server over raw HTTP: what a strict client relies on.

#[path = "http/client.rs"]
mod client;

#[path = "http/dialects.rs"]
mod dialects;
#[path = "http/faults.rs"]
mod faults;
#[path = "http/listing.rs"]
mod listing;
#[path = "http/multipart.rs"]
mod multipart;
#[path = "http/objects.rs"]
mod objects;
