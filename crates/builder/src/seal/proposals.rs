use parking_lot::Mutex;
use starling_primitives::Address;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Most proposals at a time; one more is refused.
const PROPOSALS_MAX: usize = 1_024;

/// Whom this signer votes on: each account with whether it shall sign. A proposal stands until it is discarded; votes
/// are cast as long as they would change something. All clones are the same.
#[derive(Clone, Default)]
pub struct Proposals(Arc<Mutex<BTreeMap<Address, bool>>>);

impl Proposals {
    /// Adds a proposal, or replaces the one about that account; false if there are as many as may be.
    pub fn propose(&self, account: Address, authorize: bool) -> bool {
        let mut proposals = self.0.lock();
        let fits = proposals.contains_key(&account) || proposals.len() < PROPOSALS_MAX;
        if fits {
            proposals.insert(account, authorize);
        }
        fits
    }

    /// Takes a proposal back.
    pub fn discard(&self, account: &Address) {
        self.0.lock().remove(account);
    }

    /// All of them.
    pub fn all(&self) -> Vec<(Address, bool)> {
        self.0.lock().iter().map(|(account, authorize)| (*account, *authorize)).collect()
    }
}

impl fmt::Debug for Proposals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.all()).finish()
    }
}
