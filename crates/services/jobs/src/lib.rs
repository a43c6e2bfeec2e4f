//! Apps, jobs and instances in the store, and the loop that reconciles them
