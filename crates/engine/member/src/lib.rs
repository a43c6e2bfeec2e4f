//! A member of the store: threads and files around the replica
