//! The member as a value: protocol core, log, keyspaces, timers, watchers and snapshots behind one step function
