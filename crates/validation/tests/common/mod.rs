//! A chain of checked blocks that grows by one at a time and remembers what the next check needs.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod forge;

use starling_chainspec::ChainSpec;
use starling_primitives::{B256, Bytes, Header, U256};
use starling_validation::{Ancestry, CheckOptions, HeaderError, PreparedBlock, check};
use std::{collections::VecDeque, sync::Arc};

/// Generations that a block with ommers looks back on.
const GENERATIONS: usize = 7;

/// The tip of a chain and its last generations.
pub(crate) struct Chain {
    pub(crate) spec: ChainSpec,
    pub(crate) total_difficulty: U256,
    pub(crate) ommers: usize,
    generations: VecDeque<(B256, Header, Vec<B256>)>,
}

impl Chain {
    pub(crate) fn new(spec: ChainSpec) -> Self {
        let genesis = spec.genesis_header.clone();
        let generations = VecDeque::from([(spec.genesis_hash(), genesis.clone(), Vec::new())]);
        Self { spec, total_difficulty: genesis.difficulty, ommers: 0, generations }
    }

    /// The tip's number.
    pub(crate) fn number(&self) -> u64 {
        self.generations[0].1.number
    }

    pub(crate) fn ancestry(&self) -> Ancestry {
        let (hash, header, _) = &self.generations[0];
        Ancestry {
            parent: (*hash, header.clone()),
            parent_total_difficulty: Some(self.total_difficulty),
            generations: self.generations.iter().cloned().collect(),
            clique: None,
        }
    }

    pub(crate) fn check(&self, rlp: Bytes) -> Result<Arc<PreparedBlock>, HeaderError> {
        let prepared = PreparedBlock::from_rlp(&self.spec, rlp).expect("a block that decodes");
        let block = Arc::new(prepared);
        check(&self.spec, block.clone(), &self.ancestry(), CheckOptions::default())?;
        Ok(block)
    }

    /// Checks a block and makes it the tip.
    pub(crate) fn push(&mut self, rlp: Bytes) {
        let number = self.number() + 1;
        let block = self.check(rlp).unwrap_or_else(|error| panic!("block {number} of {}: {error}", self.spec.name));
        let header = block.block.header.clone();
        self.total_difficulty += header.difficulty;
        self.ommers += block.block.body.ommers.len();
        let ommers = block.block.body.ommers.iter().map(Header::hash_slow).collect();
        self.generations.push_front((block.hash, header, ommers));
        self.generations.truncate(GENERATIONS);
    }
}
