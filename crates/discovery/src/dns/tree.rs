//! One list: what of it was walked, and what is still to be asked for.

use super::entry::{Entry, Hash, InvalidEntry, Root, TreeUrl};
use rand::{Rng, RngExt};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Time between looks at a root.
const ROOT_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// The first time after a root could not be had; doubled each time up to [`ROOT_INTERVAL`].
const ROOT_RETRY: Duration = Duration::from_secs(10);
/// Entries of one list that are walked; the lists of the public networks have some thousands. What is beyond is
/// not asked for.
const ENTRIES_MAX: usize = 16 * 1024;
/// Times that an entry is asked for.
const TRIES_MAX: u8 = 3;

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) url: TreeUrl,
    pub(super) next_check: Instant,
    root: Option<Root>,
    root_failures: u32,
    /// Still to be asked for.
    open: Vec<Hash>,
    /// Asked for and found: the leaves hold when the root changes, below the branches something may be new.
    leaves: BTreeSet<Hash>,
    branches: BTreeSet<Hash>,
    tries: BTreeMap<Hash, u8>,
}

impl Tree {
    pub(super) fn new(url: TreeUrl, now: Instant) -> Self {
        Self {
            url,
            next_check: now,
            root: None,
            root_failures: 0,
            open: Vec::new(),
            leaves: BTreeSet::new(),
            branches: BTreeSet::new(),
            tries: BTreeMap::new(),
        }
    }

    pub(super) fn has_more(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn root_asked(&mut self, now: Instant) {
        self.next_check = now + ROOT_INTERVAL;
    }

    pub(super) fn root_failed(&mut self, now: Instant) {
        self.next_check = now + (ROOT_RETRY * (1 << self.root_failures.min(10))).min(ROOT_INTERVAL);
        self.root_failures += 1;
    }

    pub(super) fn root_found(&mut self, texts: &[String], wanted: bool, now: Instant) -> Result<(), InvalidEntry> {
        let parsed = texts.iter().map(|text| Root::parse(text, &self.url.signer));
        let root = match parsed.reduce(|best, next| best.or(next)) {
            Some(Ok(root)) => root,
            other => {
                self.root_failed(now);
                return other.map_or(Err(InvalidEntry::Text), |root| root.map(drop));
            }
        };
        self.root_failures = 0;
        match &self.root {
            // An old answer from somebody's cache.
            Some(old) if old.seq > root.seq => return Ok(()),
            // A list walked to its end begins again if nodes are wanted still.
            Some(old) if *old == root => {
                if wanted && self.open.is_empty() {
                    self.leaves.clear();
                    self.branches.clear();
                }
            }
            _ => {
                self.open.clear();
                self.branches.clear();
            }
        }
        self.tries.clear();
        let (links, nodes) = (root.links.clone(), root.nodes.clone());
        self.root = Some(root);
        self.open(links);
        self.open(nodes);
        Ok(())
    }

    fn open(&mut self, hash: Hash) {
        let known = self.leaves.contains(&hash) || self.branches.contains(&hash) || self.open.contains(&hash);
        if !known && self.leaves.len() + self.branches.len() + self.open.len() < ENTRIES_MAX {
            self.open.push(hash);
        }
    }

    /// Takes out a random one of what is still to be asked for.
    pub(super) fn next_hash(&mut self, rng: &mut impl Rng) -> Option<Hash> {
        (!self.open.is_empty()).then(|| self.open.swap_remove(rng.random_range(0..self.open.len())))
    }

    pub(super) fn entry_failed(&mut self, hash: Hash) {
        let tries = self.tries.entry(hash.clone()).or_default();
        *tries += 1;
        if *tries < TRIES_MAX {
            self.open(hash);
        }
    }

    pub(super) fn entry_found(&mut self, texts: &[String], hash: &Hash) -> Result<Entry, InvalidEntry> {
        let parsed = texts.iter().map(|text| Entry::parse(text, hash)).reduce(|best, next| best.or(next));
        let entry = match parsed {
            Some(Ok(entry)) => entry,
            other => {
                self.entry_failed(hash.clone());
                return other.unwrap_or(Err(InvalidEntry::Text));
            }
        };
        self.tries.remove(hash);
        if let Entry::Branch(below) = &entry {
            self.branches.insert(hash.clone());
            below.iter().for_each(|hash| self.open(hash.clone()));
        } else {
            self.leaves.insert(hash.clone());
        }
        Ok(entry)
    }
}
