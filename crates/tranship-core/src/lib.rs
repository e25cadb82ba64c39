//! What tranship decides: types, ports, stages and the completion protocol.
//!
//! Nothing here does I/O, knows a vendor, reads a clock or an environment. In reading order: the
//! nouns ([`object`], [`location`], [`outcome`]); the ports ([`store`], [`ports`]); what is
//! remembered ([`rows`]) and sent ([`message`]); pure decisions ([`compare`], [`layout`],
//! [`checksum`], [`token`], [`protocol`], [`split`], [`forecast`]); and the stages that put them together
//! ([`finder`], [`worker`], [`completer`], [`sweep`]), with the way that bytes take ([`link`]) and who takes
//! the largest objects ([`fleet`]).

pub mod body;
pub mod breakdown;
pub mod breaker;
pub mod checksum;
pub mod compare;
pub mod completer;
pub mod error;
pub mod finder;
pub mod fleet;
pub mod forecast;
pub mod layout;
pub mod link;
mod listing;
pub mod location;
pub mod loss;
pub mod message;
pub mod object;
pub mod outcome;
pub mod policy;
pub mod ports;
pub mod progress;
pub mod protocol;
pub mod qetag;
pub mod room;
pub mod rows;
pub mod settle;
pub mod split;
pub mod stage;
pub mod store;
pub mod survey;
pub mod sweep;
pub mod timeline;
pub mod token;
pub mod verify;
pub mod worker;
