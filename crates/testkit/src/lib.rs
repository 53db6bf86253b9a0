//! What tests of the whole share: where fixtures lie, the node as a process, runners over both.

pub mod fixtures;
