//! The pool as a source of candidates.

use crate::{BuildOptions, Candidate, Candidates, JobSource, Unfit};
use parking_lot::Mutex;
use starling_chainspec::ChainSpec;
use starling_execution::TxError;
use starling_primitives::Header;
use starling_state::ChainView;
use starling_txpool::{Best, BestParams, PoolHandle};
use std::sync::Arc;
use tokio::sync::broadcast::error::TryRecvError;

/// The pool's best transactions for a block with this header, which need not be finished.
pub fn best_for(pool: &PoolHandle, spec: &ChainSpec, header: &Header, options: &BuildOptions) -> Best {
    let schedule = spec.blob_schedule_at(header);
    pool.best(BestParams {
        base_fee: header.base_fee_per_gas.unwrap_or_default(),
        blob_base_fee: schedule.map(|schedule| schedule.base_fee(header.excess_blob_gas.unwrap_or_default())),
        tip_min: options.tip_min,
    })
}

impl Candidates for Best {
    fn next(&mut self) -> Option<Candidate> {
        let pooled = Iterator::next(self)?;
        Some(Candidate { tx: pooled.tx.clone(), sender: pooled.sender, sidecar: pooled.sidecar() })
    }

    fn refused(&mut self, why: Unfit) -> Result<(), Unfit> {
        // One that the parent has mined already, which the pool has not heard of: its sender's next one may fit.
        if !matches!(&why, Unfit::Run(why) if matches!(**why, TxError::NonceTooLow { .. })) {
            self.skip_sender();
        }
        Ok(())
    }
}

impl JobSource {
    /// A source over the pool.
    pub fn of_pool(
        pool: PoolHandle,
        view: impl Fn() -> Arc<ChainView> + Send + Sync + 'static,
        options: BuildOptions,
    ) -> Self {
        let news = Mutex::new((pool.news(), 0));
        let pool_version = move || {
            let (news, version) = &mut *news.lock();
            while !matches!(news.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {
                *version += 1;
            }
            *version
        };
        let blobs_max = options.blobs_max;
        let candidates = move |view: &ChainView, header: &Header| -> Box<dyn Candidates> {
            Box::new(best_for(&pool, view.spec(), header, &options))
        };
        Self { view: Box::new(view), candidates: Box::new(candidates), pool_version: Box::new(pool_version), blobs_max }
    }
}
