//! Random blocks, side branches, heads, flushes, rollbacks and restarts; everything is compared after each.

use super::{
    harness::{Expected, Machine, append, check, rollback, set_head},
    model::{Block, Random},
};
use crate::{StorageConfig, engine::Engine, layers::Layer};
use std::sync::Arc;

struct Run {
    machine: Machine,
    config: StorageConfig,
    engine: Option<Engine>,
    expected: Expected,
    random: Random,
}

impl Run {
    fn new(machine: Machine, seed: u64, history_blocks: Option<u64>) -> Self {
        let mut random = Random(seed);
        let genesis = Block::random(&mut random, None);
        let config = StorageConfig { history_blocks, disk_free_bytes_min: 0, ..StorageConfig::memory() };
        let engine = machine.create(config.clone(), &genesis).expect("a database");
        Self { machine, config, engine: Some(engine), expected: Expected::new(genesis), random }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it is open")
    }

    fn step(&mut self) {
        match self.random.below(24) {
            0..12 => self.append_to_head(),
            12..15 => self.append_anywhere(),
            15..17 => self.move_head(),
            17..20 => self.flush(),
            20 => self.roll_back(),
            21 => self.spill(),
            _ => self.restart(),
        }
    }

    fn append(&mut self, parent: &Arc<Block>) -> Arc<Block> {
        let block = Block::random(&mut self.random, Some(parent));
        append(self.engine(), &block).expect("appended");
        self.expected.live.insert(block.at.hash, block.clone());
        block
    }

    fn append_to_head(&mut self) {
        let head = self.append(&self.expected.head.clone());
        set_head(self.engine(), &head).expect("head");
        self.expected.head = head;
    }

    fn append_anywhere(&mut self) {
        let parent = self.expected.any(&mut self.random);
        self.append(&parent);
    }

    fn move_head(&mut self) {
        let head = self.expected.any(&mut self.random);
        set_head(self.engine(), &head).expect("head");
        self.expected.head = head;
    }

    fn flush(&mut self) {
        let (from, to) = (self.expected.frontier.at.number, self.expected.head.at.number);
        let number = from + self.random.below(to - from + 1);
        let target = self.expected.head.ancestor(number);
        self.engine().advance(target.at, true).expect("flushed");
        if number > from {
            self.expected.flushed(target, self.config.history_blocks);
        }
    }

    fn roll_back(&mut self) {
        let from = self.expected.history_from.max(self.expected.head.at.number.saturating_sub(12));
        let number = from + self.random.below(self.expected.head.at.number - from + 1);
        let target = self.expected.head.ancestor(number);
        rollback(self.engine(), number).expect("rolled back");
        self.expected.rolled_back(target);
    }

    fn spill(&mut self) {
        let snapshot = self.engine().snapshot();
        let until = self.random.below(300);
        let (old, all) = (|layer: &Layer| layer.lsn < until, self.random.below(2) == 0);
        let light = |layer: &Layer| if all { layer.spilled() } else { layer.without_branches() };
        self.engine().published.store(Arc::new(snapshot.lightened(&|layer| old(layer).then(|| light(layer)))));
    }

    fn restart(&mut self) {
        self.engine = None;
        self.engine = Some(self.machine.open(self.config.clone()).expect("opened again"));
    }
}

fn run(machine: fn() -> Machine, seeds: std::ops::Range<u64>, steps: usize) {
    for seed in seeds {
        let history_blocks = (seed % 3 == 1).then_some(5);
        let result = std::panic::catch_unwind(|| {
            let mut run = Run::new(machine(), seed, history_blocks);
            for step in 0..steps {
                run.step();
                if step % 8 == 7 {
                    check(run.engine(), &run.expected);
                }
            }
            run.restart();
            check(run.engine(), &run.expected);
        });
        assert!(result.is_ok(), "seed {seed} fails");
    }
}

#[test]
fn in_memory_everything_reads_as_in_the_model() {
    run(Machine::simulated, 0..40, 120);
}

#[test]
fn in_mdbx_everything_reads_as_in_the_model() {
    run(Machine::real, 0..6, 160);
}
