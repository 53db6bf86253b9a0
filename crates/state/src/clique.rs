//! Who may sign after a block, from the headers that are kept.

use alloy_primitives::B256;
use parking_lot::Mutex;
use rayon::prelude::*;
use schnellru::{ByLength, LruMap};
use starling_chainspec::ChainSpec;
use starling_primitives::{Address, BlockRef, Header, ReadError};
use starling_storage::View;
use starling_validation::{CliqueSnapshot, clique::clique_terms};
use std::sync::Arc;

/// Snapshots that are kept at hand, of a few hundred bytes each; the one that was used longest ago is forgotten.
const SNAPSHOTS_MAX: u32 = 1_024;

/// Snapshots of a Clique chain that were asked for lately. Any of them follows from the headers back to a checkpoint, so
/// nothing is lost with them: after a restart an epoch of headers is looked through once.
#[derive(Clone)]
pub struct CliqueSnapshots(Arc<Mutex<LruMap<B256, Arc<CliqueSnapshot>, ByLength>>>);

impl Default for CliqueSnapshots {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruMap::new(ByLength::new(SNAPSHOTS_MAX)))))
    }
}

impl std::fmt::Debug for CliqueSnapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CliqueSnapshots").finish_non_exhaustive()
    }
}

impl CliqueSnapshots {
    /// Who may sign after a kept block; none if the chain has no such consensus, or has left it before this block.
    pub fn at(&self, spec: &ChainSpec, view: &View, at: BlockRef) -> Result<Option<Arc<CliqueSnapshot>>, ReadError> {
        let Some((epoch, _)) = clique_terms(spec) else { return Ok(None) };
        let mut later = Vec::new();
        let mut next = at;
        let mut snapshot = loop {
            if let Some(snapshot) = self.0.lock().get(&next.hash) {
                break snapshot.clone();
            }
            let header = header_of(view, next)?;
            if spec.is_proof_of_stake(&header) {
                return Ok(None);
            }
            if next.number.is_multiple_of(epoch) {
                break Arc::new(checkpoint(spec, view, next, &header)?);
            }
            let parent = BlockRef::new(next.number - 1, header.parent_hash);
            later.push((next, header));
            next = parent;
        };
        let signed = later.into_par_iter().map(|(at, header)| {
            let signer = signer_of(spec, at, &header)?;
            Ok((at, header, signer))
        });
        for (at, header, signer) in signed.collect::<Result<Vec<_>, ReadError>>()?.into_iter().rev() {
            snapshot = Arc::new(snapshot.apply(spec, at, &header, signer));
        }
        self.keep(snapshot.clone());
        Ok(Some(snapshot))
    }

    /// Remembers a snapshot that was made otherwise.
    pub fn keep(&self, snapshot: Arc<CliqueSnapshot>) {
        self.0.lock().insert(snapshot.at.hash, snapshot);
    }
}

/// The snapshot after a checkpoint: the signers that it lists, and who of them signed the last blocks.
fn checkpoint(spec: &ChainSpec, view: &View, at: BlockRef, header: &Header) -> Result<CliqueSnapshot, ReadError> {
    let damaged = || ReadError::Damaged(format!("block {at} is no checkpoint of Clique"));
    let mut snapshot = CliqueSnapshot::at_checkpoint(at, header).ok_or_else(damaged)?;
    let (mut next, mut header) = (at, header.clone());
    for _ in 0..snapshot.wait_blocks().min(at.number) {
        snapshot.recents.insert(next.number, signer_of(spec, next, &header)?);
        next = BlockRef::new(next.number - 1, header.parent_hash);
        header = header_of(view, next)?;
    }
    Ok(snapshot)
}

fn header_of(view: &View, at: BlockRef) -> Result<Header, ReadError> {
    view.header(at)?.ok_or_else(|| ReadError::Damaged(format!("no header for block {at}")))
}

fn signer_of(spec: &ChainSpec, at: BlockRef, header: &Header) -> Result<Address, ReadError> {
    spec.consensus.author(header).ok_or_else(|| ReadError::Damaged(format!("the seal of block {at} leads to nobody")))
}
