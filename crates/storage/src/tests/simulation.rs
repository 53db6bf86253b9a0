//! Crashes on a simulated disk: kills, power cuts, full disks and I/O errors at random operations, journal writes,
//! flushes and rollbacks among them. After each: everything acknowledged and not lost to the power cut is there,
//! everything synced is there whatever happened, and what is there reads right.
//!
//! `STARLING_SIM_SEEDS=N` runs N seeds instead of 1,000; `STARLING_SIM_SEED=N` runs that one alone.

use super::{
    harness::{Expected, Machine, append, rollback, set_head, view},
    model::{Block, Random, check_block, check_state},
};
use crate::{
    Lsn, StorageConfig, WriteError,
    disk::simulated::{Faults, SimulatedDisk},
    engine::Engine,
    tables::MemoryStore,
};

const SEEDS_DEFAULT: u64 = 1000;
/// Crashes a seed.
const ROUNDS: u64 = 3;
/// Calls between crashes at most.
const CALLS_MAX: u64 = 24;

struct World {
    disk: SimulatedDisk,
    store: MemoryStore,
    config: StorageConfig,
    random: Random,
    /// States after each acknowledged call since the last start, oldest first.
    states: Vec<Expected>,
    /// How many of them a power cut leaves at least, less one.
    synced: usize,
    lsn: Option<Lsn>,
    /// The state that a call in flight would lead to.
    in_flight: Option<Expected>,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    PowerCut,
}

impl World {
    fn new(seed: u64) -> (Self, Engine) {
        let mut random = Random(seed);
        let Machine::Simulated(disk, store) = Machine::simulated() else { unreachable!("it is simulated") };
        let genesis = Block::random(&mut random, None);
        let history_blocks = (seed % 4 == 1).then_some(3);
        let config = StorageConfig { history_blocks, disk_free_bytes_min: 0, ..StorageConfig::memory() };
        let machine = Machine::Simulated(disk.clone(), store.clone());
        let engine = machine.create(config.clone(), &genesis).expect("a database");
        let states = vec![Expected::new(genesis)];
        (Self { disk, store, config, random, states, synced: 0, lsn: None, in_flight: None }, engine)
    }

    fn now(&self) -> Expected {
        self.states.last().expect("there is a first one").clone()
    }

    /// One random call; the state that it leads to when it succeeds stands in `in_flight` meanwhile.
    fn call(&mut self, engine: &Engine) -> Result<(), WriteError> {
        let mut next = self.now();
        match self.random.below(16) {
            0..9 => {
                let parent = if self.random.below(4) == 0 { next.any(&mut self.random) } else { next.head.clone() };
                let block = Block::random(&mut self.random, Some(&parent));
                next.live.insert(block.at.hash, block.clone());
                self.in_flight = Some(next);
                self.lsn = Some(append(engine, &block)?);
            }
            9..12 => {
                next.head = next.any(&mut self.random);
                self.in_flight = Some(next.clone());
                self.lsn = Some(set_head(engine, &next.head)?);
            }
            12 => {
                if let Some(lsn) = self.lsn {
                    engine.sync(lsn)?;
                    self.synced = self.states.len() - 1;
                }
                return Ok(());
            }
            13 | 14 => {
                let (from, to) = (next.frontier.at.number, next.head.at.number);
                let target = next.head.ancestor(from + self.random.below(to - from + 1));
                if target.at == next.frontier.at {
                    return engine.advance(target.at, true);
                }
                next.flushed(target.clone(), self.config.history_blocks);
                self.in_flight = Some(next);
                engine.advance(target.at, true)?;
                self.synced = self.states.len();
            }
            _ => {
                let from = next.history_from.max(next.head.at.number.saturating_sub(6));
                let to = from + self.random.below(next.head.at.number - from + 1);
                next.rolled_back(next.head.ancestor(to));
                self.in_flight = Some(next);
                rollback(engine, to)?;
                self.synced = self.states.len();
            }
        }
        self.states.extend(self.in_flight.take());
        self.synced = self.synced.min(self.states.len() - 1);
        Ok(())
    }

    fn round(&mut self, engine: Engine) -> Engine {
        let faults = match self.random.below(5) {
            0 => Faults::default(),
            1 => Faults { bytes_left: Some(self.random.below(20_000)), ..Faults::default() },
            2 => Faults { io_errors: self.random.below(2) == 0, ..Faults::default() },
            _ => Faults { operations_left: Some(self.random.below(60)), ..Faults::default() },
        };
        let calls = 1 + self.random.below(CALLS_MAX);
        let calm = calls / 3;
        for call in 0..calls {
            if call == calm {
                self.disk.set_faults(faults.clone());
            }
            match self.call(&engine) {
                Ok(()) => {}
                Err(WriteError::DiskFull { .. }) => {
                    // nothing happened, and when there is room it goes on
                    self.in_flight = None;
                    check_some(&engine, &self.now(), &mut self.random);
                    self.disk.set_faults(Faults::default());
                }
                Err(error) => {
                    assert!(engine.check_writable().is_err(), "{error} and still writable");
                    break;
                }
            }
        }
        drop(engine);
        let end = if self.random.below(2) == 0 { End::Kill } else { End::PowerCut };
        self.restart(end)
    }

    fn restart(&mut self, end: End) -> Engine {
        let random = &mut self.random;
        self.disk = match end {
            End::Kill => self.disk.kill(),
            End::PowerCut => self.disk.power_cut(&mut |bound| random.below(bound)),
        };
        self.store = self.store.on(self.disk.clone());
        let machine = Machine::Simulated(self.disk.clone(), self.store.clone());
        let engine = machine.open(self.config.clone()).expect("it opens after a crash");
        let kept = if end == End::Kill { self.states.len() - 1 } else { self.synced };
        let possible = self.states[kept..].iter().chain(&self.in_flight);
        let matching = possible.rev().find(|state| is_state(&engine, state)).cloned();
        let state = matching.unwrap_or_else(|| {
            let found = engine.snapshot();
            let (head, frontier, layers) = (found.head.head, found.frontier(), found.layer_count());
            let last = self.now();
            let (wanted, below) = (last.head.at, last.frontier.at);
            panic!(
                "{end:?}: what was acknowledged is not there: head {head}, frontier {frontier}, {layers} layers; \
                 last acknowledged head {wanted}, frontier {below}, {} layers, {kept} of {} states synced, in flight: {}",
                last.live.len(),
                self.states.len(),
                self.in_flight.is_some()
            )
        });
        check_some(&engine, &state, &mut self.random);
        (self.states, self.synced, self.lsn, self.in_flight) = (vec![state], 0, None, None);
        engine
    }
}

fn is_state(engine: &Engine, state: &Expected) -> bool {
    let snapshot = engine.snapshot();
    let head = snapshot.head.head == state.head.at && snapshot.frontier() == state.frontier.at;
    head && snapshot.layer_count() == state.live.len() && state.live.keys().all(|hash| snapshot.layer(hash).is_some())
}

/// The head, and a few blocks more.
fn check_some(engine: &Engine, state: &Expected, random: &mut Random) {
    let view = view(engine, state.head.at);
    check_state(&view, &state.head);
    for _ in 0..2 {
        let number = random.below(state.head.at.number + 1);
        let block = state.head.ancestor(number);
        check_block(&view, &block);
        if number >= state.history_from {
            check_state(&view.at(number).expect("state is kept"), &block);
        }
    }
    let any = state.any(random);
    check_state(&super::harness::view(engine, any.at), &any);
}

fn run(seed: u64) {
    let (mut world, mut engine) = World::new(seed);
    for _ in 0..ROUNDS {
        engine = world.round(engine);
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn crashes_lose_nothing_that_was_promised() {
    let seeds = match number_from("STARLING_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_from("STARLING_SIM_SEEDS").unwrap_or(SEEDS_DEFAULT),
    };
    for seed in seeds {
        let result = std::panic::catch_unwind(|| run(seed));
        assert!(result.is_ok(), "failed; again with: STARLING_SIM_SEED={seed} cargo test -p starling-storage crashes");
    }
}
