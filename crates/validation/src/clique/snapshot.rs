use super::{CLIQUE_IN_TURN, CLIQUE_OUT_OF_TURN, CLIQUE_VOTE_AUTHORIZE, CliqueRule, checkpoint_signers, clique_terms};
use crate::HeaderError;
use starling_chainspec::ChainSpec;
use starling_primitives::{Address, BlockRef, Header, U256};
use std::collections::{BTreeMap, BTreeSet};

/// Who may sign after a block, who must wait, and which votes are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliqueSnapshot {
    /// The block after which it holds.
    pub at: BlockRef,
    /// Who may sign.
    pub signers: BTreeSet<Address>,
    /// Who signed the last blocks, by number: they must wait.
    pub recents: BTreeMap<u64, Address>,
    /// Open votes in the order of their blocks.
    pub votes: Vec<CliqueVote>,
}

/// A vote that has not decided anything yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CliqueVote {
    /// Who votes.
    pub signer: Address,
    /// In which block.
    pub block: u64,
    /// About whom.
    pub address: Address,
    /// Whether it shall sign or sign no more.
    pub authorize: bool,
}

impl CliqueSnapshot {
    /// The snapshot after a checkpoint, genesis included, without anybody who must wait. None if its extra data is not
    /// one's.
    pub fn at_checkpoint(at: BlockRef, header: &Header) -> Option<Self> {
        let signers = checkpoint_signers(header)?.into_iter().collect();
        Some(Self { at, signers, recents: BTreeMap::new(), votes: Vec::new() })
    }

    /// How many blocks, its own included, a signer must let pass before it signs again.
    pub fn wait_blocks(&self) -> u64 {
        self.signers.len() as u64 / 2 + 1
    }

    /// Whether it is a signer's turn to sign a block.
    pub fn is_in_turn(&self, signer: &Address, number: u64) -> bool {
        let position = self.signers.iter().position(|other| other == signer);
        let count = self.signers.len() as u64;
        position.is_some_and(|position| number % count.max(1) == position as u64)
    }

    /// The first block that a signer may sign after this; none if it is no signer.
    pub fn may_sign_from(&self, signer: &Address) -> Option<u64> {
        let next = self.at.number + 1;
        self.signers.contains(signer).then(|| {
            let last = self.recents.iter().rev().find(|(_, recent)| *recent == signer);
            last.map_or(next, |(last, _)| next.max(last + self.wait_blocks()))
        })
    }

    /// What the open votes about an account ask for, and how many they are; they all ask for the same.
    pub fn tally(&self, address: &Address) -> Option<(bool, usize)> {
        let mut votes = self.votes.iter().filter(|vote| vote.address == *address);
        let first = votes.next()?;
        Some((first.authorize, votes.count() + 1))
    }

    /// Checks the seal of the next block: who signed it may, and says its turn right; a checkpoint lists the signers.
    /// Gives the signer.
    pub fn check(&self, spec: &ChainSpec, header: &Header) -> Result<Address, HeaderError> {
        let signer = spec.consensus.author(header).ok_or(CliqueRule::Seal)?;
        let (epoch, _) = clique_terms(spec).ok_or(CliqueRule::NoSnapshot)?;
        if header.parent_hash != self.at.hash {
            return Err(HeaderError::ParentHash { got: header.parent_hash, expected: self.at.hash });
        }
        if header.number.is_multiple_of(epoch)
            && checkpoint_signers(header).is_none_or(|listed| !listed.iter().eq(&self.signers))
        {
            return Err(CliqueRule::CheckpointSigners.into());
        }
        match self.may_sign_from(&signer) {
            None => return Err(CliqueRule::NotASigner { signer }.into()),
            Some(next) if next > header.number => {
                let last = next - self.wait_blocks();
                return Err(CliqueRule::SignedRecently { signer, last, next }.into());
            }
            Some(_) => {}
        }
        let in_turn = self.is_in_turn(&signer, header.number);
        let expected = if in_turn { CLIQUE_IN_TURN } else { CLIQUE_OUT_OF_TURN };
        if header.difficulty != U256::from(expected) {
            let got = header.difficulty.saturating_to();
            return Err(CliqueRule::Turn { got, signer, in_turn }.into());
        }
        Ok(signer)
    }

    /// The snapshot after a block that was checked, by its signer.
    #[must_use]
    pub fn apply(&self, spec: &ChainSpec, at: BlockRef, header: &Header, signer: Address) -> Self {
        let mut next = self.clone();
        next.at = at;
        if clique_terms(spec).is_some_and(|(epoch, _)| at.number.is_multiple_of(epoch)) {
            next.votes.clear();
        }
        next.forget_waiting();
        next.recents.insert(at.number, signer);
        let authorize = u64::from(header.nonce) == CLIQUE_VOTE_AUTHORIZE;
        next.vote(CliqueVote { signer, block: at.number, address: header.beneficiary, authorize });
        next
    }

    fn vote(&mut self, vote: CliqueVote) {
        let CliqueVote { signer, address, authorize, .. } = vote;
        self.votes.retain(|open| open.signer != signer || open.address != address);
        // A vote that would change nothing is none: this is what blocks without a vote look like, too. It still touches
        // the account, whose open votes may have become enough since there are fewer signers.
        if self.signers.contains(&address) != authorize {
            self.votes.push(vote);
        }
        let Some((authorize, count)) = self.tally(&address) else { return };
        if count <= self.signers.len() / 2 {
            return;
        }
        if authorize {
            self.signers.insert(address);
        } else {
            self.signers.remove(&address);
            self.votes.retain(|open| open.signer != address);
            // Fewer signers wait for fewer blocks.
            self.forget_waiting();
        }
        self.votes.retain(|open| open.address != address);
    }

    /// Forgets who need not wait any more.
    fn forget_waiting(&mut self) {
        let wait = self.wait_blocks();
        if let Some(last) = self.at.number.checked_sub(wait) {
            self.recents.remove(&last);
        }
    }
}
