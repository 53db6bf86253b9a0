use crate::Account;
use alloy_primitives::{Address, B256, Bytes, U256};
use nybbles::Nibbles;

/// What a block, or a run of blocks, changed in the state: values before and after.
///
/// Accounts are sorted by `key` and slots within them by `key`, each key once; [`StateDiff::is_sorted`]
/// tells. Unchanged accounts and slots do not appear, except an account whose storage alone changed:
/// its `before` and `after` differ in the storage root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateDiff {
    /// Changed accounts, sorted by key.
    pub accounts: Vec<AccountDiff>,
    /// Code deployed, by its hash, sorted, each once; it may have been known before.
    pub codes: Vec<(B256, Bytes)>,
}

/// One account's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDiff {
    /// keccak of the address: the account's key in the trie and on disk.
    pub key: B256,
    /// The address itself.
    pub address: Address,
    /// The account before, none if it did not exist.
    pub before: Option<Account>,
    /// The account after, none if it does not exist any more. `execution` leaves the storage root
    /// as it was before (the empty root if `wiped`); `trie` fills it in.
    pub after: Option<Account>,
    /// The storage it had before is gone (destroyed, perhaps created anew); `slots` then hold only
    /// what the new account wrote, with zero before.
    pub wiped: bool,
    /// Changed slots, sorted by key.
    pub slots: Vec<SlotDiff>,
}

/// One slot's change. Zero means the slot does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotDiff {
    /// keccak of the slot number, 32 bytes big-endian.
    pub key: B256,
    /// The value before.
    pub before: U256,
    /// The value after.
    pub after: U256,
}

impl StateDiff {
    /// Whether the order that the other crates rely on holds.
    pub fn is_sorted(&self) -> bool {
        self.accounts.is_sorted_by(|a, b| a.key < b.key)
            && self.codes.is_sorted_by(|a, b| a.0 < b.0)
            && self.accounts.iter().all(|account| account.slots.is_sorted_by(|a, b| a.key < b.key))
    }

    /// How many rows change: accounts and slots.
    pub fn changed_keys(&self) -> usize {
        self.accounts.len() + self.accounts.iter().map(|account| account.slots.len()).sum::<usize>()
    }
}

/// One changed branch row of a trie. The bytes are `trie`'s own and opaque to everyone else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchRow {
    /// The branch's path.
    pub path: Nibbles,
    /// The row in the state before, so that storage can write the difference; none if there was none, or if
    /// it was not looked at.
    pub before: Option<Bytes>,
    /// The row now, none if the branch is gone.
    pub after: Option<Bytes>,
}

/// The branch rows that a block changed, in the account trie and in the storage tries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BranchChanges {
    /// Rows of the account trie, sorted by path.
    pub accounts: Vec<BranchRow>,
    /// Rows of the storage tries, sorted by account key.
    pub storages: Vec<StorageBranches>,
}

impl BranchChanges {
    /// How many rows there are, of all tries.
    pub fn count(&self) -> usize {
        self.accounts.len() + self.storages.iter().map(|storage| storage.rows.len()).sum::<usize>()
    }
}

/// The changed branch rows of one account's storage trie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageBranches {
    /// keccak of the account's address.
    pub account: B256,
    /// Rows sorted by path. If the account was wiped, all its older rows are gone and these stand alone.
    pub rows: Vec<BranchRow>,
}
