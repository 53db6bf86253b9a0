use super::{
    block_access_list::AccessRecorder,
    commit, constantinople,
    convert::{halt_words, tx_error},
    crypto,
    database::{DbError, OverlayDb},
    env::{BlockRules, CallTx, call_env, transaction_env},
    precompiles::Precompiles,
    watchdog::{self, End, Watchdog},
};
use crate::{error::TxError, overlay::Overlay};
use alloy_primitives::{Address, Bytes, Log};
use revm::{
    Inspector, Journal,
    bytecode::opcode,
    context::{BlockEnv, CfgEnv, ContextTr, Evm, FrameStack, JournalTr, TxEnv, result::EVMError},
    context_interface::{
        context::ContextError,
        result::{ExecutionResult, Output},
    },
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, Handler, ItemOrResult, MainnetHandler,
        evm::{ContextDbError, FrameInitResult},
        instructions::EthInstructions,
    },
    inspector::{InspectorEvmTr, InspectorHandler},
    interpreter::{
        CreateOutcome, FrameInput, Gas, Instruction, InstructionResult, InterpreterResult, interpreter::EthInterpreter,
        interpreter_action::FrameInit, interpreter_types::Jumps,
    },
};
use starling_primitives::{ReadError, Transaction};
use std::time::Instant;

pub(crate) type Context<'a> = revm::Context<BlockEnv, TxEnv, CfgEnv, OverlayDb<'a>, Journal<OverlayDb<'a>>, Watchdog>;
type Instructions<'a> = EthInstructions<EthInterpreter, Context<'a>>;
type Inner<'a, INSP> = Evm<Context<'a>, INSP, Instructions<'a>, Precompiles, EthFrame<EthInterpreter>>;
type MachineError = EVMError<DbError>;
type MachineHandler<'a, INSP> = MainnetHandler<Machine<'a, INSP>, MachineError, EthFrame<EthInterpreter>>;

/// An EVM set up for one block, over an overlay. Runs transactions, system calls and calls one after another.
pub(crate) struct Machine<'a, INSP = ()> {
    evm: Inner<'a, INSP>,
}

/// What running one transaction or call gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ending: Ending,
    pub(crate) logs: Vec<Log>,
    /// Refunds taken off, at least the floor: what the sender pays and the receipt counts.
    pub(crate) gas_used: u64,
    /// Before refunds.
    pub(crate) gas_peak: u64,
    /// What counts for the block's regular gas (EIP-8037); before Amsterdam not used.
    pub(crate) regular_gas: u64,
    /// What counts for the block's state gas (EIP-8037).
    pub(crate) state_gas: u64,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Success { output: Bytes },
    Revert { output: Bytes },
    Halt { reason: String, out_of_gas: bool },
}

impl Ran {
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.ending, Ending::Success { .. })
    }
}

/// Why a transaction or call did not run at all.
#[derive(Debug)]
pub(crate) enum RunError {
    Read(ReadError),
    Invalid(TxError),
    Deadline,
    Internal(String),
}

impl From<ReadError> for RunError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl<'a> Machine<'a> {
    /// A machine for a block of these rules.
    pub(crate) fn new(rules: &BlockRules, overlay: Overlay<'a>) -> Self {
        Self::inspected(rules, overlay, ())
    }

    /// Runs a signed transaction; its changes wait for [`Machine::commit`].
    pub(crate) fn transact(&mut self, tx: &Transaction, sender: Address) -> Result<Ran, RunError> {
        self.evm.ctx.tx = transaction_env(tx, sender);
        self.run()
    }

    /// Runs a call as a transaction without a signature.
    pub(crate) fn call(&mut self, call: &CallTx) -> Result<Ran, RunError> {
        self.evm.ctx.tx = call_env(call);
        self.run()
    }

    fn run(&mut self) -> Result<Ran, RunError> {
        let result = MachineHandler::default().run(self);
        self.finish(result)
    }

    /// Calls a contract as the protocol does: no fee, no nonce, no sender account.
    pub(crate) fn system_call(&mut self, contract: Address, input: Bytes, gas: u64) -> Result<Ran, RunError> {
        self.evm.ctx.tx = TxEnv {
            caller: alloy_eips::eip4788::SYSTEM_ADDRESS,
            gas_limit: gas,
            kind: contract.into(),
            data: input,
            chain_id: None,
            ..Default::default()
        };
        let result = MachineHandler::default().run_system_call(self);
        self.finish(result)
    }
}

impl<'a, INSP> Machine<'a, INSP> {
    /// A machine whose transactions an inspector may watch ([`Machine::inspect_call`]).
    pub(crate) fn inspected(rules: &BlockRules, overlay: Overlay<'a>, inspector: INSP) -> Self {
        crypto::install();
        let mut instructions = Instructions::new_mainnet_with_spec(rules.cfg.spec);
        if rules.net_metered_sstore {
            instructions.insert_instruction(opcode::SSTORE, Instruction::new(constantinople::sstore), 0);
        }
        let context = Context::new(OverlayDb::new(overlay, rules.unknown_hash_is_zero), rules.cfg.spec)
            .with_cfg(rules.cfg.clone())
            .with_block(rules.block.clone());
        let precompiles = Precompiles::new(rules.cfg.spec);
        Self { evm: Evm::new_with_inspector(context, inspector, instructions, precompiles) }
    }

    /// Ends whatever runs at this moment.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.set_end(End::At(deadline));
    }

    /// Ends whatever runs when this is so.
    pub(crate) fn set_end(&mut self, end: End) {
        self.evm.ctx.chain.end = end;
        self.evm.instruction.insert_instruction(opcode::JUMPDEST, Instruction::new(watchdog::jumpdest), 1);
    }

    pub(crate) fn precompiles_mut(&mut self) -> &mut Precompiles {
        &mut self.evm.precompiles
    }

    pub(crate) fn overlay(&mut self) -> &mut Overlay<'a> {
        &mut self.evm.ctx.journaled_state.database.overlay
    }

    pub(crate) fn inspector(&self) -> &INSP {
        &self.evm.inspector
    }

    /// Applies the last transaction's changes to the overlay, and its accesses to the recorder.
    pub(crate) fn commit(&mut self, recorder: Option<&mut AccessRecorder>) -> Result<(), ReadError> {
        let clear_empty = self.evm.ctx.cfg.spec.is_enabled_in(revm::primitives::hardfork::SpecId::SPURIOUS_DRAGON);
        let journal = &mut self.evm.ctx.journaled_state;
        commit::apply(&mut journal.inner.state, &mut journal.database, clear_empty, recorder)
    }

    /// Forgets the last transaction's changes.
    pub(crate) fn discard(&mut self) {
        self.evm.ctx.journaled_state.inner.state.clear();
    }

    fn finish(&mut self, result: Result<ExecutionResult, MachineError>) -> Result<Ran, RunError> {
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                self.discard();
                return Err(self.run_error(error));
            }
        };
        let gas = *result.gas();
        let (ending, logs) = match result {
            ExecutionResult::Success { output, logs, .. } => {
                let output = match output {
                    Output::Call(output) | Output::Create(output, _) => output,
                };
                (Ending::Success { output }, logs)
            }
            ExecutionResult::Revert { output, .. } => (Ending::Revert { output }, Vec::new()),
            ExecutionResult::Halt { reason, .. } => {
                let (reason, out_of_gas) = halt_words(&reason, self.evm.ctx.chain.halted);
                (Ending::Halt { reason, out_of_gas }, Vec::new())
            }
        };
        Ok(Ran {
            ending,
            logs,
            gas_used: gas.tx_gas_used(),
            gas_peak: gas.total_gas_spent().max(gas.floor_gas()),
            regular_gas: gas.block_regular_gas_used(),
            state_gas: gas.block_state_gas_used(),
        })
    }

    fn run_error(&self, error: MachineError) -> RunError {
        match error {
            EVMError::Transaction(error) => RunError::Invalid(tx_error(error, &self.evm.ctx)),
            EVMError::Database(DbError::Read(error)) => RunError::Read(error),
            EVMError::Database(DbError::Deadline) => RunError::Deadline,
            other => RunError::Internal(other.to_string()),
        }
    }
}

impl<'a, INSP: Inspector<Context<'a>>> Machine<'a, INSP> {
    /// Runs a call under the inspector.
    pub(crate) fn inspect_call(&mut self, call: &CallTx) -> Result<Ran, RunError> {
        self.evm.ctx.tx = call_env(call);
        let result = MachineHandler::default().inspect_run(self);
        self.finish(result)
    }
}

impl<'a, INSP> Machine<'a, INSP> {
    /// Turns a freshly started creation into a collision if its address has storage (EIP-7610).
    fn refuse_creation_on_storage(&mut self) -> Result<Option<FrameResult>, DbError> {
        let frame = self.evm.frame_stack.get();
        let FrameInput::Create(inputs) = &frame.input else { return Ok(None) };
        let address = frame.interpreter.input.target_address;
        if !self.evm.ctx.journaled_state.database.overlay.has_storage(&address)? {
            return Ok(None);
        }
        let result = FrameResult::Create(CreateOutcome {
            result: InterpreterResult::new(
                InstructionResult::CreateCollision,
                Bytes::new(),
                Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit(), inputs.reservoir()),
            ),
            address: None,
            charged_create_state_gas: inputs.charged_create_state_gas(),
        });
        let checkpoint = frame.checkpoint;
        self.evm.ctx.journal_mut().checkpoint_revert(checkpoint);
        self.evm.frame_stack.pop();
        Ok(Some(result))
    }

    /// Notes where the outermost frame halted: the words for it name the opcode and the stack.
    fn note_halt(&mut self) {
        if self.evm.frame_stack.index() != Some(0) {
            return;
        }
        let interpreter = &self.evm.frame_stack.get().interpreter;
        let opcode = interpreter.bytecode.bytes_slice().get(interpreter.bytecode.pc().saturating_sub(1));
        self.evm.ctx.chain.halted = Some((opcode.copied().unwrap_or_default(), interpreter.stack.len()));
    }
}

impl<'a, INSP> EvmTr for Machine<'a, INSP> {
    type Context = Context<'a>;
    type Instructions = Instructions<'a>;
    type Precompiles = Precompiles;
    type Frame = EthFrame<EthInterpreter>;

    fn all(&self) -> (&Context<'a>, &Instructions<'a>, &Precompiles, &FrameStack<Self::Frame>) {
        self.evm.all()
    }

    fn all_mut(&mut self) -> (&mut Context<'a>, &mut Instructions<'a>, &mut Precompiles, &mut FrameStack<Self::Frame>) {
        self.evm.all_mut()
    }

    fn frame_init(
        &mut self,
        input: FrameInit,
    ) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<Context<'a>>> {
        self.evm.ctx.chain.look().map_err(ContextError::Db)?;
        let creates = matches!(input.frame_input, FrameInput::Create(_));
        if let ItemOrResult::Result(result) = self.evm.frame_init(input)? {
            return Ok(ItemOrResult::Result(result));
        }
        if creates && let Some(result) = self.refuse_creation_on_storage().map_err(ContextError::Db)? {
            return Ok(ItemOrResult::Result(result));
        }
        Ok(ItemOrResult::Item(self.evm.frame_stack.get()))
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<Context<'a>>> {
        let result = self.evm.frame_run()?;
        if let ItemOrResult::Result(ended) = &result
            && ended.instruction_result().is_halt()
        {
            self.note_halt();
        }
        Ok(result)
    }

    fn frame_return_result(&mut self, result: FrameResult) -> Result<Option<FrameResult>, ContextDbError<Context<'a>>> {
        self.evm.frame_return_result(result)
    }
}

impl<'a, INSP: Inspector<Context<'a>>> InspectorEvmTr for Machine<'a, INSP> {
    type Inspector = INSP;

    fn all_inspector(&self) -> (&Context<'a>, &Instructions<'a>, &Precompiles, &FrameStack<Self::Frame>, &INSP) {
        self.evm.all_inspector()
    }

    fn all_mut_inspector(
        &mut self,
    ) -> (&mut Context<'a>, &mut Instructions<'a>, &mut Precompiles, &mut FrameStack<Self::Frame>, &mut INSP) {
        self.evm.all_mut_inspector()
    }
}
