//! Remembers every block that was ever shown, and who signed it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use alloy_primitives::{Address, B256, hex, keccak256};
use alloy_rlp::Decodable;
use serde_json::{Value, json};
use starling_devp2p::eth::{EthMessage, EthVersion, GetBlockHeaders, HashOrNumber, Request, Response};
use starling_primitives::Header;

use super::{Board, Network, Seen};
use crate::Outcome;
use crate::authority;
use crate::interop::peer::{Incoming, Peer};

/// How often a node's head is looked at; and how often, whether a dead one is back.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A peer that hears nothing looks this often whether it shall stop.
const HEAR_TIMEOUT: Duration = Duration::from_millis(250);

/// What was seen, by all threads.
#[derive(Default)]
pub(super) struct Witness(Mutex<Known>);

#[derive(Default)]
struct Known {
    blocks: BTreeSet<B256>,
    /// Which block a signer signed at a height.
    signed: BTreeMap<(u64, Address), B256>,
    /// Of those, found on disk alone so far.
    unseen: BTreeSet<B256>,
    faults: Vec<String>,
}

impl Witness {
    /// Notes a header in RLP; its hash and its parent's, if there is one to be looked at.
    fn note(&self, rlp: &[u8], shown: bool) -> Option<B256> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = keccak256(rlp);
        if shown {
            known.unseen.remove(&hash);
        }
        let Ok(header) = Header::decode(&mut &*rlp) else {
            known.faults.push(format!("no header: {}", hex::encode(rlp)));
            return None;
        };
        if header.number == 0 || !known.blocks.insert(hash) {
            return None;
        }
        if !shown {
            known.unseen.insert(hash);
        }
        match authority::signer(&header) {
            None => known.faults.push(format!("block {} {hash} is signed by nobody", header.number)),
            Some(signer) => {
                let first = *known.signed.entry((header.number, signer)).or_insert(hash);
                if first != hash {
                    let number = header.number;
                    known.faults.push(format!("{signer} signed block {number} twice: {first} and {hash}"));
                }
            }
        }
        Some(header.parent_hash)
    }

    fn knows(&self, hash: &B256) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.blocks.contains(hash) && !known.unseen.contains(hash)
    }

    /// Hears what a node tells its peers, whenever it lives, until it is time to stop.
    pub(super) fn listen(&self, board: &Board, index: usize, watching: &AtomicBool) {
        let mut connections = 0;
        while watching.load(Relaxed) {
            if let Some(seen) = board.get(index) {
                connections += 1;
                // That it dies meanwhile is what it is here for.
                let _ = self.hear(&seen, (index as u64) << 32 | connections, watching);
            }
            sleep(LOOK_EVERY);
        }
    }

    fn hear(&self, seen: &Seen, seed: u64, watching: &AtomicBool) -> Outcome {
        let Ok(mut peer) = Peer::connect(&seen.target, &[EthVersion::V68], seed, |_| {})? else { return Ok(()) };
        let mut asked = 0;
        while watching.load(Relaxed) {
            match peer.next(HEAR_TIMEOUT)? {
                Incoming::Message(EthMessage::NewBlock(new)) => {
                    if let Some(header) = header_of(&new.block) {
                        self.note(header, true);
                    }
                }
                Incoming::Message(EthMessage::NewBlockHashes(blocks)) => {
                    for block in blocks.iter().filter(|block| !self.knows(&block.hash)) {
                        asked += 1;
                        let start = HashOrNumber::Hash(block.hash);
                        let request = GetBlockHeaders { start, limit: 1, skip: 0, reverse: false };
                        peer.send(&EthMessage::Request { id: asked, request: Request::BlockHeaders(request) })?;
                    }
                }
                Incoming::Message(EthMessage::Response { response: Response::BlockHeaders(headers), .. }) => {
                    for header in &headers {
                        self.note(header, true);
                    }
                }
                Incoming::Message(_) | Incoming::Silence => {}
                Incoming::Closed(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Asks a node for its head again and again, and for what came before it.
    pub(super) fn poll(&self, board: &Board, index: usize, watching: &AtomicBool) {
        while watching.load(Relaxed) {
            if let Some(seen) = board.get(index) {
                let _ = self.look(&seen);
            }
            sleep(LOOK_EVERY);
        }
    }

    fn look(&self, seen: &Seen) -> Outcome {
        let mut hash = seen.http.result("eth_getBlockByNumber", json!(["latest", false]))?["hash"].clone();
        while let Some(known) = hash.as_str().and_then(|hash| hash.parse::<B256>().ok()) {
            if self.knows(&known) {
                break;
            }
            let rlp = bytes(&seen.http.result("debug_getRawHeader", json!([hash]))?);
            match rlp.filter(|rlp| !rlp.is_empty()).and_then(|rlp| self.note(&rlp, true)) {
                Some(parent) => hash = parent.to_string().into(),
                None => break,
            }
        }
        Ok(())
    }

    /// Reads which blocks the sealers have signed last by their records, whether they were shown or not.
    pub(super) fn on_disk(&self, network: &Network) -> Outcome {
        for member in network.members.iter().filter(|member| member.key.is_some()) {
            let path = member.home.data().join("sealed");
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let rlp = text.split_whitespace().nth(2).and_then(|rlp| hex::decode(rlp).ok());
            let header = rlp.as_deref().and_then(header_of).map(<[u8]>::to_vec);
            let header = header.ok_or_else(|| format!("{} holds no block: {text}", path.display()))?;
            self.note(&header, false);
        }
        Ok(())
    }

    /// Fails if anything was signed that must not be.
    pub(super) fn verdict(&self) -> Outcome {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.faults.is_empty() {
            true if known.blocks.is_empty() => Err("no block was ever seen".into()),
            true => Ok(()),
            false => Err(known.faults.join("\n")),
        }
    }
}

impl std::fmt::Display for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let heights: BTreeSet<_> = known.signed.keys().map(|(number, _)| number).collect();
        let signers: BTreeSet<_> = known.signed.keys().map(|(_, signer)| signer).collect();
        write!(
            f,
            "{} blocks of {} heights seen, signed by {} keys, {} of them siblings, {} signed and never shown; {} faults",
            known.blocks.len(),
            heights.len(),
            signers.len(),
            known.blocks.len() - heights.len(),
            known.unseen.len(),
            known.faults.len()
        )
    }
}

/// The header within a block, in RLP.
fn header_of(block: &[u8]) -> Option<&[u8]> {
    let list = alloy_rlp::Header::decode_bytes(&mut &*block, true).ok()?;
    let mut rest = list;
    alloy_rlp::Header::decode_bytes(&mut rest, true).ok()?;
    list.get(..list.len() - rest.len())
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    hex::decode(value.as_str()?).ok()
}
