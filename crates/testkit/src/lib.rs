//! What tests of the whole share: where fixtures lie, the node as a process, and the runners over both.
//!
//! Most runners drive the `starling` program as a stranger would, through its command line, JSON-RPC and the Engine
//! API, and import nothing of its code; those behind the feature `conformance` call its crates. Each runner is a
//! function that prints what it found and answers with what failed, so that the `testkit` program and the tests in
//! `tests/` are two thin callers of the same thing.
//!
//! | module | proves |
//! |---|---|
//! | [`chains`] | real chains are imported to their published head and exported byte for byte |
//! | [`rpc`] | JSON-RPC answers are those of the published request and response files |
//! | [`engine`] | every payload is judged right, and so is every payload with one thing wrong |
//! | `conformance` | every case of the official suites, and real blocks, come to what is published |
//! | [`crash`] | a process killed at any moment loses nothing and starts again |
//! | `crash_net` | sealers and followers killed under load sign no height twice and lose no transaction |
//! | `differential` | random chains give the same on layers, on plain maps and in geth |
//! | [`mutate`] | the conformance runner notices when one rule of the protocol is changed |
//! | `simulate` | hundreds of nodes in virtual time find each other, spread news, outlive cuts and hostile peers |
//! | [`interop`] | real peers find, serve and follow it, and it them |
//! | [`fuzz`] | parsers hold against what strangers send |
//! | [`bench`] | how fast it is, beside geth |

#[cfg(feature = "conformance")]
pub mod authority;
pub mod bench;
pub mod chains;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod crash;
#[cfg(feature = "conformance")]
pub mod crash_net;
#[cfg(feature = "conformance")]
pub mod differential;
pub mod engine;
pub mod fixtures;
pub mod fuzz;
pub mod http;
pub mod interop;
pub mod memory;
pub mod mutate;
pub mod node;
pub mod rpc;
#[cfg(feature = "conformance")]
pub mod simulate;
pub mod ws;

/// What a runner answers: nothing, or everything that failed, as text for people.
pub type Outcome<T = ()> = Result<T, String>;
