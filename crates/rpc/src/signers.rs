use parking_lot::RwLock;
use starling_primitives::{Address, B256, NodeKey, impersonation};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Accounts that are impersonated at a time; one more is refused.
pub(crate) const IMPERSONATED_MAX: usize = 10_000;

/// Keys that this node signs with for whoever may call it: accounts that were unlocked, or those of a development chain;
/// there also accounts that are impersonated, without a key. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Signers(Arc<RwLock<Accounts>>);

#[derive(Default)]
struct Accounts {
    keys: BTreeMap<Address, NodeKey>,
    // on a development chain
    impersonated: BTreeSet<Address>,
    all_impersonated: bool,
}

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.read().keys.keys()).finish()
    }
}

impl Signers {
    /// Adds a key; gives its address.
    pub fn add(&self, key: NodeKey) -> Address {
        let address = Address::from_raw_public_key(key.public().as_slice());
        self.0.write().keys.insert(address, key);
        address
    }

    /// The accounts with keys, in order of their addresses.
    pub fn addresses(&self) -> Vec<Address> {
        self.0.read().keys.keys().copied().collect()
    }

    /// Whether there is a key for an account.
    pub fn contains(&self, address: &Address) -> bool {
        self.0.read().keys.contains_key(address)
    }

    /// Signs a hash: r, s, and the parity of y; none without a key for the account.
    pub fn sign(&self, address: &Address, hash: &B256) -> Option<alloy_primitives::Signature> {
        let bytes = self.0.read().keys.get(address)?.sign_recoverable(hash);
        alloy_primitives::Signature::from_raw_array(&bytes).ok()
    }

    /// Signs a transaction that this node itself takes in: with the account's key, or in its name.
    pub(crate) fn sign_to_send(&self, address: &Address, hash: &B256) -> Option<alloy_primitives::Signature> {
        let in_its_name = || self.impersonates(address).then(|| impersonation(address));
        self.sign(address, hash).or_else(in_its_name)
    }

    /// Whether transactions of an account are taken without its key.
    pub(crate) fn impersonates(&self, address: &Address) -> bool {
        let accounts = self.0.read();
        accounts.all_impersonated || accounts.impersonated.contains(address)
    }

    /// Takes transactions of an account without its key; false if there are too many such accounts.
    pub(crate) fn impersonate(&self, address: Address) -> bool {
        let mut accounts = self.0.write();
        let fits = accounts.impersonated.len() < IMPERSONATED_MAX || accounts.impersonated.contains(&address);
        fits.then(|| accounts.impersonated.insert(address)).is_some()
    }

    /// Takes them no more; whether it did.
    pub(crate) fn stop_impersonating(&self, address: &Address) -> bool {
        self.0.write().impersonated.remove(address)
    }

    /// Takes transactions of whatever account, or only of those named.
    pub(crate) fn impersonate_all(&self, on: bool) {
        self.0.write().all_impersonated = on;
    }
}
