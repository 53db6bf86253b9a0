use crate::{ChainCore, ChainError, ChainHandle, ImportOutcome, RefusedBlock, SetHeadOutcome};
use starling_primitives::{B256, BlockRef};
use starling_validation::PreparedBlock;
use std::{sync::Arc, thread::JoinHandle};
use tokio::sync::{mpsc, oneshot};

/// Commands that wait for the chain thread. A full mailbox makes the next sender wait: nothing is dropped.
const MAILBOX_MAX: usize = 64;
/// EVM calls nest deep, and each level of revm takes stack.
const STACK_SIZE_BYTES: usize = 16 << 20;

/// What the chain thread is asked.
#[derive(Debug)]
pub(crate) enum Command {
    Import { block: Arc<PreparedBlock>, reply: Reply<ImportOutcome> },
    SetHead { head: B256, safe: B256, finalized: B256, reply: Reply<SetHeadOutcome> },
    Refuse { refused: RefusedBlock, reply: Reply<Option<B256>> },
    Rewind { to: u64, reply: Reply<BlockRef> },
    Stop,
}

type Reply<T> = oneshot::Sender<Result<T, ChainError>>;

/// The running chain thread; [`Chain::stop`] ends it.
#[derive(Debug)]
pub struct Chain {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<ChainCore>,
}

/// Puts a chain on a thread of its own.
///
/// # Errors
/// When the operating system gives no thread.
pub fn spawn(core: ChainCore) -> std::io::Result<(Chain, ChainHandle)> {
    let (commands, mailbox) = mpsc::channel(MAILBOX_MAX);
    let handle = core.handle(commands.clone());
    let thread = std::thread::Builder::new()
        .name("chain".into())
        .stack_size(STACK_SIZE_BYTES)
        .spawn(move || run(core, mailbox))?;
    Ok((Chain { commands, thread }, handle))
}

impl Chain {
    /// Lets the command in work end, refuses the others, and gives the chain back.
    /// Called from outside the async runtime. None if the thread had died.
    pub fn stop(self) -> Option<ChainCore> {
        // An error means that the thread is gone already.
        let _ = self.commands.blocking_send(Command::Stop);
        self.thread.join().ok()
    }
}

fn run(mut core: ChainCore, mut mailbox: mpsc::Receiver<Command>) -> ChainCore {
    // Those who asked and went away again do not need the answer.
    while let Some(command) = mailbox.blocking_recv() {
        match command {
            Command::Import { block, reply } => drop(reply.send(core.import(block))),
            Command::SetHead { head, safe, finalized, reply } => drop(reply.send(core.set_head(head, safe, finalized))),
            Command::Refuse { refused, reply } => drop(reply.send(core.refuse_unseen(refused))),
            Command::Rewind { to, reply } => drop(reply.send(core.rewind(to))),
            Command::Stop => break,
        }
    }
    core
}
