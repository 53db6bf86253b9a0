//! The headers between our chain and the head, as segments of a chain of hashes.
//!
//! ```text
//!   known block ◄── segment ◄── segment ◄── … ◄── segment ◄── head
//!        ▲           headers     headers           bare
//!      linked        held        held              (only top and parent hash)
//! ```
//!
//! From a trusted head the skeleton grows downwards: the segment below is always the one whose top hash
//! the lowest header names as its parent, so every segment is proven by the head. Segments further below are
//! asked for by number meanwhile, and believed when the gap above them closes. From a peer's total difficulty it
//! grows upwards, header by header checked.
//!
//! Only so many headers are held. Past that, the highest segments are laid bare: their top hash and
//! their lowest parent hash stay, and their headers are asked for again, by hash, from anyone and in any order,
//! when their turn comes. So a chain of any length costs a few bytes a segment, and no disk.

use crate::header::SealedHeader;
use starling_primitives::{B256, BlockRef, PeerId};
use std::collections::{BTreeMap, VecDeque};

/// Most headers in one request: about 300 KB, well below the soft limit of an answer.
pub(crate) const HEADERS_PER_REQUEST: u64 = 512;
/// Headers in the first request for a head of unknown height, mostly near ours.
pub(crate) const HEADERS_FIRST: u64 = 64;
/// Segments that are asked for, or held, below the gap in the proven ones.
const AHEAD_MAX: usize = 16;
/// Segments whose headers are asked for again at a time.
const RELOADS_MAX: usize = 8;
/// Segments of a skeleton. At its usual 512 headers each, 33 million blocks; a longer chain is refused.
pub(crate) const SEGMENTS_MAX: usize = 65_536;

/// Blocks that follow each other.
#[derive(Debug)]
struct Segment {
    top: BlockRef,
    /// Number and hash of the parent of the lowest.
    below: BlockRef,
    headers: Headers,
}

#[derive(Debug)]
enum Headers {
    /// Ascending.
    Held(VecDeque<SealedHeader>),
    /// Not held.
    Bare,
    /// Asked for again.
    Loading,
}

/// A segment below the proven ones, by number.
#[derive(Debug)]
enum Ahead {
    /// Asked for; so many headers.
    Asked(u64),
    /// Who sent them; descending.
    Held(PeerId, Vec<SealedHeader>),
}

/// What headers to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The next below the proven ones (or the head itself), descending from this hash.
    Next { hash: B256, number: Option<u64>, limit: u64 },
    /// Further below, descending from this number.
    Ahead { number: u64, limit: u64 },
    /// Again, those of the segment with this top.
    Again { top: BlockRef, limit: u64 },
}

impl Wanted {
    pub(crate) fn limit(&self) -> u64 {
        match self {
            Self::Next { limit, .. } | Self::Ahead { limit, .. } | Self::Again { limit, .. } => *limit,
        }
    }

    /// The number of the first, if known.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Next { number, .. } => *number,
            Self::Ahead { number, .. } => Some(*number),
            Self::Again { top, .. } => Some(top.number),
        }
    }
}

/// The headers between our chain and the head.
#[derive(Debug)]
pub(crate) struct Skeleton {
    head: B256,
    /// Ascending: the lowest is at the front.
    segments: VecDeque<Segment>,
    /// Whether the lowest segment's parent is a block that is kept here.
    is_linked: bool,
    /// The headers that are held, in all segments.
    held: usize,
    held_max: usize,

    /// Whether the next one below is being asked for.
    is_next_asked: bool,
    ahead: BTreeMap<u64, Ahead>,
}

impl Skeleton {
    /// From a head downwards.
    pub(crate) fn down_from(head: B256, held_max: usize) -> Self {
        Self {
            head,
            segments: VecDeque::new(),
            is_linked: false,
            held: 0,
            held_max,
            is_next_asked: false,
            ahead: BTreeMap::new(),
        }
    }

    /// From a known block upwards: linked from the start.
    pub(crate) fn up_from_known(head: B256, held_max: usize) -> Self {
        Self { is_linked: true, ..Self::down_from(head, held_max) }
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.is_linked
    }

    /// Whether anything is known of the head.
    pub(crate) fn is_begun(&self) -> bool {
        !self.segments.is_empty()
    }

    /// Whether all its headers were handed out.
    pub(crate) fn is_used_up(&self) -> bool {
        self.is_linked && self.segments.is_empty()
    }

    /// The block wanted next below the proven ones; the head itself, of unknown number, at first.
    pub(crate) fn next_below(&self) -> (B256, Option<u64>) {
        self.segments.front().map_or((self.head, None), |lowest| (lowest.below.hash, Some(lowest.below.number)))
    }

    pub(crate) fn has_room(&self) -> bool {
        self.held < self.held_max && self.segments.len() < SEGMENTS_MAX
    }

    /// Hashes that are known of it, descending from the head: of what is not held only the top of each segment.
    pub(crate) fn hashes_from_head(&self) -> impl Iterator<Item = B256> {
        let of_segment = |segment: &'_ Segment| {
            let held = match &segment.headers {
                Headers::Held(headers) => headers.iter().rev().map(|header| header.at.hash).collect(),
                Headers::Bare | Headers::Loading => vec![segment.top.hash],
            };
            held.into_iter()
        };
        std::iter::once(self.head).chain(self.segments.iter().rev().flat_map(of_segment))
    }

    /// Whether it has grown past what it may.
    pub(crate) fn is_too_long(&self) -> bool {
        self.segments.len() >= SEGMENTS_MAX
    }

    /// Adds proven headers, descending from the one that [`Skeleton::next_below`] names.
    pub(crate) fn grow_down(&mut self, headers: Vec<SealedHeader>) {
        let (Some(top), Some(lowest)) = (headers.first(), headers.last()) else { return };
        let below = BlockRef::new(lowest.at.number.saturating_sub(1), lowest.parent_hash);
        self.held += headers.len();
        let segment = Segment { top: top.at, below, headers: Headers::Held(headers.into_iter().rev().collect()) };
        self.segments.push_front(segment);
        self.ahead.retain(|number, _| *number <= below.number);
        self.lay_bare();
    }

    /// Adds checked headers on top, ascending.
    pub(crate) fn grow_up(&mut self, headers: Vec<SealedHeader>) {
        let (Some(lowest), Some(top)) = (headers.first(), headers.last()) else { return };
        let below = BlockRef::new(lowest.at.number.saturating_sub(1), lowest.parent_hash);
        self.held += headers.len();
        self.segments.push_back(Segment { top: top.at, below, headers: Headers::Held(headers.into()) });
    }

    /// The lowest segment's parent is a kept block.
    pub(crate) fn link(&mut self) {
        self.is_linked = true;
        self.ahead.clear();
    }

    /// Headers that were asked for ahead and now continue the proven ones. The error names who sent others
    /// under the same number, which is no lie: an honest peer on another branch answers so too.
    pub(crate) fn take_ahead(&mut self) -> Option<Result<Vec<SealedHeader>, PeerId>> {
        let (hash, number) = self.next_below();
        let number = number?;
        if let Ahead::Asked(_) = self.ahead.get(&number)? {
            return None;
        }
        match self.ahead.remove(&number)? {
            Ahead::Held(_, headers) if headers.first().is_some_and(|top| top.at.hash == hash) => Some(Ok(headers)),
            Ahead::Held(peer, _) => Some(Err(peer)),
            Ahead::Asked(_) => None,
        }
    }

    /// Keeps headers that came by number, descending, until the gap above them closes.
    pub(crate) fn keep_ahead(&mut self, number: u64, peer: PeerId, headers: Vec<SealedHeader>) {
        if let Some(ahead) = self.ahead.get_mut(&number) {
            *ahead = Ahead::Held(peer, headers);
        }
    }

    /// The headers of a bare segment, descending from its top. Where they do not reach its bottom, the rest
    /// becomes a segment of its own.
    pub(crate) fn reload(&mut self, top: BlockRef, mut headers: Vec<SealedHeader>) {
        let Some(index) = self.index_of(top) else { return };
        let lowest = self.segments[index].below;
        headers.truncate(usize::try_from(top.number - lowest.number).unwrap_or(usize::MAX));
        let Some(bottom) = headers.last() else {
            self.segments[index].headers = Headers::Bare;
            return;
        };
        let below = BlockRef::new(bottom.at.number.saturating_sub(1), bottom.parent_hash);
        self.held += headers.len();
        let segment = &mut self.segments[index];
        segment.headers = Headers::Held(headers.into_iter().rev().collect());
        segment.below = below;
        if below != lowest {
            self.segments.insert(index, Segment { top: below, below: lowest, headers: Headers::Bare });
        }
    }

    /// A request for headers ended without any.
    pub(crate) fn give_up(&mut self, wanted: &Wanted) {
        match wanted {
            Wanted::Next { .. } => self.is_next_asked = false,
            Wanted::Ahead { number, .. } => {
                if let Some(Ahead::Asked(_)) = self.ahead.get(number) {
                    self.ahead.remove(number);
                }
            }
            Wanted::Again { top, .. } => {
                if let Some(index) = self.index_of(*top)
                    && matches!(self.segments[index].headers, Headers::Loading)
                {
                    self.segments[index].headers = Headers::Bare;
                }
            }
        }
    }

    /// A request for headers was sent.
    pub(crate) fn asked(&mut self, wanted: &Wanted) {
        match wanted {
            Wanted::Next { .. } => self.is_next_asked = true,
            Wanted::Ahead { number, limit } => drop(self.ahead.insert(*number, Ahead::Asked(*limit))),
            Wanted::Again { top, .. } => {
                if let Some(index) = self.index_of(*top) {
                    self.segments[index].headers = Headers::Loading;
                }
            }
        }
    }

    /// What to ask for next, if anything. `floor` is the lowest number that is likely to be needed.
    pub(crate) fn wanted(&self, floor: u64, may_ask_ahead: bool) -> Option<Wanted> {
        if self.is_linked {
            return self.wanted_again();
        }
        let (hash, number) = self.next_below();
        let Some(number) = number else {
            return (!self.is_next_asked).then_some(Wanted::Next { hash, number, limit: HEADERS_FIRST });
        };
        if !self.is_next_asked && !matches!(self.ahead.get(&number), Some(Ahead::Asked(_))) {
            return Some(Wanted::Next { hash, number: Some(number), limit: self.limit_at(number, floor) });
        }
        if may_ask_ahead { self.wanted_ahead(number, floor) } else { None }
    }

    /// The first gap below what is asked for or held.
    fn wanted_ahead(&self, next: u64, floor: u64) -> Option<Wanted> {
        if self.ahead.len() >= AHEAD_MAX || next < floor {
            return None;
        }
        let mut number = match self.ahead.get(&next) {
            Some(_) => next,
            None => next.checked_sub(self.limit_at(next, floor))?,
        };
        while number >= floor.max(1) {
            let covered = match self.ahead.get(&number) {
                None => return Some(Wanted::Ahead { number, limit: self.limit_at(number, floor) }),
                Some(Ahead::Asked(limit)) => *limit,
                Some(Ahead::Held(_, headers)) => headers.len() as u64,
            };
            number = number.checked_sub(covered)?;
        }
        None
    }

    /// How many headers from a number down to the floor, or to what is asked for or held below it.
    fn limit_at(&self, number: u64, floor: u64) -> u64 {
        let floor = if number >= floor { floor.max(1) } else { 1 };
        let below = self.ahead.range(..number).next_back().map_or(0, |(top, _)| *top);
        let bottom = floor.max(below + 1);
        (number.saturating_sub(bottom) + 1).min(HEADERS_PER_REQUEST)
    }

    fn wanted_again(&self) -> Option<Wanted> {
        let near = || self.segments.iter().take(2 * RELOADS_MAX);
        let loading = near().filter(|segment| matches!(segment.headers, Headers::Loading)).count();
        let (index, bare) = near().enumerate().find(|(_, segment)| matches!(segment.headers, Headers::Bare))?;
        // What stands above may fill the memory; the lowest is what everything waits for.
        let is_full = loading >= RELOADS_MAX || self.held >= self.held_max / 2;
        if is_full && index > 0 {
            return None;
        }
        Some(Wanted::Again { top: bare.top, limit: bare.top.number - bare.below.number })
    }

    /// The lowest header, if it is held and linked to our chain.
    pub(crate) fn next_header(&mut self) -> Option<SealedHeader> {
        if !self.is_linked {
            return None;
        }
        let segment = self.segments.front_mut()?;
        let Headers::Held(headers) = &mut segment.headers else { return None };
        let header = headers.pop_front()?;
        segment.below = header.at;
        self.held -= 1;
        if headers.is_empty() {
            self.segments.pop_front();
        }
        Some(header)
    }

    fn index_of(&self, top: BlockRef) -> Option<usize> {
        // Ascending by number, and reloads happen near the front.
        self.segments.iter().position(|segment| segment.top == top)
    }

    /// Lets go of the highest headers until no more are held than may be. The lowest segment keeps its own.
    fn lay_bare(&mut self) {
        for segment in self.segments.iter_mut().skip(1).rev() {
            if self.held <= self.held_max {
                return;
            }
            if let Headers::Held(headers) = &segment.headers {
                self.held -= headers.len();
                segment.headers = Headers::Bare;
            }
        }
    }
}
