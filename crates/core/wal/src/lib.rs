//! The write-ahead log as a value: layout, batching and recovery over disk completions
