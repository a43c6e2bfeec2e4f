//! Ids and ordered positions, each its own type so that they cannot be mixed up.

use core::fmt;

use crate::{Decode, DecodeError, Encode, Reader};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($int);

        impl $name {
            /// Wraps the number.
            #[must_use]
            pub const fn new(value: $int) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(<$int>::decode(input)?))
            }
        }
    };
}

macro_rules! position {
    ($(#[$doc:meta])* $name:ident) => {
        number!($(#[$doc])* $name(u64), "{}");

        impl $name {
            /// The position before the first.
            pub const ZERO: Self = Self(0);

            /// The position after this one.
            ///
            /// # Panics
            /// At `u64::MAX`, which no real log reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.checked_add(1).expect("positions stay below u64::MAX"))
            }
        }
    };
}

number!(
    /// A client of the store, the scope of its operation sequence numbers.
    ClientId(u64), "{:x}"
);
number!(
    /// A cluster: every log record, peer frame and snapshot belongs to one.
    ClusterId(u64), "{:016x}"
);
number!(
    /// A replicated log within a cluster.
    GroupId(u32), "{}"
);
number!(
    /// An ordered map of keys within a group, with its own revisions.
    KeyspaceId(u32), "{}"
);
number!(
    /// A lease. Zero is never a lease.
    LeaseId(u64), "{:016x}"
);
number!(
    /// A member that runs consensus.
    MemberId(u64), "{:016x}"
);
position!(
    /// A position in a group's log. The first entry is 1.
    LogIndex
);
position!(
    /// A state of one keyspace. Each transaction that changes the keyspace adds one; a new
    /// keyspace is at 1, as in etcd.
    Revision
);
position!(
    /// A leader's reign (Raft §5.1).
    Term
);
position!(
    /// A promise of durability: what carries it may leave once the disk has kept it.
    Ticket
);
