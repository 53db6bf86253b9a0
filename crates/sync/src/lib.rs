//! What to ask peers for, what an answer proves, and what to answer them.
//!
//! ```text
//!   network ──PeerJoined, Answer──► ┌────────────────── Syncer ──────────────────┐ ──Request, Penalise──► network
//!                                   │ round: a trusted head, or the heaviest peer │
//!   engine ──Target, Payload──────► │  skeleton   headers ▼▲ proven by hashes     │ ──Prepare──► workers
//!                                   │  window     bodies ─► blocks ─► in order    │ ◄─Prepared──
//!   chain ──Imported, HeadSet─────► └────────────────────────────────────────────┘ ──Import, SetHead──► chain
//!
//!   peer ──request──► serve::answer(view, version, request) ──► answer
//! ```
//!
//! # Two ways to a head
//!
//! After the merge somebody trusted names the head: `engine_forkchoiceUpdated`, or `--sync.target`. Headers are
//! fetched from there *down*, each proven by the hash that the one above it names, until one hangs on a block
//! that we keep. A payload whose parent is unknown is such a head as well, but one that is only imported:
//! the next `newPayload` then finds its parent.
//!
//! Before the merge nobody names it: the peer whose Status (eth/68) claims the greatest total difficulty is
//! followed. The common ancestor is searched, and headers come from there *up*, every one checked, its difficulty
//! included, before any body. A peer without a claim is never assumed to have one.
//!
//! A block of a trusted chain that breaks a rule ends the way: the chain remembers it and everything known to descend from
//! it ([`SyncAction::Refuse`]), so that a consensus client which names one of them again is told what is wrong and which
//! block was the last valid one. A rule that shows before the import is told of only when the block's parent is kept.
//!
//! Either way bodies are asked from all peers at once, matched with the headers on workers, and go to the
//! importer in order, through the door that every block takes. Nothing is remembered between runs but the chain:
//! what is imported is not asked for again.
//!
//! # How to drive it
//!
//! A [`Syncer`] opens no socket, reads no clock, starts nothing and draws no randomness. One owner calls
//! [`Syncer::handle`] with each event, the chain as it is then and the time; after each call it carries out
//! what [`Syncer::poll`] gives, in order, until that is none; and it comes back at [`Syncer::next_deadline`] with
//! [`SyncEvent::Tick`].
//!
//! | action | carry out | and report |
//! |---|---|---|
//! | `Request` | send it | `Answer`, or `RequestFailed` if it cannot be sent. Time-outs are kept here |
//! | `Prepare` | [`PrepareJob::run`] on a worker | `Prepared` |
//! | `Import` | import one block after the other | `Imported` for each, also for those left out after a failure |
//! | `SetHead` | set it, after the imports before it | `HeadSet` |
//! | `Refuse` | have the chain remember it, after the imports before it | – |
//! | `Praise` | count it in the peer's favour | – |
//! | `Penalise` | disconnect if [`Fault::is_lie`], else mark | `PeerLeft` if it goes |
//! | `TargetRefused`, `Progress`, `Synced` | tell the operator | – |
//!
//! # What is bounded
//!
//! Headers held ([`SyncConfig::headers_max`]), blocks in work by number and bytes
//! ([`SyncConfig::window_bytes_max`]), payloads kept, requests a peer, blocks with the importer. What is full
//! makes requests wait. The queue of actions holds what one event led to.

pub mod announce;
mod border;
mod header;
mod heaviest;
mod job;
mod payloads;
mod peers;
mod progress;
mod rates;
pub mod serve;
mod skeleton;
mod syncer;
mod window;

pub use border::{BrokenRule, Fault, ImportResult, PeerInfo, RefusedBlock, SyncAction, SyncEvent, Target};
pub use job::{PrepareJob, Prepared};
pub use progress::{PROGRESS_PERIOD, Progress, WaitsFor};
pub use syncer::{SyncConfig, Syncer};
