//! The conformance suite of the port: what every body must do, as cases that any body's tests run.
//!
//! The core part asserts the promise that services lean on. The part per capability asserts the
//! behaviour where a body declares it, and the exact refusal where it does not, so that a fallback
//! written against one body works on all.
//!
//! A case gets a store of its own, fresh and empty, panics when the promise is broken, and never
//! sleeps: what takes time is waited for on a watch, under a deadline.

mod capabilities;
mod keyspaces;
mod leases;
mod ranges;
mod subject;
mod txns;
mod watches;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::{BoxFuture, Store};
use subject::Subject;

/// The longest a case may take, on a slow machine and under load.
const DEADLINE: Duration = Duration::from_secs(60);

/// One claim about a store.
pub struct Case {
    /// The claim.
    pub name: &'static str,
    check: fn(Subject) -> BoxFuture<'static, ()>,
}

impl Case {
    /// Checks the claim on a fresh store.
    ///
    /// # Panics
    /// When the claim does not hold, naming it.
    pub async fn check(&self, store: Arc<dyn Store>) {
        let check = (self.check)(Subject::new(store));
        if tokio::time::timeout(DEADLINE, check).await.is_err() {
            panic!("{}: not done after {DEADLINE:?}", self.name);
        }
    }
}

/// Checks every case, each on a store of its own.
///
/// # Panics
/// When a claim does not hold.
pub async fn run<F, S>(mut make_store: F)
where
    F: FnMut() -> S,
    S: Future<Output = Arc<dyn Store>>,
{
    for case in cases() {
        // Tests print this only when they fail: the last name is the broken claim's.
        println!("conformance: {}", case.name);
        case.check(make_store().await).await;
    }
}

macro_rules! cases {
    ($($module:ident { $($case:ident,)+ })+) => {
        /// Every case of the suite.
        #[must_use]
        pub fn cases() -> Vec<Case> {
            vec![$($(Case {
                name: stringify!($case),
                check: |subject| Box::pin($module::$case(subject)),
            },)+)+]
        }
    };
}

cases! {
    keyspaces {
        a_full_keyspace_refuses_puts_and_takes_deletes,
        a_name_is_one_keyspace,
        a_new_keyspace_is_at_revision_one_and_empty,
        an_unknown_keyspace_is_refused,
        keyspaces_advance_apart,
    }
    txns {
        a_failed_compare_runs_the_other_branch,
        a_key_written_twice_is_refused,
        a_nested_txn_compares_the_state_before_and_reads_its_writes,
        a_refused_txn_changes_nothing,
        an_empty_key_is_refused,
        compares_of_a_missing_key_see_zeros,
        compares_of_a_range_hold_for_every_key,
        concurrent_writers_lose_no_update,
        every_compare_decides_by_its_ordering,
        keeping_needs_a_key,
        keeping_leaves_value_or_lease,
        previous_versions_are_returned_on_request,
        revisions_strictly_increase_and_reads_do_not_advance_them,
        versions_count_puts_and_start_anew_after_a_delete,
    }
    ranges {
        a_limit_cuts_and_says_so,
        every_consistency_answers_a_state_it_names,
        filters_drop_keys_without_changing_the_count,
        old_revisions_stay_readable_until_compacted,
        ranges_select_adjacent_keys,
        revisions_ahead_are_refused,
        sorting_orders_by_target,
        trimmed_answers_leave_values_or_keys_out,
    }
    watches {
        a_compacted_start_is_refused_with_the_compaction_revision,
        a_compaction_never_makes_a_watch_skip_silently,
        a_revision_is_never_split,
        a_watch_from_a_future_revision_sees_nothing_before_it,
        a_watch_from_an_old_revision_replays_history_then_follows,
        a_watch_from_now_sees_only_what_follows,
        a_watch_of_a_range_sees_only_its_keys,
        events_carry_the_version_before,
        watches_are_complete_and_ordered_under_concurrent_writers,
    }
    leases {
        a_lease_that_is_kept_alive_outlives_one_that_is_not,
        a_put_without_the_lease_detaches_the_key,
        a_taken_or_missing_lease_is_refused,
        an_expired_lease_deletes_or_detaches_its_keys,
        chosen_and_made_ids_are_leases,
        keep_alive_restores_the_full_time,
        revoking_deletes_or_detaches_at_one_revision,
        times_to_live_out_of_range_are_refused,
    }
    capabilities {
        bounded_reads_answer_or_are_refused,
        dense_revisions_advance_by_one,
        suffixes_are_made_at_apply_or_refused,
        too_many_operations_are_refused_by_number,
    }
}
