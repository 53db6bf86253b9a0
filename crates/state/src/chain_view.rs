use crate::{CliqueSnapshots, StateView};
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::Decodable;
use starling_chainspec::ChainSpec;
use starling_primitives::{Address, Block, BlockRef, Header, ReadError, Receipt, Transaction};
use starling_storage::View;
use starling_validation::CliqueSnapshot;
use std::sync::Arc;

/// The chain as it stood when its head was last moved.
#[derive(Debug, Clone)]
pub struct ChainView {
    spec: Arc<ChainSpec>,
    view: View,
    head: Arc<Header>,
    safe: Option<BlockRef>,
    finalized: Option<BlockRef>,
    clique: CliqueSnapshots,
}

/// A block in question, by hash or by number on the canonical chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// By hash; side branches are found as long as they are kept.
    Hash(B256),
    /// By number, up to the head.
    Number(u64),
}

/// A kept block, decoded, with what importing it found out.
#[derive(Debug, Clone)]
pub struct KeptBlock {
    /// Number and hash.
    pub at: BlockRef,
    /// Header and body.
    pub block: Block,
    /// The block's RLP, byte for byte as it came.
    pub rlp: Bytes,
    /// Senders of the transactions in order.
    pub senders: Vec<Address>,
    /// Receipts in their stored form.
    receipts: Bytes,
}

impl KeptBlock {
    /// A block that is not kept, shown as one that is.
    pub fn of(at: BlockRef, block: Block, senders: Vec<Address>, receipts: &[Receipt]) -> Self {
        let rlp = alloy_rlp::encode(&block).into();
        Self { at, block, rlp, senders, receipts: Receipt::encode_stored_list(receipts) }
    }

    /// The receipts, decoded.
    pub fn receipts(&self) -> Result<Vec<Receipt>, ReadError> {
        if self.receipts.is_empty() {
            return Ok(Vec::new());
        }
        Receipt::decode_stored_list(&self.receipts)
            .map_err(|error| ReadError::Damaged(format!("receipts of block {}: {error}", self.at)))
    }
}

impl ChainView {
    /// A view over a storage snapshot, with what the consensus said of it.
    pub fn new(
        spec: Arc<ChainSpec>,
        view: View,
        safe: Option<BlockRef>,
        finalized: Option<BlockRef>,
        clique: CliqueSnapshots,
    ) -> Result<Self, ReadError> {
        let at = view.head();
        let head = view.header(at)?.ok_or_else(|| ReadError::Damaged(format!("no header for the head {at}")))?;
        Ok(Self { spec, view, head: Arc::new(head), safe, finalized, clique })
    }

    /// The same chain over a fresh storage snapshot of the same head, with a deadline of its own.
    pub fn renewed(&self, view: View) -> Self {
        debug_assert_eq!(view.head(), self.head());
        Self { view, ..self.clone() }
    }

    /// The chain's rules.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The canonical head.
    pub fn head(&self) -> BlockRef {
        self.view.head()
    }

    /// The head's header.
    pub fn head_header(&self) -> &Header {
        &self.head
    }

    /// The safe block, none until the consensus named one.
    pub fn safe(&self) -> Option<BlockRef> {
        self.safe
    }

    /// The finalized block, none until the consensus named one.
    pub fn finalized(&self) -> Option<BlockRef> {
        self.finalized
    }

    /// Who may sign after a kept block, by the rules of Clique; none on other chains.
    pub fn clique_snapshot(&self, at: BlockRef) -> Result<Option<Arc<CliqueSnapshot>>, ReadError> {
        self.clique.at(&self.spec, &self.view, at)
    }

    /// The lowest block whose state is kept.
    pub fn oldest_state(&self) -> u64 {
        self.view.oldest_state()
    }

    /// The block up to which everything is in the database proper.
    pub fn frontier(&self) -> BlockRef {
        self.view.frontier()
    }

    /// Finds a block: its number and hash, none if it is not kept or above the head.
    pub fn find(&self, id: BlockId) -> Result<Option<BlockRef>, ReadError> {
        Ok(match id {
            BlockId::Hash(hash) => self.view.block_number(&hash)?.map(|number| BlockRef { number, hash }),
            BlockId::Number(number) => self.view.canonical_hash(number)?.map(|hash| BlockRef { number, hash }),
        })
    }

    /// Whether a block is on the chain that ends at the head.
    pub fn is_canonical(&self, at: BlockRef) -> Result<bool, ReadError> {
        Ok(self.view.canonical_hash(at.number)? == Some(at.hash))
    }

    /// A block's header.
    pub fn header(&self, id: BlockId) -> Result<Option<Header>, ReadError> {
        match self.find(id)? {
            Some(at) if at == self.head() => Ok(Some((*self.head).clone())),
            Some(at) => self.view.header(at),
            None => Ok(None),
        }
    }

    /// A block with its body, senders and receipts.
    pub fn block(&self, id: BlockId) -> Result<Option<KeptBlock>, ReadError> {
        let Some(at) = self.find(id)? else { return Ok(None) };
        let Some(stored) = self.view.block(at)? else { return Ok(None) };
        let block = Block::decode(&mut stored.rlp.as_ref())
            .map_err(|error| ReadError::Damaged(format!("block {at}: {error}")))?;
        Ok(Some(KeptBlock { at, block, rlp: stored.rlp, senders: stored.senders, receipts: stored.receipts }))
    }

    /// RLP of a block's header, as it was hashed.
    pub fn header_rlp(&self, at: BlockRef) -> Result<Option<Bytes>, ReadError> {
        self.view.header_rlp(at)
    }

    /// Hash and header RLP of the canonical block of that number: one look-up.
    pub fn canonical_header_rlp(&self, number: u64) -> Result<Option<(B256, Bytes)>, ReadError> {
        self.view.canonical_header_rlp(number)
    }

    /// RLP of a block, byte for byte as it came; nothing is decoded.
    pub fn block_rlp(&self, at: BlockRef) -> Result<Option<Bytes>, ReadError> {
        self.view.block_rlp(at)
    }

    /// A block's receipts in their stored form ([`Receipt::encode_stored_list`]); nothing is decoded.
    /// Empty bytes for genesis.
    pub fn receipts_stored(&self, at: BlockRef) -> Result<Option<Bytes>, ReadError> {
        self.view.receipts(at)
    }

    /// A block's access list as RLP (EIP-7928); none before Amsterdam, or if the block is not kept.
    pub fn access_list(&self, at: BlockRef) -> Result<Option<Bytes>, ReadError> {
        self.view.access_list(at)
    }

    /// Total difficulty up to and with a block; none on proof of stake.
    pub fn total_difficulty(&self, at: BlockRef) -> Result<Option<U256>, ReadError> {
        self.view.total_difficulty(at)
    }

    /// Where a transaction of the canonical chain stands: its block and its index there.
    pub fn find_transaction(&self, hash: &B256) -> Result<Option<(BlockRef, usize)>, ReadError> {
        let Some((number, index)) = self.view.transaction(hash)? else { return Ok(None) };
        Ok(self.find(BlockId::Number(number))?.map(|at| (at, index as usize)))
    }

    /// A transaction of the canonical chain with its sender and place.
    pub fn transaction(&self, hash: &B256) -> Result<Option<(Transaction, Address, BlockRef, usize)>, ReadError> {
        let Some((at, index)) = self.find_transaction(hash)? else { return Ok(None) };
        let Some(kept) = self.block(BlockId::Hash(at.hash))? else { return Ok(None) };
        let sender = kept.senders.get(index).copied();
        Ok(kept.block.body.transactions.into_iter().nth(index).zip(sender).map(|(tx, from)| (tx, from, at, index)))
    }

    /// The state after a block of this chain, or of a side branch above the frontier.
    pub fn state_at(&self, at: BlockRef) -> Result<StateView, ReadError> {
        if self.is_canonical(at)? {
            return Ok(StateView::new(self.view.at(at.number)?));
        }
        Ok(StateView::new(self.view.on(at.hash)?))
    }

    /// The state after the head.
    pub fn head_state(&self) -> StateView {
        StateView::new(self.view.clone())
    }
}
