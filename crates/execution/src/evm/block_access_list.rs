use alloy_eip7928::AccountChanges;
use alloy_primitives::{Address, U256};
use revm::state::{
    Account,
    bal::{Bal, BlockAccessIndex},
};

/// Gathers what a block accesses and changes, for its access list (EIP-7928).
///
/// Index 0 is before the first transaction, then one a transaction, then one after the last.
#[derive(Debug, Default)]
pub(crate) struct AccessRecorder {
    list: Bal,
    index: BlockAccessIndex,
}

impl AccessRecorder {
    /// What comes next belongs to the next transaction, or to the end of the block.
    pub(crate) fn advance(&mut self) {
        self.index.increment();
    }

    pub(super) fn account(&mut self, address: Address, account: &Account) {
        self.list.update_account(self.index, address, account);
    }

    /// A balance that changed outside of the EVM (withdrawals); equal values record the access only.
    pub(crate) fn balance(&mut self, address: Address, before: U256, after: U256) {
        self.list.accounts.entry(address).or_default().account_info.balance_update(self.index, &before, after);
    }

    /// The list, sorted as the EIP asks.
    pub(crate) fn finish(self) -> Vec<AccountChanges> {
        self.list.into_alloy_bal()
    }
}
