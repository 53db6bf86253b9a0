//! Ends a call at its deadline without looking at every instruction: code can only run long by loops, which
//! pass a JUMPDEST, or by calls, which start a frame. Blocks have no deadline and pay nothing.
//! Work ahead of a block ends in the same way, when the block has come past it.

use super::{database::DbError, machine::Context};
use revm::{
    context::ContextTr,
    context_interface::context::ContextError,
    interpreter::{InstructionContext, InstructionExecResult, InstructionResult, interpreter::EthInterpreter},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// JUMPDESTs between two looks at the clock: microseconds of work, the price of one look in thousands.
const JUMPS_BETWEEN_LOOKS: u32 = 4096;

/// What the machine keeps beside the library's context.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    pub(super) end: End,
    jumps: u32,
    /// Opcode and stack height where the outermost frame halted last.
    pub(super) halted: Option<(u8, usize)>,
}

/// When what runs is to end before its own end.
#[derive(Debug, Clone, Default)]
pub(crate) enum End {
    #[default]
    Never,
    At(Instant),
    /// When the block's own run is past a transaction.
    Past {
        /// The transaction that the block is at.
        position: Arc<AtomicUsize>,
        index: usize,
    },
}

impl Watchdog {
    /// Whether it is to end now.
    pub(super) fn look(&self) -> Result<(), DbError> {
        let over = match &self.end {
            End::Never => false,
            End::At(deadline) => Instant::now() >= *deadline,
            End::Past { position, index } => position.load(Ordering::Relaxed) > *index,
        };
        if over { Err(DbError::Deadline) } else { Ok(()) }
    }
}

/// JUMPDEST with a look at the clock now and then.
pub(super) fn jumpdest(context: InstructionContext<'_, Context<'_>, EthInterpreter>) -> InstructionExecResult {
    let watchdog = &mut context.host.chain;
    watchdog.jumps += 1;
    if watchdog.jumps >= JUMPS_BETWEEN_LOOKS {
        watchdog.jumps = 0;
        if let Err(error) = watchdog.look() {
            *context.host.error() = Err(ContextError::Db(error));
            return Err(InstructionResult::FatalExternalError);
        }
    }
    Ok(())
}
