use alloy_eips::{eip2718::Encodable2718, eip7594::BlobTransactionSidecarVariant};
use starling_primitives::{Address, Block, BranchChanges, Bytes, Receipt, Senders, StateDiff, U256};
use starling_validation::PreparedBlock;
use std::sync::Arc;

/// A block that was built: every field of the header is right, but for a seal that is put on afterwards.
#[derive(Debug, Clone)]
pub struct Built {
    /// The block.
    pub block: Block,
    /// Senders of its transactions in order.
    pub senders: Vec<Address>,
    /// Receipts in order.
    pub receipts: Vec<Receipt>,
    /// What the author gets for the transactions, in wei.
    pub fees: U256,
    /// Requests with their type bytes (EIP-7685), since Prague.
    pub requests: Option<Vec<Bytes>>,
    /// Block access list as RLP (EIP-7928), since Amsterdam.
    pub access_list: Option<Bytes>,
    /// Blobs with their proofs, a sidecar a blob transaction, in order.
    pub sidecars: Vec<Arc<BlobTransactionSidecarVariant>>,
    /// What it changes in its parent's state.
    pub diff: StateDiff,
    /// What it changes in the tries.
    pub branches: BranchChanges,
}

impl Built {
    /// The block for import, as anybody's; that its signatures lead to its senders is known already.
    pub fn prepare(&self) -> PreparedBlock {
        let header = &self.block.header;
        PreparedBlock {
            rlp: alloy_rlp::encode(&self.block).into(),
            hash: header.hash_slow(),
            tx_hashes: self.block.body.transactions.iter().map(|tx| tx.trie_hash()).collect(),
            senders: Senders::known(self.senders.clone()),
            transactions_root: header.transactions_root,
            ommers_hash: header.ommers_hash,
            withdrawals_root: header.withdrawals_root,
            access_list: self.access_list.clone(),
            block: self.block.clone(),
        }
    }
}
