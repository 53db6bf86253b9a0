//! Node lists in DNS ([EIP-1459](https://eips.ethereum.org/EIPS/eip-1459)): a signed tree of hashes, one entry a name.
//!
//! Asking is someone else's business: [`TreeClient`] says which name, and is given the texts found there. It walks
//! the entries of a list in random order, so that nodes that start together do not all dial the same ones, and
//! remembers hashes, not texts: what was walked once is not asked for again while it stays in the tree. It asks no more
//! than three names a second, and only while nodes are wanted.

mod entry;
mod tree;

pub use entry::{ENTRY_BYTES_MAX, Entry, Hash, InvalidEntry, Root, TreeUrl};

use crate::Record;
use rand::rngs::StdRng;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
use tree::Tree;

/// Time from one question to the next: three a second.
const ASK_INTERVAL: Duration = Duration::from_millis(334);
/// Questions without an answer yet.
const ASKED_MAX: usize = 8;
/// A question that is not answered by then counts as failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Lists followed: those given, and those they link to. When full, links are not followed.
const TREES_MAX: usize = 8;

/// What [`TreeClient`] wants done, or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Look up the TXT records of this name and give them to [`TreeClient::handle`].
    Resolve(String),
    /// A list names this node.
    Found(Record),
    /// A list or an entry of it is not to be believed.
    Invalid {
        /// Where.
        name: String,
        /// Why.
        reason: InvalidEntry,
    },
}

/// See the module.
pub struct TreeClient {
    rng: StdRng,
    trees: Vec<Tree>,
    asked: BTreeMap<String, Question>,
    wanted: bool,
    turn: usize,
    next_question: Instant,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
struct Question {
    tree: usize,
    /// None is the root.
    hash: Option<Hash>,
    deadline: Instant,
}

impl TreeClient {
    /// Follows these lists, from now on.
    pub fn new(urls: impl IntoIterator<Item = TreeUrl>, now: Instant, rng: StdRng) -> Self {
        let mut client = Self {
            rng,
            trees: Vec::new(),
            asked: BTreeMap::new(),
            wanted: true,
            turn: 0,
            next_question: now,
            actions: VecDeque::new(),
        };
        urls.into_iter().for_each(|url| client.follow(url, now));
        client
    }

    fn follow(&mut self, url: TreeUrl, now: Instant) {
        if self.trees.len() < TREES_MAX && !self.trees.iter().any(|tree| tree.url == url) {
            self.trees.push(Tree::new(url, now));
        }
    }

    /// Whether nodes are wanted. If not, roots are still looked at now and then, but nothing below.
    pub fn set_wanted(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    /// What to do next; call until none.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::advance`]; none if no list is followed.
    pub fn next_deadline(&self) -> Option<Instant> {
        let timeouts = self.asked.values().map(|question| question.deadline);
        let roots = self.trees.iter().map(|tree| tree.next_check.max(self.next_question));
        let entries = self.trees.iter().any(|tree| self.wanted && tree.has_more()).then_some(self.next_question);
        let questions = roots.chain(entries).filter(|_| self.asked.len() < ASKED_MAX);
        timeouts.chain(questions).min()
    }

    /// Time has passed: gives up what was not answered, and asks the next question if it is time for one.
    pub fn advance(&mut self, now: Instant) {
        let late: Vec<String> =
            self.asked.iter().filter(|(_, question)| question.deadline <= now).map(|(name, _)| name.clone()).collect();
        for name in late {
            self.handle(&name, None, now);
        }
        if now >= self.next_question && self.asked.len() < ASKED_MAX {
            self.ask(now);
        }
    }

    fn ask(&mut self, now: Instant) {
        let Some((tree, hash)) = self.next_entry(now) else { return };
        let domain = &self.trees[tree].url.domain;
        let name = hash.as_ref().map_or_else(|| domain.clone(), |hash| format!("{hash}.{domain}"));
        self.next_question = now + ASK_INTERVAL;
        self.asked.insert(name.clone(), Question { tree, hash, deadline: now + ANSWER_TIMEOUT });
        self.actions.push_back(Action::Resolve(name));
    }

    /// Roots that are due come first, then the lists in turn.
    fn next_entry(&mut self, now: Instant) -> Option<(usize, Option<Hash>)> {
        if let Some(due) = self.trees.iter().position(|tree| tree.next_check <= now) {
            self.trees[due].root_asked(now);
            return Some((due, None));
        }
        for step in 0..self.trees.len() {
            let index = (self.turn + step) % self.trees.len();
            if self.wanted
                && let Some(hash) = self.trees[index].next_hash(&mut self.rng)
            {
                self.turn = index + 1;
                return Some((index, Some(hash)));
            }
        }
        None
    }

    /// The TXT records at a name, each with its strings joined; none if the question failed.
    pub fn handle(&mut self, name: &str, texts: Option<&[String]>, now: Instant) {
        let Some(question) = self.asked.remove(name) else { return };
        let Some(tree) = self.trees.get_mut(question.tree) else { return };
        let outcome = match (texts, &question.hash) {
            (None, None) => return tree.root_failed(now),
            (None, Some(hash)) => return tree.entry_failed(hash.clone()),
            (Some(texts), None) => tree.root_found(texts, self.wanted, now).map(|()| None),
            (Some(texts), Some(hash)) => tree.entry_found(texts, hash).map(Some),
        };
        match outcome {
            Ok(Some(Entry::Node(record))) => self.actions.push_back(Action::Found(record)),
            Ok(Some(Entry::Link(url))) => self.follow(url, now),
            Ok(_) => {}
            Err(reason) => self.actions.push_back(Action::Invalid { name: name.into(), reason }),
        }
    }
}

impl std::fmt::Debug for TreeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TreeClient").field("trees", &self.trees).finish_non_exhaustive()
    }
}
