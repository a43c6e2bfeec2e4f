//! The index of watchers against going through all of them.

use proptest::prelude::*;
use synod_base::{Bytes, KeyspaceId};
use synod_keyspace::{KeyRange, WatchIndex};

use crate::generate::{key, key_range};

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u32, KeyRange),
    Remove(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u64..20, 1_u32..3, key_range()).prop_map(|(n, k, range)| Step::Add(n, k, range)),
        1 => (0_u64..20).prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn exactly_the_watchers_whose_range_holds_the_key_match(
        steps in prop::collection::vec(step(), 0..60),
        keys in prop::collection::vec(key(), 1..10),
    ) {
        let mut index = WatchIndex::new();
        let mut all = std::collections::BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(watcher, keyspace, range) => {
                    index.add(watcher, KeyspaceId::new(keyspace), &range);
                    all.insert(watcher, (keyspace, range));
                }
                Step::Remove(watcher) => {
                    prop_assert_eq!(index.remove(watcher), all.remove(&watcher).is_some());
                }
            }
            prop_assert_eq!(index.len(), all.len());
        }
        for key in keys {
            let mut found = index.matching(KeyspaceId::new(1), &Bytes::from(key.clone()));
            found.sort_unstable();
            let wanted = all.iter().filter(|(_, (of, range))| *of == 1 && range.contains(&key));
            let wanted: Vec<u64> = wanted.map(|(watcher, _)| *watcher).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
