//! A naive model of a chain's state, and random blocks over it. Branch rows and storage roots are stand-ins that
//! follow from the state as the real ones do, so that every row can be checked.

use crate::{BlockRecord, View};
use starling_primitives::{
    Account, AccountDiff, Address, B256, BlockRef, BranchChanges, BranchRow, Bytes, EMPTY_ROOT_HASH, Header, Nibbles,
    SlotDiff, StateDiff, StorageBranches, U256, keccak256,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const ADDRESSES: u64 = 10;
const SLOTS: u64 = 6;

/// A small generator (splitmix64): one seed, one run.
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// State after a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) accounts: BTreeMap<B256, Account>,
    pub(super) slots: BTreeMap<(B256, B256), U256>,
}

/// A block of the model.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) at: BlockRef,
    pub(super) parent: Option<Arc<Block>>,
    pub(super) record: BlockRecord,
    pub(super) state: State,
}

pub(super) fn address(index: u64) -> Address {
    Address::with_last_byte(index as u8 + 1)
}

pub(super) fn key(index: u64) -> B256 {
    keccak256(address(index))
}

pub(super) fn slot_key(index: u64) -> B256 {
    keccak256(U256::from(index).to_be_bytes::<32>())
}

type Rows = BTreeMap<Nibbles, Bytes>;

impl State {
    fn storage(&self, account: &B256) -> impl Iterator<Item = (B256, U256)> {
        let range = (*account, B256::ZERO)..=(*account, B256::repeat_byte(0xff));
        self.slots.range(range).map(|((_, slot), value)| (*slot, *value))
    }

    pub(super) fn storage_root(&self, account: &B256) -> B256 {
        let mut slots = self.storage(account).peekable();
        if slots.peek().is_none() {
            return EMPTY_ROOT_HASH;
        }
        keccak256(slots.flat_map(|(slot, value)| [slot.0, value.to_be_bytes()].concat()).collect::<Vec<u8>>())
    }

    pub(super) fn account_rows(&self) -> Rows {
        rows(self.accounts.iter().map(|(key, account)| (*key, alloy_rlp::encode(account))))
    }

    pub(super) fn storage_rows(&self, account: &B256) -> Rows {
        rows(self.storage(account).map(|(slot, value)| (slot, value.to_be_bytes::<32>().to_vec())))
    }

    /// What it takes to get from this state to another.
    pub(super) fn branches_to(&self, after: &Self, diff: &StateDiff) -> BranchChanges {
        let mut storages = Vec::new();
        for account in &diff.accounts {
            let wiped = account.wiped || account.after.is_none();
            let before = if wiped { Rows::new() } else { self.storage_rows(&account.key) };
            let rows = changed_rows(&before, &after.storage_rows(&account.key));
            if !rows.is_empty() {
                storages.push(StorageBranches { account: account.key, rows });
            }
        }
        BranchChanges { accounts: changed_rows(&self.account_rows(), &after.account_rows()), storages }
    }

    /// Applies a diff and fills in its storage roots.
    pub(super) fn apply(&mut self, diff: &mut StateDiff) {
        for account in &mut diff.accounts {
            if account.wiped || account.after.is_none() {
                self.slots.retain(|(owner, _), _| *owner != account.key);
            }
            for slot in &account.slots {
                match slot.after.is_zero() {
                    true => self.slots.remove(&(account.key, slot.key)),
                    false => self.slots.insert((account.key, slot.key), slot.after),
                };
            }
            let root = self.storage_root(&account.key);
            if let Some(after) = &mut account.after {
                after.storage_root = root;
                self.accounts.insert(account.key, *after);
            } else {
                self.accounts.remove(&account.key);
            }
        }
    }

    /// The whole state at a view's frontier.
    pub(super) fn at_frontier(view: &View) -> Self {
        let mut state = Self::default();
        for (key, account) in view.frontier_accounts(&B256::ZERO, usize::MAX).expect("accounts") {
            state.accounts.insert(key, account);
            for (slot, value) in view.frontier_slots(&key, &B256::ZERO, usize::MAX).expect("slots") {
                state.slots.insert((key, slot), value);
            }
        }
        state
    }
}

fn rows(leaves: impl Iterator<Item = (B256, Vec<u8>)>) -> Rows {
    let mut groups: BTreeMap<Nibbles, Vec<Vec<u8>>> = BTreeMap::new();
    for (key, value) in leaves {
        for path in [Nibbles::new(), Nibbles::from_nibbles([key[0] >> 4])] {
            groups.entry(path).or_default().push([key.as_slice(), &value].concat());
        }
    }
    // one reference a leaf, so that most of a row stays when one of them changes
    let row = |leaves: Vec<Vec<u8>>| leaves.iter().flat_map(keccak256).collect::<Vec<u8>>().into();
    groups.into_iter().map(|(path, leaves)| (path, row(leaves))).collect()
}

fn changed_rows(before: &Rows, after: &Rows) -> Vec<BranchRow> {
    let paths: BTreeSet<&Nibbles> = before.keys().chain(after.keys()).collect();
    let row =
        |path: &Nibbles| BranchRow { path: *path, before: before.get(path).cloned(), after: after.get(path).cloned() };
    paths.into_iter().map(row).filter(|row| row.before != row.after).collect()
}

/// Random changes to some accounts: new ones, balances, slots, wipes, wipes with re-creation.
fn random_diff(random: &mut Random, state: &State) -> StateDiff {
    let mut diff = StateDiff::default();
    let mut order: Vec<u64> = (0..ADDRESSES).filter(|_| random.below(3) == 0).collect();
    order.sort_by_key(|index| key(*index));
    for index in order {
        let key = key(index);
        let before = state.accounts.get(&key).copied();
        let had_storage = before.is_some_and(|account| account.storage_root != EMPTY_ROOT_HASH);
        let fate = random.below(8);
        let gone = fate == 0 && before.is_some();
        let wiped = had_storage && fate <= 1;
        let slots = if gone { Vec::new() } else { random_slots(random, state, &key, wiped) };
        let code_hash = if index % 2 == 0 { keccak256(code(index)) } else { Account::default().code_hash };
        let nonce = before.map_or(1, |account| account.nonce + 1);
        let after = Account { nonce, balance: U256::from(random.next()), code_hash, ..Account::default() };
        let after = (!gone).then_some(after);
        if before.is_none() && index % 2 == 0 {
            diff.codes.push((code_hash, code(index)));
        }
        diff.accounts.push(AccountDiff { key, address: address(index), before, after, wiped, slots });
    }
    diff.codes.sort();
    diff
}

fn random_slots(random: &mut Random, state: &State, account: &B256, wiped: bool) -> Vec<SlotDiff> {
    let mut slots = Vec::new();
    for index in 0..SLOTS {
        if random.below(3) != 0 {
            continue;
        }
        let key = slot_key(index);
        let before = if wiped { None } else { state.slots.get(&(*account, key)) };
        let before = before.copied().unwrap_or_default();
        let after = if random.below(4) == 0 { U256::ZERO } else { U256::from(random.next()) << (random.below(3) * 90) };
        if before != after {
            slots.push(SlotDiff { key, before, after });
        }
    }
    slots.sort_by_key(|slot| slot.key);
    slots
}

pub(super) fn code(index: u64) -> Bytes {
    vec![index as u8; 700 * index as usize + 1].into()
}

/// A block's RLP with two transactions, one legacy and one typed, as far as storage looks into them.
fn block_rlp(header: &Header, salt: u64) -> (Bytes, Vec<B256>) {
    let legacy = alloy_rlp::encode(vec![salt, header.number]);
    let typed = [&[2u8][..], &alloy_rlp::encode(vec![salt, header.number, 7])].concat();
    let hashes = vec![keccak256(&legacy), keccak256(&typed)];
    let transactions = [legacy, alloy_rlp::encode(typed.as_slice())].concat();
    let mut payload = alloy_rlp::encode(header);
    alloy_rlp::Header { list: true, payload_length: transactions.len() }.encode(&mut payload);
    payload.extend_from_slice(&transactions);
    payload.extend_from_slice(&[0xc0, 0xc0]);
    let mut rlp = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
    rlp.extend_from_slice(&payload);
    (rlp.into(), hashes)
}

impl Block {
    /// A random child of a block, or a genesis.
    pub(super) fn random(random: &mut Random, parent: Option<&Arc<Self>>) -> Arc<Self> {
        let mut state = parent.map(|parent| parent.state.clone()).unwrap_or_default();
        let before = state.clone();
        let mut diff = random_diff(random, &state);
        state.apply(&mut diff);
        let salt = random.next();
        let header = Header {
            parent_hash: parent.map(|parent| parent.at.hash).unwrap_or_default(),
            number: parent.map_or(0, |parent| parent.at.number + 1),
            extra_data: salt.to_be_bytes().to_vec().into(),
            ..Header::default()
        };
        let (rlp, tx_hashes) = block_rlp(&header, salt);
        let at = BlockRef::new(header.number, header.hash_slow());
        let record = BlockRecord {
            block: at,
            header,
            rlp,
            senders: vec![address(salt % 7), address(salt % 5)],
            tx_hashes,
            receipts: salt.to_be_bytes().repeat(salt as usize % 50).into(),
            total_difficulty: (!salt.is_multiple_of(3)).then(|| U256::from(salt)),
            access_list: salt.is_multiple_of(2).then(|| Bytes::from_static(b"\xc1\x05")),
            branches: before.branches_to(&state, &diff),
            diff,
        };
        Arc::new(Self { at, parent: parent.cloned(), record, state })
    }

    /// The block's ancestor of a number, or itself.
    pub(super) fn ancestor(self: &Arc<Self>, number: u64) -> Arc<Self> {
        let mut block = self.clone();
        while block.at.number > number {
            block = block.parent.clone().expect("numbers count down to genesis");
        }
        block
    }
}

/// Holds a view against the model, key by key.
pub(super) fn check_state(view: &View, block: &Block) {
    assert_eq!(view.state_block(), block.at);
    for index in 0..ADDRESSES {
        let key = key(index);
        let account = block.state.accounts.get(&key);
        assert_eq!(view.account(&key).expect("account"), account.copied(), "account {index} at {}", block.at);
        if let Some(account) = account {
            assert_eq!(view.address(&key).expect("address"), Some(address(index)));
            if account.has_code() {
                assert_eq!(view.code(&account.code_hash).expect("code"), Some(code(index)));
            }
        }
        for slot in 0..SLOTS {
            let slot = slot_key(slot);
            let value = block.state.slots.get(&(key, slot)).copied().unwrap_or_default();
            assert_eq!(view.slot(&key, &slot).expect("slot"), value, "slot of {index} at {}", block.at);
        }
    }
    if block.at.number >= view.frontier().number {
        check_branches(view, block);
    }
}

fn check_branches(view: &View, block: &Block) {
    let paths = || [Nibbles::new()].into_iter().chain((0..16).map(|nibble| Nibbles::from_nibbles([nibble])));
    let rows = block.state.account_rows();
    for path in paths() {
        assert_eq!(view.account_branch(&path).expect("row"), rows.get(&path).cloned(), "{path:?} at {}", block.at);
    }
    for index in 0..ADDRESSES {
        let key = key(index);
        let rows = block.state.storage_rows(&key);
        for path in paths() {
            let row = view.storage_branch(&key, &path).expect("row");
            assert_eq!(row, rows.get(&path).cloned(), "{path:?} of {index} at {}", block.at);
        }
    }
}

/// Holds what is kept of a block against its record.
pub(super) fn check_block(view: &View, block: &Block) {
    let (record, at) = (&block.record, block.at);
    assert_eq!(view.canonical_hash(at.number).expect("hash"), Some(at.hash));
    assert_eq!(view.block_number(&at.hash).expect("number"), Some(at.number));
    assert_eq!(view.header(at).expect("header").as_ref(), Some(&record.header));
    assert_eq!(view.total_difficulty(at).expect("difficulty"), record.total_difficulty);
    let stored = view.block(at).expect("block").expect("it is kept");
    assert_eq!((&stored.rlp, &stored.senders), (&record.rlp, &record.senders));
    assert_eq!((&stored.receipts, &stored.access_list), (&record.receipts, &record.access_list));
    assert_eq!(view.access_list(at).expect("access list"), record.access_list);
    assert_eq!(view.receipts(at).expect("receipts").as_ref(), Some(&record.receipts));
    assert_eq!(view.block_rlp(at).expect("block").as_ref(), Some(&record.rlp));
    for (index, hash) in (0..).zip(&record.tx_hashes) {
        assert_eq!(view.transaction(hash).expect("transaction"), Some((at.number, index)));
    }
}

/// Holds a block's changes against its record.
pub(super) fn check_changes(view: &View, block: &Block) {
    let mut changes = view.changes(block.at.number).expect("changes");
    let mut expected = block.record.diff.clone();
    changes.codes.clear();
    expected.codes.clear();
    for account in changes.accounts.iter_mut().chain(&mut expected.accounts) {
        // that an account is gone says as much
        account.wiped |= account.after.is_none();
    }
    assert_eq!(changes, expected, "changes of {}", block.at);
}
