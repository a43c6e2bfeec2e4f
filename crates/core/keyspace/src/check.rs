//! What can be refused without looking at the state.

use synod_base::Bytes;

use crate::write_set::WriteSet;
use crate::{Command, DeleteRange, Error, Limits, Op, Txn};

/// How deep transactions may be nested. Part of the format: decoders refuse what goes deeper.
pub const NESTING_MAX: usize = 16;

impl Command {
    /// Refuses what every state refuses: too many or too deeply nested operations, empty keys,
    /// and keys written twice. Applying does this too; a member does it before it proposes, since
    /// a request nested too deeply could not be read back from the log.
    ///
    /// # Errors
    /// What applying the command would answer.
    pub fn check(&self, limits: &Limits) -> Result<(), Error> {
        match self {
            Self::Txn(txn) => check_txn(txn, limits),
            _ => Ok(()),
        }
    }
}

pub(crate) fn check_txn(txn: &Txn, limits: &Limits) -> Result<(), Error> {
    check_shape(txn, limits.ops_max, limits.ops_max, NESTING_MAX)?;
    if needs_write_sets(txn) {
        writes(&txn.then)?;
        writes(&txn.otherwise)?;
    }
    Ok(())
}

/// Checks list lengths and keys. As in etcd, each level uses up its longest list of the budget.
fn check_shape(txn: &Txn, budget: usize, max: usize, levels: usize) -> Result<(), Error> {
    if levels == 0 {
        return Err(Error::NestedTooDeep { max: NESTING_MAX });
    }
    let longest = txn.compares.len().max(txn.then.len()).max(txn.otherwise.len());
    let Some(left) = budget.checked_sub(longest) else { return Err(Error::TooManyOps { max }) };
    for compare in &txn.compares {
        compare.range.check()?;
    }
    for op in txn.then.iter().chain(&txn.otherwise) {
        match op {
            Op::Delete(delete) => delete.range.check()?,
            Op::Put(put) if put.key.is_empty() => return Err(Error::EmptyKey),
            Op::Put(_) => {}
            Op::Range(range) => range.range.check()?,
            Op::Txn(nested) => check_shape(nested, left, max, levels - 1)?,
        }
    }
    Ok(())
}

/// Most transactions write once per branch and need no sets.
fn needs_write_sets(txn: &Txn) -> bool {
    [&txn.then, &txn.otherwise].into_iter().any(|ops| {
        let writes = ops.iter().filter(|op| !matches!(op, Op::Range(_))).count();
        writes > 1 || ops.iter().any(|op| matches!(op, Op::Txn(_)))
    })
}

/// The writes of one branch, nested ones included. Puts with a suffix have no key yet; the plan
/// checks them once they do.
fn writes(ops: &[Op]) -> Result<WriteSet, Error> {
    let mut set = WriteSet::default();
    for op in ops {
        match op {
            Op::Delete(DeleteRange { keyspace, range, .. }) => set.delete(*keyspace, range)?,
            Op::Put(put) if put.suffix.is_none() => set.put(put.keyspace, &put.key)?,
            Op::Put(_) | Op::Range(_) => {}
            Op::Txn(nested) => {
                let mut either = writes(&nested.then)?;
                either.either(writes(&nested.otherwise)?);
                set.join(either)?;
            }
        }
    }
    Ok(set)
}

/// `prefix` followed by `number` in `width` decimal digits.
pub(crate) fn suffixed(prefix: &Bytes, number: u64, width: usize) -> Bytes {
    alloc::vec::Vec::from(&**prefix)
        .into_iter()
        .chain(alloc::format!("{number:0width$}").into_bytes())
        .collect::<alloc::vec::Vec<u8>>()
        .into()
}
