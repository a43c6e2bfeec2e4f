//! Named tasks, cancellation and ordered shutdown
