//! A bounded map whose entries are forgotten at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// Values by key, each until a time. When full, the entry that would be forgotten soonest makes room.
#[derive(Debug)]
pub(crate) struct Expiring<K, V> {
    values: BTreeMap<K, (Instant, V)>,
    order: BTreeSet<(Instant, K)>,
    entries_max: usize,
}

impl<K: Ord + Copy, V> Expiring<K, V> {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { values: BTreeMap::new(), order: BTreeSet::new(), entries_max }
    }

    /// Keeps a value until a time, in place of an older one.
    pub(crate) fn insert(&mut self, key: K, value: V, until: Instant) {
        self.remove(&key);
        if self.values.len() >= self.entries_max
            && let Some((_, soonest)) = self.order.pop_first()
        {
            self.values.remove(&soonest);
        }
        self.order.insert((until, key));
        self.values.insert(key, (until, value));
    }

    /// The value, unless its time is over.
    pub(crate) fn get(&self, key: &K, now: Instant) -> Option<&V> {
        self.values.get(key).filter(|(until, _)| *until > now).map(|(_, value)| value)
    }

    /// When the entry will be forgotten.
    pub(crate) fn until(&self, key: &K, now: Instant) -> Option<Instant> {
        self.values.get(key).map(|(until, _)| *until).filter(|until| *until > now)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (until, value) = self.values.remove(key)?;
        self.order.remove(&(until, *key));
        Some(value)
    }

    /// Forgets what is over.
    pub(crate) fn purge(&mut self, now: Instant) {
        while self.order.first().is_some_and(|(until, _)| *until <= now)
            && let Some((_, key)) = self.order.pop_first()
        {
            self.values.remove(&key);
        }
    }

    /// Entries whose time is not over, by key, with their times.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = (&K, &V, Instant)> {
        self.values.iter().filter(move |(_, (until, _))| *until > now).map(|(key, (until, value))| (key, value, *until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn forgets_in_time_and_when_full() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut map = Expiring::new(2);
        map.insert(1, "a", at(10));
        map.insert(2, "b", at(5));
        assert_eq!((map.get(&1, at(9)), map.get(&1, at(10))), (Some(&"a"), None));
        map.insert(3, "c", at(20));
        assert_eq!(map.iter(at(0)).map(|(key, ..)| *key).collect::<Vec<_>>(), [1, 3], "2 had the least time left");
        map.insert(1, "d", at(30));
        map.purge(at(20));
        assert_eq!(map.iter(at(0)).map(|(_, value, _)| *value).collect::<Vec<_>>(), ["d"]);
    }
}
