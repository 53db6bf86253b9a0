use super::node_args::parse_duration;
use clap::Args;
use starling_primitives::Address;
use starling_txpool::PoolConfig;
use std::time::Duration;

/// The pool of transactions.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Transaction pool")]
pub(crate) struct PoolArgs {
    /// Accounts whose transactions count as sent through here, whoever brings them
    #[arg(id = "txpool.locals", long = "txpool.locals", value_name = "ADDRESS,…", value_delimiter = ',')]
    pub locals: Vec<Address>,
    /// Give what is sent through here no privilege when the pool is full
    #[arg(id = "txpool.nolocals", long = "txpool.nolocals", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub no_locals: bool,
    /// Least tip of transactions from peers, in wei per gas
    #[arg(id = "txpool.pricelimit", long = "txpool.pricelimit", value_name = "WEI", default_value = "1")]
    pub price_limit: u128,
    /// How much more a replacement must pay, in percent
    #[arg(id = "txpool.pricebump", long = "txpool.pricebump", value_name = "PERCENT", default_value = "10")]
    pub price_bump: u128,
    /// Transactions that each account keeps however full the pool is
    #[arg(id = "txpool.accountslots", long = "txpool.accountslots", value_name = "COUNT", default_value = "16")]
    pub account_slots: usize,
    /// Slots of 32 KiB for pending transactions
    #[arg(id = "txpool.globalslots", long = "txpool.globalslots", value_name = "COUNT", default_value = "5120")]
    pub global_slots: usize,
    /// Transactions of one account that may wait for an earlier nonce
    #[arg(id = "txpool.accountqueue", long = "txpool.accountqueue", value_name = "COUNT", default_value = "64")]
    pub account_queue: usize,
    /// Transactions of all accounts that may wait for an earlier nonce
    #[arg(id = "txpool.globalqueue", long = "txpool.globalqueue", value_name = "COUNT", default_value = "1024")]
    pub global_queue: usize,
    /// How long transactions wait for an earlier nonce
    #[arg(id = "txpool.lifetime", long = "txpool.lifetime", value_name = "TIME", default_value = "180m", value_parser = parse_duration)]
    pub lifetime: Duration,
    /// Bytes on disk for transactions with blobs
    #[arg(id = "blobpool.datacap", long = "blobpool.datacap", value_name = "BYTES", default_value = "2684354560")]
    pub blob_bytes: usize,
    /// How much more a replacement with blobs must pay, in percent
    #[arg(id = "blobpool.pricebump", long = "blobpool.pricebump", value_name = "PERCENT", default_value = "100")]
    pub blob_price_bump: u128,
}

impl PoolArgs {
    /// The limits.
    pub(crate) fn config(&self) -> PoolConfig {
        PoolConfig {
            tip_min: self.price_limit,
            bump_percent: self.price_bump,
            account_slots: self.account_slots,
            pending_slots_max: self.global_slots,
            account_queued_max: self.account_queue,
            queued_max: self.global_queue,
            lifetime: self.lifetime,
            no_locals: self.no_locals,
            locals: self.locals.clone(),
            blob_bytes_max: self.blob_bytes,
            blob_bump_percent: self.blob_price_bump,
            ..PoolConfig::default()
        }
    }
}
