//! Ends a call at its deadline without looking at every instruction: code can only run long by loops, which
//! pass a JUMPDEST, or by calls, which start a frame. Blocks have no deadline and pay nothing.

use super::{database::DbError, machine::Context};
use revm::{
    context::ContextTr,
    context_interface::context::ContextError,
    interpreter::{InstructionContext, InstructionExecResult, InstructionResult, interpreter::EthInterpreter},
};
use std::time::Instant;

/// JUMPDESTs between two looks at the clock: microseconds of work, the price of one look in thousands.
const JUMPS_BETWEEN_LOOKS: u32 = 4096;

/// What the machine keeps beside the library's context.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    pub(super) deadline: Option<Instant>,
    jumps: u32,
    /// Opcode and stack height where the outermost frame halted last.
    pub(super) halted: Option<(u8, usize)>,
}

impl Watchdog {
    /// Whether the deadline has passed.
    pub(super) fn look(&self) -> Result<(), DbError> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(DbError::Deadline),
            _ => Ok(()),
        }
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
