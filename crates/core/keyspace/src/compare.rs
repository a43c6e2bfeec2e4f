//! How conditions are evaluated.

use core::cmp;

use crate::keyspace::Keyspace;
use crate::{Check, Compare, KeyRange, KeyValue, Ordering};

impl Compare {
    /// Whether the condition holds in `keyspace`, which must be the one it names.
    pub(crate) fn holds(&self, keyspace: &Keyspace) -> bool {
        if let KeyRange::Key(key) = &self.range {
            return self.check.holds(keyspace.index.newest(key).map(|kv| &**kv));
        }
        let mut found = keyspace.index.live(&self.range).peekable();
        if found.peek().is_none() {
            return self.check.holds(None);
        }
        found.all(|kv| self.check.holds(Some(kv)))
    }
}

impl Check {
    /// Whether the check holds of a key; a missing one counts as zeros and has no value.
    fn holds(&self, kv: Option<&KeyValue>) -> bool {
        match self {
            Self::Absent => kv.is_none(),
            Self::CreateRevision(ordering, wanted) => {
                ordering.holds(kv.map(|kv| kv.create_revision).unwrap_or_default().cmp(wanted))
            }
            Self::Lease(ordering, wanted) => {
                let lease = kv.and_then(|kv| kv.lease).map_or(0, synod_base::LeaseId::get);
                ordering.holds(lease.cmp(wanted))
            }
            Self::ModRevision(ordering, wanted) => {
                ordering.holds(kv.map(|kv| kv.mod_revision).unwrap_or_default().cmp(wanted))
            }
            Self::Value(ordering, wanted) => {
                kv.is_some_and(|kv| ordering.holds(kv.value.cmp(wanted)))
            }
            Self::Version(ordering, wanted) => {
                ordering.holds(kv.map_or(0, |kv| kv.version).cmp(wanted))
            }
        }
    }
}

impl Ordering {
    fn holds(self, found: cmp::Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Greater => found.is_gt(),
            Self::Less => found.is_lt(),
            Self::NotEqual => found.is_ne(),
        }
    }
}
