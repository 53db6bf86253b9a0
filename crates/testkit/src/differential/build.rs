//! The builder against the blocks of a round: from the same transactions it must make the same block.

use super::{blocks::Made, world::World};
use starling_builder::{
    Attributes, Authorship, Built, Candidate, Candidates, Limits, Parent, Unfit, build, build_for_seal,
};
use starling_chain::ChainCore;
use starling_chainspec::Fork;
use starling_primitives::{Address, Header};
use starling_validation::PreparedBlock;
use std::collections::BTreeSet;

/// What happens to a sender whose transaction is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// Its next one is tried.
    Stays,
    /// All its others are left out, as the pool does.
    Leaves,
}

/// Builds a block on the head from what was offered for `made`, whose parent the head is. Without ommers it must be the
/// very same block. Answers with another one, of the same transactions but for those of senders with a refused one.
pub(super) fn check(chain: &ChainCore, world: &World, made: &Made) -> Result<PreparedBlock, String> {
    if made.block.block.body.ommers.is_empty() {
        let built = make(chain, world, made, Sender::Stays)?.prepare();
        if built.block != made.block.block {
            let (got, want) = (&built.block.header, &made.block.block.header);
            return Err(format!("the builder makes another block:\n{got:?}\nnot\n{want:?}"));
        }
        let parts = |block: &PreparedBlock| {
            let senders: Vec<_> = block.senders.found().collect();
            (block.rlp.clone(), block.hash, block.tx_hashes.clone(), senders)
        };
        if parts(&built) != parts(&made.block) {
            return Err("the builder prepares its block otherwise than it is read".into());
        }
    }
    let built = make(chain, world, made, Sender::Leaves)?;
    let block = built.prepare();
    let read = PreparedBlock::from_block(&world.spec, &built.block).map_err(|error| error.to_string())?;
    match read.rlp == block.rlp && read.is_of_its_header() && block.is_of_its_header() {
        true => Ok(block),
        false => Err("the builder's block does not read as it was prepared".into()),
    }
}

fn make(chain: &ChainCore, world: &World, made: &Made, sender: Sender) -> Result<Built, String> {
    let view = chain.view();
    let (parent, state) = (view.head_header(), view.head_state());
    let parent = Parent { header: parent, state: &state };
    let header = &made.block.block.header;
    let attributes = attributes(made, header);
    let mut offered = Offered::new(world, made, sender)?;
    let limits = Limits::default();
    let built = if world.fork < Fork::Paris {
        let authorship = Authorship { author: header.beneficiary, difficulty: header.difficulty, nonce: header.nonce };
        build_for_seal(&world.spec, parent, &attributes, &authorship, &mut offered, &limits)
    } else {
        build(&world.spec, parent, &attributes, &mut offered, &limits)
    };
    built.map_err(|error| format!("nothing is built: {error}"))
}

fn attributes(made: &Made, header: &Header) -> Attributes {
    Attributes {
        timestamp: header.timestamp,
        fee_recipient: header.beneficiary,
        prev_randao: header.mix_hash,
        withdrawals: made.block.block.body.withdrawals.as_ref().map(|list| list.to_vec()),
        parent_beacon_block_root: header.parent_beacon_block_root,
        slot_number: header.slot_number,
        gas_limit_target: header.gas_limit,
        extra_data: header.extra_data.clone(),
    }
}

/// The transactions of a round's block, in their order.
struct Offered {
    candidates: std::vec::IntoIter<Candidate>,
    sender: Sender,
    last: Address,
    gone: BTreeSet<Address>,
}

impl Offered {
    fn new(world: &World, made: &Made, sender: Sender) -> Result<Self, String> {
        let low_s = world.fork >= Fork::Homestead;
        let senders = starling_primitives::recover_senders(&made.offered, low_s).map_err(|error| error.to_string())?;
        let transactions = made.offered.iter().cloned().zip(senders);
        let candidates: Vec<_> = transactions.map(|(tx, sender)| Candidate { tx, sender, sidecar: None }).collect();
        Ok(Self { candidates: candidates.into_iter(), sender, last: Address::ZERO, gone: BTreeSet::new() })
    }
}

impl Candidates for Offered {
    fn next(&mut self) -> Option<Candidate> {
        let gone = &self.gone;
        let next = self.candidates.find(|candidate| !gone.contains(&candidate.sender))?;
        self.last = next.sender;
        Some(next)
    }

    fn refused(&mut self, _why: Unfit) -> Result<(), Unfit> {
        if self.sender == Sender::Leaves {
            self.gone.insert(self.last);
        }
        Ok(())
    }
}
