use clap::Args;
use starling_primitives::B256;

/// Synchronising from peers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sync")]
pub(crate) struct SyncArgs {
    /// How to reach the head: full executes every block
    #[arg(id = "syncmode", long = "syncmode", value_name = "full", default_value = "full", value_parser = parse_mode)]
    pub mode: SyncMode,
    /// Sync to the block of this hash, as if a consensus client had named it
    #[arg(id = "sync.target", long = "sync.target", value_name = "HASH")]
    pub target: Option<B256>,
    /// Stop as soon as the head that was named is reached
    #[arg(id = "exitwhensynced", long = "exitwhensynced", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub exit_when_synced: bool,
    /// Follow the heaviest chain without checking its proof of work: for chains of tests, whose work was never done
    #[arg(id = "fakepow", long = "fakepow", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub fake_pow: bool,
    /// Blocks and receipts to keep
    #[arg(id = "history.chain", long = "history.chain", value_name = "all", default_value = "all", value_parser = parse_history)]
    pub history: ChainHistory,
}

/// `--syncmode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncMode {
    /// Every block from genesis is executed.
    Full,
}

/// `--history.chain`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainHistory {
    /// Every block is kept.
    All,
}

fn parse_mode(text: &str) -> Result<SyncMode, String> {
    match text {
        "full" => Ok(SyncMode::Full),
        "snap" => Err("snap sync is not there yet; use full".into()),
        _ => Err("write full".into()),
    }
}

fn parse_history(text: &str) -> Result<ChainHistory, String> {
    match text {
        "all" => Ok(ChainHistory::All),
        part if part == "postmerge" || part.parse::<u64>().is_ok() => {
            Err("the storage of this version keeps every block and cannot drop old ones; use all".into())
        }
        _ => Err("write all".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_apart_is_refused_and_said() {
        assert_eq!(parse_history("all"), Ok(ChainHistory::All));
        for text in ["postmerge", "90000"] {
            assert!(parse_history(text).unwrap_err().contains("keeps every block"), "{text}");
        }
        assert_eq!(parse_history("some"), Err("write all".into()));
        assert!(parse_mode("snap").unwrap_err().contains("use full"));
    }
}
