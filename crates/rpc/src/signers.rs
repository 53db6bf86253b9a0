use parking_lot::RwLock;
use starling_primitives::{Address, B256, NodeKey};
use std::{collections::BTreeMap, sync::Arc};

/// Keys that this node signs with for whoever may call it: accounts that were unlocked, or those of a development chain.
/// Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Signers(Arc<RwLock<BTreeMap<Address, NodeKey>>>);

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.read().keys()).finish()
    }
}

impl Signers {
    /// Adds a key; gives its address.
    pub fn add(&self, key: NodeKey) -> Address {
        let address = Address::from_raw_public_key(key.public().as_slice());
        self.0.write().insert(address, key);
        address
    }

    /// The accounts, in order of their addresses.
    pub fn addresses(&self) -> Vec<Address> {
        self.0.read().keys().copied().collect()
    }

    /// Whether there is a key for an account.
    pub fn contains(&self, address: &Address) -> bool {
        self.0.read().contains_key(address)
    }

    /// Signs a hash: r, s, and the parity of y; none without a key for the account.
    pub fn sign(&self, address: &Address, hash: &B256) -> Option<alloy_primitives::Signature> {
        let bytes = self.0.read().get(address)?.sign_recoverable(hash);
        alloy_primitives::Signature::from_raw_array(&bytes).ok()
    }
}
