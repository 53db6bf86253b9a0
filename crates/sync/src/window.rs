//! The blocks between the headers and the importer: bodies asked for, being prepared, ready, being imported.
//!
//! ```text
//! skeleton ─header─► wanted ─► asked ─► preparing ─► ready ─► importing ─► kept
//!                      ▲ empty, late, false: again │
//!                      └───────────────────────────┘
//! ```
//!
//! Bounded in blocks and in bytes. What is full makes the requests wait, never the importer: the lowest block is
//! always asked for.

use crate::header::SealedHeader;
use starling_primitives::{B256, BlockRef};
use starling_validation::{PrepareError, PreparedBlock};
use std::{collections::VecDeque, sync::Arc};

/// Blocks in work. Above 2,000 small blocks a second more would not help.
pub(crate) const WINDOW_BLOCKS_MAX: usize = 4096;
/// Most bodies in one request.
pub(crate) const BODIES_PER_REQUEST: usize = 256;
/// Bytes of bodies that one request asks for, by the mean size of late: what a peer answers at most.
const REQUEST_BYTES: u64 = 2 << 20;
/// Blocks and bytes that are handed to the importer at once.
const IMPORT_BLOCKS_MAX: usize = 64;
const IMPORT_BYTES_MAX: u64 = 16 << 20;
/// Batches that the importer has at a time: it works on one and finds the next.
const IMPORT_BATCHES_MAX: usize = 2;
/// A prepared block in memory, against its RLP: the RLP, the decoded transactions, senders and hashes.
const PREPARED_FACTOR: u64 = 3;
/// Mean size of a body before any has come.
const BODY_BYTES_FIRST: u64 = 8 << 10;

#[derive(Debug)]
struct Slot {
    header: SealedHeader,
    state: State,
}

#[derive(Debug)]
enum State {
    Wanted,
    /// By the request or job of this id.
    Busy(u64),
    Ready(Arc<PreparedBlock>),
    /// The body is here, and makes no block. Said when all before it is kept.
    Broken(PrepareError),
}

/// Blocks in work, ascending.
#[derive(Debug)]
pub(crate) struct Window {
    slots: VecDeque<Slot>,
    /// No slot before this index is wanted.
    wanted_from: usize,
    /// Handed to the importer.
    importing: VecDeque<(Arc<PreparedBlock>, IsLast)>,
    batches: usize,
    /// Results still to come of blocks that were taken back.
    disowned: usize,

    ready_bytes: u64,
    /// What was asked for, by the mean size.
    asked: usize,
    body_bytes_mean: u64,
    bytes_max: u64,
}

/// Whether a block ends its batch.
type IsLast = bool;

/// What became of an importer's result.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The next block in order; whether its batch ends with it.
    Block(Arc<PreparedBlock>, IsLast),
    /// One that was taken back before.
    Disowned,
}

impl Window {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            slots: VecDeque::new(),
            wanted_from: 0,
            importing: VecDeque::new(),
            batches: 0,
            disowned: 0,
            ready_bytes: 0,
            asked: 0,
            body_bytes_mean: BODY_BYTES_FIRST,
            bytes_max,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.slots.len() < WINDOW_BLOCKS_MAX
    }

    /// Whether nothing is in work.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.importing.is_empty()
    }

    /// Whether the importer has something to do.
    pub(crate) fn is_importing(&self) -> bool {
        !self.importing.is_empty()
    }

    /// Forgets all blocks; the importer's results of those that it has are ignored.
    pub(crate) fn clear(&mut self) {
        self.disowned += self.importing.len();
        self.importing.clear();
        self.batches = 0;
        self.slots.clear();
        self.wanted_from = 0;
        self.ready_bytes = 0;
        self.asked = 0;
    }

    /// Adds the next header; its block, if it is at hand.
    pub(crate) fn push(&mut self, header: SealedHeader, block: Option<Arc<PreparedBlock>>) {
        let state = match block {
            Some(block) => {
                self.ready_bytes += cost(&block);
                State::Ready(block)
            }
            None => State::Wanted,
        };
        self.slots.push_back(Slot { header, state });
    }

    /// Whether a body is wanted that may be asked for: where memory is full, only the lowest.
    pub(crate) fn lowest_wanted(&mut self) -> Option<u64> {
        while let Some(slot) = self.slots.get(self.wanted_from)
            && !matches!(slot.state, State::Wanted)
        {
            self.wanted_from += 1;
        }
        let is_full = self.bytes() >= self.bytes_max;
        let slot = self.slots.get(self.wanted_from).filter(|_| self.wanted_from == 0 || !is_full)?;
        Some(slot.header.at.number)
    }

    /// Takes the lowest wanted headers up to `count` whose number the peer may have. `id` is the request's.
    pub(crate) fn take_wanted(
        &mut self,
        id: u64,
        count: usize,
        mut may_have: impl FnMut(u64) -> bool,
    ) -> Vec<SealedHeader> {
        let mut taken = Vec::new();
        if self.lowest_wanted().is_none() {
            return taken;
        }
        let by_size = usize::try_from(REQUEST_BYTES / self.body_bytes_mean.max(1)).unwrap_or(usize::MAX);
        let count = count.min(BODIES_PER_REQUEST).min(by_size.max(1));
        let from = self.wanted_from;
        for slot in self.slots.iter_mut().skip(from) {
            if taken.len() >= count {
                break;
            }
            if matches!(slot.state, State::Wanted)
                && !slot.header.roots.is_of_empty_body()
                && may_have(slot.header.at.number)
            {
                slot.state = State::Busy(id);
                taken.push(slot.header.clone());
            }
        }
        self.asked += taken.len();
        taken
    }

    /// Takes wanted headers whose bodies are empty and need nobody to send them.
    pub(crate) fn take_empty(&mut self, id: u64) -> Vec<SealedHeader> {
        let mut taken = Vec::new();
        if self.lowest_wanted().is_none() {
            return taken;
        }
        let from = self.wanted_from;
        for slot in self.slots.iter_mut().skip(from) {
            if taken.len() >= BODIES_PER_REQUEST {
                break;
            }
            if matches!(slot.state, State::Wanted) && slot.header.roots.is_of_empty_body() {
                slot.state = State::Busy(id);
                taken.push(slot.header.clone());
            }
        }
        self.asked += taken.len();
        taken
    }

    /// A request or job is over: what it did not bring is wanted again.
    pub(crate) fn give_back(&mut self, id: u64) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if matches!(slot.state, State::Busy(busy) if busy == id) {
                slot.state = State::Wanted;
                self.asked = self.asked.saturating_sub(1);
                self.wanted_from = self.wanted_from.min(index);
            }
        }
    }

    /// A block is prepared. It is dropped if nobody waits for it any more.
    pub(crate) fn ready(&mut self, id: u64, block: Arc<PreparedBlock>) {
        let Some(slot) = self.slot_at(block.at()) else { return };
        if !matches!(slot.state, State::Busy(busy) if busy == id) {
            return;
        }
        let body_bytes = block.rlp.len().saturating_sub(slot.header.rlp.len()) as u64;
        let is_of_peer = !slot.header.roots.is_of_empty_body();
        let cost = cost(&block);
        slot.state = State::Ready(block);
        self.asked = self.asked.saturating_sub(1);
        self.ready_bytes += cost;
        if is_of_peer {
            self.body_bytes_mean = (self.body_bytes_mean * 15 + body_bytes).div_ceil(16);
        }
    }

    /// A body was found to make no block.
    pub(crate) fn broken(&mut self, id: u64, at: BlockRef, why: PrepareError) {
        if let Some(slot) = self.slot_at(at)
            && matches!(slot.state, State::Busy(busy) if busy == id)
        {
            slot.state = State::Broken(why);
            self.asked = self.asked.saturating_sub(1);
        }
    }

    /// The block after all that are kept, if it is no block: its header and why.
    pub(crate) fn next_broken(&self) -> Option<(&SealedHeader, &PrepareError)> {
        match self.slots.front() {
            Some(Slot { header, state: State::Broken(why) }) if self.importing.is_empty() => Some((header, why)),
            _ => None,
        }
    }

    /// Hashes of all blocks in work, ascending.
    pub(crate) fn hashes(&self) -> impl DoubleEndedIterator<Item = B256> {
        let importing = self.importing.iter().map(|(block, _)| block.hash);
        importing.chain(self.slots.iter().map(|slot| slot.header.at.hash))
    }

    /// Whether a request or job still is what a block waits for.
    pub(crate) fn is_busy_with(&mut self, id: u64, at: BlockRef) -> bool {
        self.slot_at(at).is_some_and(|slot| matches!(slot.state, State::Busy(busy) if busy == id))
    }

    /// The next blocks for the importer, if it can take any.
    pub(crate) fn take_import(&mut self) -> Vec<Arc<PreparedBlock>> {
        let mut batch: Vec<Arc<PreparedBlock>> = Vec::new();
        if self.batches >= IMPORT_BATCHES_MAX || self.disowned > 0 {
            return batch;
        }
        let mut bytes = 0;
        while batch.len() < IMPORT_BLOCKS_MAX && bytes < IMPORT_BYTES_MAX {
            let Some(Slot { state: State::Ready(block), .. }) = self.slots.front() else { break };
            bytes += block.rlp.len() as u64;
            batch.push(block.clone());
            self.slots.pop_front();
            self.wanted_from = self.wanted_from.saturating_sub(1);
        }
        let last = batch.len().saturating_sub(1);
        self.importing.extend(batch.iter().enumerate().map(|(index, block)| (block.clone(), index == last)));
        self.batches += usize::from(!batch.is_empty());
        batch
    }

    /// The importer is done with a block. None if it was never given that one.
    pub(crate) fn settle(&mut self, at: BlockRef) -> Option<Settled> {
        if self.disowned > 0 {
            self.disowned -= 1;
            return Some(Settled::Disowned);
        }
        let (block, is_last) = self.importing.pop_front_if(|(block, _)| block.at() == at)?;
        self.batches -= usize::from(is_last);
        self.ready_bytes = self.ready_bytes.saturating_sub(cost(&block));
        Some(Settled::Block(block, is_last))
    }

    /// A block could not be imported now: it and those behind it are handed out again later.
    pub(crate) fn take_back(&mut self, block: Arc<PreparedBlock>) {
        self.ready_bytes += cost(&block);
        self.disowned += self.importing.len();
        let blocks: Vec<_> = std::iter::once(block).chain(self.importing.drain(..).map(|(block, _)| block)).collect();
        self.batches = 0;
        for block in blocks.into_iter().rev() {
            if let Some(header) = SealedHeader::of_block(&block) {
                self.slots.push_front(Slot { header, state: State::Ready(block) });
            }
        }
        self.wanted_from = 0;
    }

    fn slot_at(&mut self, at: BlockRef) -> Option<&mut Slot> {
        let first = self.slots.front()?.header.at.number;
        let index = usize::try_from(at.number.checked_sub(first)?).ok()?;
        self.slots.get_mut(index).filter(|slot| slot.header.at == at)
    }

    /// Memory that blocks take, or soon will.
    fn bytes(&self) -> u64 {
        self.ready_bytes + self.asked as u64 * self.body_bytes_mean * PREPARED_FACTOR
    }
}

fn cost(block: &PreparedBlock) -> u64 {
    block.rlp.len() as u64 * PREPARED_FACTOR
}
