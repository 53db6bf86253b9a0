//! Branch rows of a run of blocks on their way into the tables: of each path the newest row, whole.

use crate::{
    flush::Placed,
    layers::BranchBytes,
    patch,
    rows::{Sections, StoredBranch},
    schema::{Table, storage_branch_key},
    tables::{Batch, Rows, TableError, delete_range, get_vec},
};
use alloy_primitives::map::B256Map;
use starling_primitives::B256;
use std::{borrow::Cow, collections::BTreeMap};

type Paths<'a> = BTreeMap<&'a [u8], Option<Cow<'a, [u8]>>>;
/// Reads a path's row from the tables.
type Below<'a> = dyn Fn(&[u8]) -> Result<Option<Vec<u8>>, TableError> + 'a;

/// Changed rows by path; none is gone.
#[derive(Default)]
pub(crate) struct BranchRows<'a> {
    accounts: Paths<'a>,
    storages: B256Map<Paths<'a>>,
}

impl<'a> BranchRows<'a> {
    /// Adds a block's rows. What they change is the row of a block before, or that of `tables`, where an account's
    /// are under `id_before`.
    pub(crate) fn add<R: Rows + ?Sized>(
        &mut self,
        block: &Sections<'a>,
        branches: &'a [u8],
        tables: &R,
        id_before: &dyn Fn(&B256) -> Option<u64>,
    ) -> Result<(), TableError> {
        for row in &block.account_branches {
            put(&mut self.accounts, branches, *row, &|path| get_vec(tables, Table::AccountBranches, path))?;
        }
        for (account, rows) in &block.storage_branches {
            let paths = self.storages.entry(*account).or_default();
            let below = |path: &[u8]| match id_before(account) {
                Some(id) => get_vec(tables, Table::StorageBranches, &storage_branch_key(id, path)),
                None => Ok(None),
            };
            for row in rows {
                put(paths, branches, *row, &below)?;
            }
        }
        Ok(())
    }

    /// Forgets an account's rows.
    pub(crate) fn wipe(&mut self, account: &B256) {
        self.storages.remove(account);
    }

    /// Writes all rows. Those of dead ids go at once: they are kept for the frontier only.
    pub(crate) fn write(
        &self,
        batch: &mut dyn Batch,
        accounts: &[Placed],
        ids_before: &B256Map<u64>,
    ) -> Result<(), TableError> {
        let mut by_id: Vec<(u64, &Paths<'_>)> = Vec::new();
        for (key, account) in accounts {
            let id = account.map_or(0, |(_, id)| id);
            if let Some(before) = ids_before.get(key).filter(|before| **before != id) {
                delete_range(batch, Table::StorageBranches, &before.to_be_bytes(), &(before + 1).to_be_bytes())?;
            }
            let Some(rows) = self.storages.get(key) else { continue };
            if id != 0 {
                by_id.push((id, rows));
            } else if rows.values().any(Option::is_some) {
                return Err(TableError::Damaged(format!("account {key} has storage branches and no storage")));
            }
        }
        by_id.sort_unstable_by_key(|(id, _)| *id);
        let keys: Vec<(Vec<u8>, Option<&[u8]>)> = by_id
            .iter()
            .flat_map(|(id, rows)| rows.iter().map(|(path, row)| (storage_branch_key(*id, path), row.as_deref())))
            .collect();
        batch.write(Table::StorageBranches, &mut keys.iter().map(|(key, row)| (key.as_slice(), *row)))?;
        batch.write(Table::AccountBranches, &mut self.accounts.iter().map(|(path, row)| (*path, row.as_deref())))
    }
}

/// Puts a row in place of the one before, which it may be a change of.
fn put<'a>(
    paths: &mut Paths<'a>,
    branches: &'a [u8],
    (path, ordinal): StoredBranch<'a>,
    below: &Below<'_>,
) -> Result<(), TableError> {
    let row = match ordinal.map(|ordinal| BranchBytes::of(branches, ordinal)).transpose()? {
        None => None,
        Some(BranchBytes::Whole(row)) => Some(row),
        Some(BranchBytes::Patch(patch)) => {
            let base = match paths.get(path) {
                Some(newer) => newer.clone(),
                None => below(path)?.map(Cow::Owned),
            };
            let damaged = || TableError::Damaged("a change of a branch row that is not there".into());
            Some(patch::apply(&patch, &base.ok_or_else(damaged)?)?.into())
        }
    };
    paths.insert(path, row);
    Ok(())
}
