//! Differential fuzz: random chains, executed twice and by somebody else.
//!
//! ```text
//!                   ┌─ naive maps, roots from scratch ──► a block with every header field
//! seed ─► a world, ─┤                                           │ must be accepted, must read the same
//!         blocks    ├─ ChainCore: head cache, layers, incremental trie, look-ahead
//!                   └─ geth's `evm t8n`, where it is at hand: roots, gas, bloom, refusals
//! ```
//!
//! Each round draws a fork from Frontier to Amsterdam, accounts, contracts with random programs, and blocks with
//! transactions of every type the fork has, ommers and withdrawals; side branches and rewinds come between. A seed
//! makes the same round anywhere: what fails prints it. Amsterdam is not held against `evm`, whose rules for it differ.

mod blocks;
mod build;
mod dice;
mod naive;
mod program;
mod t8n;
mod transactions;
mod world;

use crate::Outcome;
use blocks::{Ground, Made};
use dice::Dice;
use naive::NaiveState;
use starling_chain::{ChainConfig, ChainCore, ImportOutcome, SetHeadOutcome};
use starling_primitives::{B256, Bytes, Header, Receipt, StateReader, keccak256};
use starling_state::StateView;
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_validation::PreparedBlock;
use std::{path::PathBuf, sync::Arc, time::Instant};
use t8n::Transition;
use world::World;

/// Blocks of a round, without side branches.
const BLOCKS: u64 = 8;

/// Runs rounds with the seeds `seed`, `seed + 1`, …, and prints what was tried.
pub fn run(seed: u64, rounds: u64) -> Outcome {
    let started = Instant::now();
    let evm = t8n::tool();
    match &evm {
        Some(path) => println!("against {}", path.display()),
        None => println!("no `evm` on the PATH or in STARLING_EVM: without geth"),
    }
    let mut tally = Tally::default();
    for round in 0..rounds {
        let seed = seed.wrapping_add(round);
        let mut place = Place::default();
        self::round(seed, evm.clone(), &mut tally, &mut place)
            .map_err(|why| format!("seed {seed}, {}: {why}\nreplay: testkit fuzz --seed {seed} --rounds 1", place.0))?;
    }
    let Tally { blocks, transactions, succeeded, refused, compared } = tally;
    println!(
        "{rounds} rounds from seed {seed}: {blocks} blocks, {transactions} transactions ({succeeded} succeeded), \
         {refused} refused, {compared} blocks compared with evm, {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// What was tried.
#[derive(Debug, Default)]
struct Tally {
    blocks: u64,
    transactions: u64,
    succeeded: u64,
    refused: u64,
    compared: u64,
}

/// Where a round is, for messages.
#[derive(Debug, Default)]
struct Place(String);

fn round(seed: u64, evm: Option<PathBuf>, tally: &mut Tally, place: &mut Place) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let world = World::new(&mut dice);
    place.0 = format!("{}, genesis", world.fork);
    let mut transition = match evm {
        Some(evm) if !world.has_storage_alone => Transition::new(evm, &world)?,
        _ => None,
    };
    let mut chain = open(&world)?;
    let mut history = History::new(&world);
    for number in 1..=BLOCKS {
        place.0 = format!("{}, block {number}", world.fork);
        let made = blocks::make(&mut dice, &world, history.ground())?;
        tally.add(&made);
        if let Some(transition) = &mut transition {
            transition.check(&world, &made)?;
            tally.compared += 1;
        }
        let built = build::check(&chain, &world, &made)?;
        import(&mut chain, &made)?;
        check_kept(&chain, &made)?;
        import_built(&mut chain, built)?;
        if dice.chance(20) {
            place.0 = format!("{}, a sibling of block {number}", world.fork);
            let sibling = blocks::make(&mut dice, &world, history.ground())?;
            tally.add(&sibling);
            side_branch(&mut chain, &made, &sibling)?;
        }
        history.made.push(made);
    }
    place.0 = format!("{}, rewind", world.fork);
    rewind(&mut dice, &mut chain, &history)
}

impl Tally {
    fn add(&mut self, made: &Made) {
        let succeeded = |receipt: &&Receipt| receipt.outcome == starling_primitives::ReceiptOutcome::Status(true);
        self.blocks += 1;
        self.transactions += made.computed.receipts.len() as u64;
        self.succeeded += made.computed.receipts.iter().filter(succeeded).count() as u64;
        self.refused += made.refused.len() as u64;
    }
}

/// The chain as the naive side has it.
struct History {
    genesis: (Header, NaiveState),
    made: Vec<Made>,
}

impl History {
    fn new(world: &World) -> Self {
        let mut state = NaiveState::new(&world.spec.genesis_state);
        state.block_hashes.insert(0, world.spec.genesis_hash());
        Self { genesis: (world.spec.genesis_header.clone(), state), made: Vec::new() }
    }

    fn header(&self, number: usize) -> Option<&Header> {
        match number.checked_sub(1) {
            None => Some(&self.genesis.0),
            Some(index) => Some(&self.made.get(index)?.block.block.header),
        }
    }

    /// What the next block is made on.
    fn ground(&self) -> Ground<'_> {
        let head = self.made.len();
        Ground {
            parent: self.header(head).unwrap_or(&self.genesis.0),
            grandparent: head.checked_sub(1).and_then(|number| self.header(number)),
            state: self.made.last().map_or(&self.genesis.1, |made| &made.state),
        }
    }
}

fn open(world: &World) -> Result<ChainCore, String> {
    let spec = Arc::new(world.spec.clone());
    let block = starling_state::genesis_record(&spec).map_err(|error| error.to_string())?;
    let genesis = GenesisRecord { block, config: Bytes::from_static(b"{}") };
    let db = Database::create(StorageConfig::memory(), genesis).map_err(|error| error.to_string())?;
    ChainCore::open(spec, db, ChainConfig::default()).map_err(|error| error.to_string())
}

fn import(chain: &mut ChainCore, made: &Made) -> Result<(), String> {
    match chain.import_as_head(Arc::new(made.block.clone())) {
        Ok(ImportOutcome::Valid) => Ok(()),
        other => Err(format!("the chain does not take the block: {other:?}")),
    }
}

/// What the builder made is taken as anybody's block is; the head stays.
fn import_built(chain: &mut ChainCore, built: PreparedBlock) -> Result<(), String> {
    match chain.import(Arc::new(built)) {
        Ok(ImportOutcome::Valid | ImportOutcome::Known) => Ok(()),
        other => Err(format!("the chain does not take the builder's block: {other:?}")),
    }
}

/// Compares what is kept of a block, and the whole state after it.
fn check_kept(chain: &ChainCore, made: &Made) -> Result<(), String> {
    let at = made.block.at();
    let view = chain.view();
    let unreadable = |error: starling_primitives::ReadError| format!("unreadable: {error}");
    if view.head() != at {
        return Err(format!("the head is {}, not {at}", view.head()));
    }
    let receipts = view.receipts_stored(at).map_err(unreadable)?;
    if receipts != Some(Receipt::encode_stored_list(&made.computed.receipts)) {
        return Err("the kept receipts are others".into());
    }
    let list = view.access_list(at).map_err(unreadable)?;
    if list != made.computed.access_list || list.map(keccak256) != made.block.block.header.block_access_list_hash {
        return Err("the kept access list is another".into());
    }
    check_state(&view.head_state(), &made.state)
}

/// Reads all that the naive state holds from the layers.
fn check_state(layers: &StateView, naive: &NaiveState) -> Result<(), String> {
    for (address, account, slots) in naive.accounts() {
        let got = layers.account(address).map_err(|error| format!("{address}: {error}"))?;
        if got != Some(*account) {
            return Err(format!("{address} is {got:?} in the layers, {account:?} in the map"));
        }
        let code = (layers.code(&account.code_hash), naive.code(&account.code_hash));
        if code.0 != code.1 {
            return Err(format!("code of {address}: {:?} in the layers, {:?} in the map", code.0, code.1));
        }
        let key = keccak256(address);
        for (slot, value) in slots {
            let got = layers.view().slot(&key, slot).map_err(|error| format!("{address} {slot}: {error}"))?;
            if got != *value {
                return Err(format!("{address} slot {slot} is {got} in the layers, {value} in the map"));
            }
        }
    }
    Ok(())
}

/// Imports a sibling of the head, makes it the head where a consensus client may say so, and goes back.
fn side_branch(chain: &mut ChainCore, head: &Made, sibling: &Made) -> Result<(), String> {
    match chain.import(Arc::new(sibling.block.clone())) {
        Ok(ImportOutcome::Valid) => {}
        other => return Err(format!("the chain does not take it: {other:?}")),
    }
    if chain.spec().is_proof_of_stake(&sibling.block.block.header) {
        set_head(chain, sibling.block.hash)?;
        check_kept(chain, sibling)?;
        set_head(chain, head.block.hash)?;
    } else if chain.head() != head.block.at() {
        // the heavier of two
        check_kept(chain, sibling)?;
        chain.rewind(head.block.at().number - 1).map_err(|error| error.to_string())?;
        reimport(chain, head)?;
    }
    check_kept(chain, head)
}

fn set_head(chain: &mut ChainCore, hash: B256) -> Result<(), String> {
    match chain.set_head(hash, B256::ZERO, B256::ZERO) {
        Ok(SetHeadOutcome::Done) => Ok(()),
        other => Err(format!("{hash} does not become the head: {other:?}")),
    }
}

/// Goes back some blocks and forth again.
fn rewind(dice: &mut Dice, chain: &mut ChainCore, history: &History) -> Result<(), String> {
    let to = dice.below(BLOCKS);
    chain.rewind(to).map_err(|error| error.to_string())?;
    let back = to.checked_sub(1).and_then(|index| history.made.get(index as usize));
    if let Some(made) = back {
        check_kept(chain, made)?;
    }
    for made in &history.made[to as usize..] {
        reimport(chain, made)?;
        check_kept(chain, made)?;
    }
    Ok(())
}

/// Offers a block again that was kept once, and may be kept still.
fn reimport(chain: &mut ChainCore, made: &Made) -> Result<(), String> {
    match chain.import_as_head(Arc::new(made.block.clone())) {
        Ok(ImportOutcome::Valid | ImportOutcome::Known) => Ok(()),
        other => Err(format!("the chain does not take block {} again: {other:?}", made.block.at())),
    }
}
