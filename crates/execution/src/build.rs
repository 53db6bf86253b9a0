use crate::{
    block::{BlockRun, Computed, IntermediateRoot},
    error::BlockError,
};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::Address;
use starling_chainspec::ChainSpec;
use starling_primitives::{BlockBody, Header, Receipt, StateReader, Transaction};
use std::fmt;

/// A block that is being built: transactions are tried one by one, those that may not stand in it are left out.
///
/// What it gives in the end is what [`crate::execute`] gives for the finished block: both run the same code.
pub struct BlockInProgress<'a> {
    run: BlockRun<'a>,
}

impl<'a> BlockInProgress<'a> {
    /// Starts a block on its parent's state, and runs what comes before the first transaction. Of the header it
    /// reads what is known before: parent, number, time, limits, fees, roots of the outside. Its author is given,
    /// since a block that is not sealed yet cannot name its signer (Clique); elsewhere it is the fee recipient.
    pub fn begin(
        spec: &'a ChainSpec,
        header: &'a Header,
        author: Address,
        parent_state: &'a dyn StateReader,
    ) -> Result<Self, BlockError> {
        let mut run = BlockRun::new(spec, header, author, parent_state);
        run.begin()?;
        Ok(Self { run })
    }

    /// Runs one more transaction; its receipt. [`BlockError::Transaction`] says that it may not stand here and has
    /// changed nothing; after any other error the block is to be given up. `root` is called before Byzantium only.
    pub fn add(
        &mut self,
        tx: &Transaction,
        sender: Address,
        root: &mut IntermediateRoot<'_>,
    ) -> Result<&Receipt, BlockError> {
        let receipt = self.run.transaction(tx, sender, root)?;
        Ok(self.run.receipts.push_mut(receipt))
    }

    /// Gas that is left for a next transaction.
    pub fn gas_left(&self) -> u64 {
        self.run.gas.left()
    }

    /// Blobs of the transactions so far.
    pub fn blobs(&self) -> u64 {
        self.run.blob_gas_used / DATA_GAS_PER_BLOB
    }

    /// Receipts of the transactions so far, in order.
    pub fn receipts(&self) -> &[Receipt] {
        &self.run.receipts
    }

    /// Runs what comes after the last transaction: withdrawals, requests, rewards. Of the body it reads the
    /// withdrawals and ommers.
    pub fn end(self, body: &BlockBody) -> Result<Computed, BlockError> {
        self.run.end(body)
    }
}

impl fmt::Debug for BlockInProgress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockInProgress").field("transactions", &self.receipts().len()).finish_non_exhaustive()
    }
}
