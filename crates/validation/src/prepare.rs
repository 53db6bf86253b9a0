//! What can be computed from a block's bytes alone, on any thread, before its parent is known.
//!
//! The bytes are cut once: hashes and roots are taken over the very slices that came, and only the fields
//! that rules look at are decoded.

use alloy_consensus::proofs::calculate_withdrawals_root;
use alloy_eips::{eip2718::Decodable2718, eip4895::Withdrawals};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Header as RlpHeader, PayloadView};
use alloy_trie::root::ordered_trie_root_with_encoder;
use starling_chainspec::{ChainSpec, Consensus, Fork};
use starling_primitives::{Block, BlockBody, BlockRef, Header, SenderError, SenderRules, Senders, Transaction};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A decoded block with everything that can be computed from it alone. Whether it fits anywhere is unknown.
#[derive(Debug, Clone)]
pub struct PreparedBlock {
    /// Header and body.
    pub block: Block,
    /// The block's RLP, byte for byte as it came.
    pub rlp: Bytes,
    /// keccak of the header.
    pub hash: B256,
    /// Transaction hashes in order.
    pub tx_hashes: Vec<B256>,
    /// Senders in order; of a payload from the consensus client some may still have to be found.
    pub senders: Senders,
    /// Root of the transactions as computed from the body.
    pub transactions_root: B256,
    /// Hash of the ommers as computed from the body.
    pub ommers_hash: B256,
    /// Root of the withdrawals as computed from the body, if it has any list of them.
    pub withdrawals_root: Option<B256>,
    /// Block access list that came beside the block (Engine API), RLP.
    pub access_list: Option<Bytes>,
}

/// The bytes are not a block, or one that no fork allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// Not RLP, or not of a block's shape.
    #[error("block does not decode: {what}: {error}")]
    Decode {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        error: alloy_rlp::Error,
    },
    /// A transaction does not decode.
    #[error("block does not decode: transaction {index}: {error}")]
    Transaction {
        /// Its place in the block.
        index: usize,
        /// What is wrong with it.
        error: String,
    },
    /// A transaction's signature leads to no sender.
    #[error(transparent)]
    Sender(#[from] SenderError),
}

impl PreparedBlock {
    /// Decodes and prepares a block from its RLP. Senders are recovered on the current rayon pool.
    pub fn from_rlp(spec: &ChainSpec, rlp: Bytes) -> Result<Self, PrepareError> {
        let parts = Parts::cut(&rlp)?;
        let header: Header = alloy_rlp::decode_exact(parts.header).map_err(decode("header"))?;
        let ommers: Vec<Header> = alloy_rlp::decode_exact(parts.ommers).map_err(decode("ommers"))?;
        let withdrawals: Option<Withdrawals> = match parts.withdrawals {
            Some(raw) => Some(alloy_rlp::decode_exact(raw).map_err(decode("withdrawals"))?),
            None => None,
        };
        let (transactions_root, transactions) = prepare_transactions(spec, &header, &parts.transactions);
        let PreparedTransactions { transactions, hashes, senders } = transactions?;
        senders.all(&transactions)?;
        Ok(Self {
            hash: keccak256(parts.header),
            tx_hashes: hashes,
            transactions_root,
            ommers_hash: keccak256(parts.ommers),
            withdrawals_root: withdrawals.as_ref().map(|list| calculate_withdrawals_root(list)),
            senders,
            access_list: None,
            block: Block { header, body: BlockBody { transactions, ommers, withdrawals } },
            rlp,
        })
    }

    /// Prepares a block that was built here.
    pub fn from_block(spec: &ChainSpec, block: &Block) -> Result<Self, PrepareError> {
        Self::from_rlp(spec, alloy_rlp::encode(block).into())
    }

    /// Whether the body, and the access list beside it, are those that the header names. If not, the block's hash says
    /// nothing of them: another body may come under the same hash and be right.
    pub fn is_of_its_header(&self) -> bool {
        let header = &self.block.header;
        let list_fits = match &self.access_list {
            Some(list) => header.block_access_list_hash == Some(keccak256(list)),
            None => true,
        };
        list_fits
            && header.transactions_root == self.transactions_root
            && header.ommers_hash == self.ommers_hash
            && header.withdrawals_root == self.withdrawals_root
    }

    /// Has the senders that are not known yet found on the current rayon pool, while the caller goes on. One thread of
    /// the pool is left for whoever runs the block, who finds what is not found when it is needed.
    pub fn find_senders(self: &Arc<Self>) {
        let finders = rayon::current_num_threads().saturating_sub(1).min(self.senders.left());
        for _ in 0..finders {
            let block = self.clone();
            rayon::spawn(move || while block.senders.find_next(&block.block.body.transactions) {});
        }
    }

    /// Number and hash.
    pub fn at(&self) -> BlockRef {
        BlockRef::new(self.block.header.number, self.hash)
    }
}

/// A block's transactions with everything that can be computed from their bytes alone.
#[derive(Debug, Clone)]
pub struct PreparedTransactions {
    /// Decoded, in order.
    pub transactions: Vec<Transaction>,
    /// Their hashes.
    pub hashes: Vec<B256>,
    /// Their senders, of which some may not be known yet.
    pub senders: Senders,
}

/// The root of a block's transactions, each given by its EIP-2718 bytes.
pub fn transactions_root<T: AsRef<[u8]>>(raw: &[T]) -> B256 {
    ordered_trie_root_with_encoder(raw, |tx, out| out.extend_from_slice(tx.as_ref()))
}

/// The root of transactions and, beside it on the current rayon pool, the transactions, with as many senders as are found
/// meanwhile. Of `header` only what says the fork is read: the root may be what it still lacks.
pub fn prepare_transactions<T: AsRef<[u8]> + Sync>(
    spec: &ChainSpec,
    header: &Header,
    raw: &[T],
) -> (B256, Result<PreparedTransactions, PrepareError>) {
    let rules = SenderRules {
        low_s: spec.fork_of(header) >= Fork::Homestead,
        // Development chains know transactions that nobody signed.
        may_be_impersonated: spec.consensus == Consensus::Dev,
    };
    let has_root = AtomicBool::new(false);
    let root = || {
        let root = transactions_root(raw);
        has_root.store(true, Ordering::Relaxed);
        root
    };
    let prepare = || {
        let transactions = decode_transactions(raw)?;
        let hashes = raw.iter().map(keccak256).collect();
        let senders = Senders::unknown(transactions.len(), rules);
        while !has_root.load(Ordering::Relaxed) {
            if !senders.find_next(&transactions) {
                break;
            }
        }
        Ok(PreparedTransactions { transactions, hashes, senders })
    };
    rayon::join(root, prepare)
}

/// A block's RLP cut into its items, nothing decoded.
struct Parts<'a> {
    header: &'a [u8],
    /// Each as its EIP-2718 bytes: the string's payload for typed ones, the whole list for legacy ones.
    transactions: Vec<&'a [u8]>,
    ommers: &'a [u8],
    withdrawals: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn cut(rlp: &'a [u8]) -> Result<Self, PrepareError> {
        let mut rest = rlp;
        let mut items = items_of(&mut rest, "block")?;
        if !rest.is_empty() {
            return Err(decode("block")(alloy_rlp::Error::UnexpectedLength));
        }
        let (header, mut transactions, ommers, withdrawals) = match items.as_mut_slice() {
            [header, transactions, ommers] => (*header, *transactions, *ommers, None),
            [header, transactions, ommers, withdrawals] => (*header, *transactions, *ommers, Some(*withdrawals)),
            other => {
                let error = alloy_rlp::Error::ListLengthMismatch { expected: 3, got: other.len() };
                return Err(decode("block")(error));
            }
        };
        let mut transactions = items_of(&mut transactions, "transactions")?;
        for tx in &mut transactions {
            if tx.first().is_some_and(|first| *first < alloy_rlp::EMPTY_LIST_CODE) {
                *tx = RlpHeader::decode_bytes(tx, false).map_err(decode("transactions"))?;
                // A type byte follows; a legacy transaction may not come wrapped in a string.
                if tx.first().is_none_or(|kind| *kind >= alloy_rlp::EMPTY_STRING_CODE) {
                    return Err(decode("transactions")(alloy_rlp::Error::UnexpectedString));
                }
            }
        }
        Ok(Self { header, transactions, ommers, withdrawals })
    }
}

/// The items of the list that `buf` begins with, each with its own RLP header.
fn items_of<'a>(buf: &mut &'a [u8], what: &'static str) -> Result<Vec<&'a [u8]>, PrepareError> {
    match RlpHeader::decode_raw(buf).map_err(decode(what))? {
        PayloadView::List(items) => Ok(items),
        PayloadView::String(_) => Err(decode(what)(alloy_rlp::Error::UnexpectedString)),
    }
}

fn decode_transactions<T: AsRef<[u8]>>(raw: &[T]) -> Result<Vec<Transaction>, PrepareError> {
    raw.iter()
        .enumerate()
        .map(|(index, raw)| {
            let mut rest = raw.as_ref();
            let tx = Transaction::decode_2718(&mut rest)
                .map_err(|error| PrepareError::Transaction { index, error: error.to_string() })?;
            match rest {
                [] => Ok(tx),
                _ => Err(PrepareError::Transaction { index, error: "bytes after its end".into() }),
            }
        })
        .collect()
}

fn decode(what: &'static str) -> impl Fn(alloy_rlp::Error) -> PrepareError {
    move |error| PrepareError::Decode { what, error }
}
