//! A map whose past can be read while it changes.

use alloc::collections::BTreeMap;
use core::cmp::Ordering;
use core::ops::Bound;

/// An ordered map with at most one pin. From the pin on, the first change of each entry puts its
/// old value aside, so that a snapshot reads the entries as they were. Pinning costs nothing; each
/// change costs one more insertion while a pin holds.
#[derive(Clone, Debug)]
pub(crate) struct Ledger<K, V> {
    live: BTreeMap<K, V>,
    before: Option<BTreeMap<K, Option<V>>>,
}

impl<K, V> Default for Ledger<K, V> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), before: None }
    }
}

impl<K: Ord + Clone, V: Clone> Ledger<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.live.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(before) = &mut self.before else { return self.live.insert(key, value) };
        let old = self.live.insert(key.clone(), value);
        before.entry(key).or_insert_with(|| old.clone());
        old
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.live.remove(key)?;
        if let Some(before) = &mut self.before {
            before.entry(key.clone()).or_insert_with(|| Some(old.clone()));
        }
        Some(old)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.live.iter()
    }

    /// The entries at or after `from`.
    pub(crate) fn from(&self, from: &K) -> impl Iterator<Item = (&K, &V)> {
        self.live.range(from..)
    }

    /// Starts a pin at the present state; an earlier one ends.
    pub(crate) fn pin(&mut self) {
        self.before = Some(BTreeMap::new());
    }

    pub(crate) fn unpin(&mut self) {
        self.before = None;
    }

    /// How many old values are put aside.
    pub(crate) fn kept(&self) -> usize {
        self.before.as_ref().map_or(0, BTreeMap::len)
    }

    /// The entries after `after`, or all, as they were when the pin began.
    pub(crate) fn pinned<'a>(
        &'a self,
        after: Option<&'a K>,
    ) -> impl Iterator<Item = (&'a K, &'a V)> {
        let bounds = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut live = self.live.range::<K, _>(bounds).peekable();
        let mut before = self
            .before
            .as_ref()
            .map(|map| map.range::<K, _>(bounds))
            .into_iter()
            .flatten()
            .peekable();
        core::iter::from_fn(move || {
            loop {
                let order = match (live.peek(), before.peek()) {
                    (None, None) => return None,
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (Some((now, _)), Some((then, _))) => now.cmp(then),
                };
                if order == Ordering::Less {
                    return live.next();
                }
                if order == Ordering::Equal {
                    live.next();
                }
                if let Some((key, Some(value))) = before.next() {
                    return Some((key, value));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn pinned(ledger: &Ledger<u8, char>) -> Vec<(u8, char)> {
        ledger.pinned(None).map(|(key, value)| (*key, *value)).collect()
    }

    #[test]
    fn a_pin_shows_the_entries_as_they_were() {
        let mut ledger = Ledger::default();
        ledger.insert(1, 'a');
        ledger.insert(2, 'b');
        ledger.insert(4, 'd');
        ledger.pin();
        ledger.insert(0, 'n');
        ledger.insert(2, 'x');
        ledger.insert(2, 'y');
        ledger.remove(&1);
        ledger.insert(1, 'z');
        ledger.insert(3, 'n');
        ledger.remove(&3);
        ledger.remove(&4);
        assert_eq!(pinned(&ledger), vec![(1, 'a'), (2, 'b'), (4, 'd')]);
        assert_eq!(ledger.pinned(Some(&1)).count(), 2);
        ledger.unpin();
        assert_eq!(pinned(&ledger), vec![(0, 'n'), (1, 'z'), (2, 'y')]);
    }
}
