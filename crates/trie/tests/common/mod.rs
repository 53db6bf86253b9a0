//! A plain model of state, and diffs between two of its moments.

#![allow(dead_code, unreachable_pub)]

use starling_primitives::{Account, AccountDiff, Address, B256, EMPTY_ROOT_HASH, SlotDiff, StateDiff, U256};
use starling_trie::{MemoryTrie, TrieUpdate, root_of_flat, update};
use std::collections::{BTreeMap, BTreeSet};

/// Accounts and their slots by key, as the flat state has them; storage roots are not kept here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model(pub BTreeMap<B256, (Account, BTreeMap<B256, U256>)>);

/// What may happen to an account, by the numbers of its key and slots.
#[derive(Debug, Clone)]
pub enum Op {
    Put {
        account: u32,
        nonce: u64,
    },
    Delete {
        account: u32,
    },
    /// Destroyed and created anew.
    Renew {
        account: u32,
    },
    Write {
        account: u32,
        slot: u32,
        value: u64,
    },
}

/// A block's way through the model: which accounts it touched, and which lost their storage.
#[derive(Default)]
pub struct Touched {
    slots: BTreeMap<B256, BTreeSet<B256>>,
    wiped: BTreeSet<B256>,
}

impl Model {
    pub fn run(&mut self, op: &Op, touched: &mut Touched) {
        match *op {
            Op::Put { account, nonce } => {
                touched.slots.entry(key(account)).or_default();
                self.0.entry(key(account)).or_default().0 = rich(nonce);
            }
            Op::Delete { account } => {
                touched.slots.entry(key(account)).or_default();
                if self.0.remove(&key(account)).is_some() {
                    touched.wiped.insert(key(account));
                }
            }
            Op::Renew { account } => {
                self.run(&Op::Delete { account }, touched);
                self.run(&Op::Put { account, nonce: 1 }, touched);
            }
            Op::Write { account, slot, value } => {
                touched.slots.entry(key(account)).or_default().insert(key(slot));
                let slots = &mut self.0.entry(key(account)).or_default().1;
                if value == 0 {
                    slots.remove(&key(slot))
                } else {
                    slots.insert(key(slot), U256::from(value))
                };
            }
        }
    }

    /// What leads from `before`, whose accounts `trie` holds with their storage roots, to this.
    pub fn diff(&self, before: &Self, touched: &Touched, trie: &MemoryTrie) -> StateDiff {
        let one = |(key, slots): (&B256, &BTreeSet<B256>)| {
            let old = before.0.get(key);
            let new = self.0.get(key);
            let wiped = touched.wiped.contains(key) && old.is_some_and(|(_, slots)| !slots.is_empty());
            let before = trie.accounts.get(key).copied();
            let storage_root = before.filter(|_| !wiped).map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
            let value = |side: Option<&(Account, BTreeMap<B256, U256>)>, slot: &B256| {
                side.and_then(|(_, slots)| slots.get(slot)).copied().unwrap_or_default()
            };
            let slot = |slot: &B256| SlotDiff {
                key: *slot,
                before: if wiped { U256::ZERO } else { value(old, slot) },
                after: value(new, slot),
            };
            AccountDiff {
                key: *key,
                address: Address::from_slice(&key[12..]),
                before,
                after: new.map(|(account, _)| Account { storage_root, ..*account }),
                wiped,
                slots: if new.is_some() { slots.iter().map(slot).collect() } else { Vec::new() },
            }
        };
        StateDiff { accounts: touched.slots.iter().map(one).collect(), codes: Vec::new() }
    }

    /// The diff that makes this state out of nothing.
    pub fn genesis(&self) -> StateDiff {
        let mut touched = Touched::default();
        for (key, (_, slots)) in &self.0 {
            touched.slots.insert(*key, slots.keys().copied().collect());
        }
        self.diff(&Self::default(), &touched, &MemoryTrie::default())
    }

    /// Rows and leaves of this state, made at once.
    pub fn built_at_once(&self) -> (MemoryTrie, TrieUpdate) {
        let mut diff = self.genesis();
        let mut trie = MemoryTrie::default();
        let update = update(&trie, &mut diff).expect("nothing to be damaged");
        trie.apply(&diff, &update);
        (trie, update)
    }
}

/// The state root by the independent builder; checks the storage roots in the leaves on the way.
pub fn witness_root(trie: &MemoryTrie) -> B256 {
    let accounts: BTreeMap<_, _> = trie.accounts.iter().collect();
    root_of_flat(accounts.into_iter().map(|(key, account)| {
        let slots: BTreeMap<_, _> = trie.slots.get(key).into_iter().flatten().collect();
        Ok((*key, *account, slots.into_iter().map(|(key, value)| Ok((*key, *value)))))
    }))
    .expect("flat state in order")
}

/// Key number `n`. Even numbers are spread like hashes; odd ones share long prefixes: their digits in base 4
/// stand at both ends of the key and in its middle, so that extensions, splits in their middle and nodes
/// inside nodes all come about.
pub fn key(n: u32) -> B256 {
    if n.is_multiple_of(2) {
        return starling_primitives::keccak256(n.to_be_bytes());
    }
    let mut key = B256::repeat_byte(0x55);
    let mut digits = n / 2;
    for nibble in [63, 62, 0, 61, 31, 1, 30, 2] {
        let digit = (digits % 4) as u8;
        digits /= 4;
        let shift = if nibble % 2 == 0 { 4 } else { 0 };
        key[nibble / 2] = (key[nibble / 2] & !(0x0f << shift)) | ((digit * 5) << shift);
    }
    key
}

/// An account that is nobody else's.
pub fn rich(nonce: u64) -> Account {
    Account { nonce, balance: U256::from(nonce).wrapping_pow(U256::from(5)), ..Account::default() }
}

/// Small, seeded, the same everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
