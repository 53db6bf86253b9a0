use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use starling_execution::TxError;
use starling_primitives::{Address, Transaction};
use starling_validation::TransactionRule;
use std::sync::Arc;

/// A transaction that could stand in a block.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The transaction.
    pub tx: Transaction,
    /// Its sender, recovered.
    pub sender: Address,
    /// Its blobs, if it has any. A block can be built without them, a payload cannot be handed out.
    pub sidecar: Option<Arc<BlobTransactionSidecarVariant>>,
}

/// Where transactions come from, in the order in which they are tried.
pub trait Candidates {
    /// The next one.
    fn next(&mut self) -> Option<Candidate>;

    /// The last one does not fit. An error gives the block up; else the next one is tried.
    fn refused(&mut self, why: Unfit) -> Result<(), Unfit>;
}

/// Why a candidate does not stand in the block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is not a transaction of this fork.
    #[error(transparent)]
    Rule(#[from] TransactionRule),
    /// It may not run here: gas, nonce, balance, fees.
    #[error("{0}")]
    Run(Box<TxError>),
    /// The block would become too large (EIP-7934).
    #[error("no room for its {bytes} bytes, {left} are left")]
    Size {
        /// What it takes.
        bytes: usize,
        /// What is left.
        left: usize,
    },
    /// The block would have more blobs than it may, or than the operator wants.
    #[error("no room for its {blobs} blobs, {left} are left")]
    Blobs {
        /// What it takes.
        blobs: u64,
        /// What is left.
        left: u64,
    },
    /// Its blobs are not at hand, or with proofs of another kind than the fork's.
    #[error("its blobs are not at hand with the proofs of this fork")]
    Sidecar,
}

/// No transactions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Candidates for Nothing {
    fn next(&mut self) -> Option<Candidate> {
        None
    }

    fn refused(&mut self, _why: Unfit) -> Result<(), Unfit> {
        Ok(())
    }
}

/// These transactions in this order; one that does not fit is an error.
#[derive(Debug)]
pub struct Given(std::vec::IntoIter<Candidate>);

impl Given {
    /// A list of transactions.
    pub fn new(candidates: Vec<Candidate>) -> Self {
        Self(candidates.into_iter())
    }
}

impl Candidates for Given {
    fn next(&mut self) -> Option<Candidate> {
        self.0.next()
    }

    fn refused(&mut self, why: Unfit) -> Result<(), Unfit> {
        Err(why)
    }
}
