//! Random programs: statements that leave the stack as they found it, over expressions that push one word. Mostly they
//! run; now and then junk stands among them, and opcodes come before their fork.

use super::dice::Dice;
use alloy_primitives::{Address, Bytes, U256};
use starling_chainspec::Fork;

/// How deep expressions and blocks of statements nest.
const DEPTH_MAX: u32 = 3;
/// Memory that programs use, in bytes.
const MEMORY_BYTES: u64 = 256;
/// Storage slots and transient slots that programs use.
const SLOTS: u64 = 6;

mod op {
    pub(super) const STOP: u8 = 0x00;
    pub(super) const CALLDATALOAD: u8 = 0x35;
    pub(super) const POP: u8 = 0x50;
    pub(super) const MLOAD: u8 = 0x51;
    pub(super) const MSTORE: u8 = 0x52;
    pub(super) const SLOAD: u8 = 0x54;
    pub(super) const SSTORE: u8 = 0x55;
    pub(super) const JUMPI: u8 = 0x57;
    pub(super) const GAS: u8 = 0x5a;
    pub(super) const JUMPDEST: u8 = 0x5b;
    pub(super) const TLOAD: u8 = 0x5c;
    pub(super) const TSTORE: u8 = 0x5d;
    pub(super) const MCOPY: u8 = 0x5e;
    pub(super) const PUSH1: u8 = 0x60;
    pub(super) const PUSH2: u8 = 0x61;
    pub(super) const DUP1: u8 = 0x80;
    pub(super) const SWAP1: u8 = 0x90;
    pub(super) const LOG0: u8 = 0xa0;
    pub(super) const CREATE: u8 = 0xf0;
    pub(super) const CALL: u8 = 0xf1;
    pub(super) const CALLCODE: u8 = 0xf2;
    pub(super) const RETURN: u8 = 0xf3;
    pub(super) const DELEGATECALL: u8 = 0xf4;
    pub(super) const CREATE2: u8 = 0xf5;
    pub(super) const STATICCALL: u8 = 0xfa;
    pub(super) const REVERT: u8 = 0xfd;
    pub(super) const SELFDESTRUCT: u8 = 0xff;
    pub(super) const ISZERO: u8 = 0x15;
    pub(super) const SUB: u8 = 0x03;
    /// One word of the environment, no argument.
    pub(super) const NULLARY: &[u8] = &[
        0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4a, 0x58,
        0x59, 0x5a,
    ];
    /// One argument, one word: also of accounts, ancestors, blobs.
    pub(super) const UNARY: &[u8] = &[0x15, 0x19, 0x31, 0x35, 0x3b, 0x3f, 0x40, 0x49, 0x51, 0x54, 0x5c, 0x1e];
    pub(super) const BINARY: &[u8] = &[
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1a,
        0x1b, 0x1c, 0x1d,
    ];
    pub(super) const TERNARY: &[u8] = &[0x08, 0x09];
}

/// The fork that brought an opcode.
fn since(code: u8) -> Fork {
    match code {
        op::DELEGATECALL => Fork::Homestead,
        0x3d | 0x3e | op::STATICCALL | op::REVERT => Fork::Byzantium,
        0x1b..=0x1d | 0x3f | op::CREATE2 => Fork::Constantinople,
        0x46 | 0x47 => Fork::Istanbul,
        0x48 => Fork::London,
        0x49 | 0x4a | op::TLOAD | op::TSTORE | op::MCOPY => Fork::Cancun,
        0x1e => Fork::Osaka,
        _ => Fork::Frontier,
    }
}

/// Small init codes for contracts that contracts create: return nothing; return 32 bytes; write a slot; be destroyed
/// at once; revert; return a byte that no code may begin with (EIP-3541).
const DEPLOYED: [&[u8]; 6] = [
    &[0x60, 0, 0x60, 0, 0xf3],
    &[0x60, 0x20, 0x60, 0, 0xf3],
    &[0x60, 1, 0x60, 2, 0x55, 0x00],
    &[0x33, 0xff],
    &[0x60, 0, 0x60, 0, 0xfd],
    &[0x60, 0xef, 0x60, 0, 0x53, 0x60, 1, 0x60, 0, 0xf3],
];

/// What programs are written for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) fork: Fork,
    /// Those that they may call, look at, or pay.
    pub(super) addresses: &'a [Address],
}

/// Writes a program.
pub(super) fn program(dice: &mut Dice, setting: Setting<'_>) -> Bytes {
    let mut writer = Writer { dice, setting, code: Vec::new() };
    for _ in 0..writer.dice.between(1, 8) {
        writer.statement(DEPTH_MAX);
    }
    writer.end();
    writer.code.into()
}

/// Code that deploys `code`, after some statements of its own.
pub(super) fn init_code(dice: &mut Dice, setting: Setting<'_>, code: &[u8]) -> Bytes {
    let mut writer = Writer { dice, setting, code: Vec::new() };
    for _ in 0..writer.dice.below(3) {
        writer.statement(1);
    }
    // CODECOPY the tail to memory and return it; its offset is written in two bytes
    let len = code.len() as u16;
    let tail = writer.code.len() as u16 + 15;
    let [tail_high, tail_low] = tail.to_be_bytes();
    let [len_high, len_low] = len.to_be_bytes();
    let copy = [op::PUSH2, len_high, len_low, op::PUSH2, tail_high, tail_low, op::PUSH1, 0, 0x39];
    writer.code.extend(copy);
    writer.code.extend([op::PUSH2, len_high, len_low, op::PUSH1, 0, op::RETURN]);
    writer.code.extend(code);
    writer.code.into()
}

struct Writer<'a> {
    dice: &'a mut Dice,
    setting: Setting<'a>,
    code: Vec<u8>,
}

impl Writer<'_> {
    /// One of the opcodes, mostly one that the fork has. The first of them every fork has.
    fn opcode(&mut self, choices: &[u8]) -> u8 {
        for _ in 0..8 {
            let code = *self.dice.pick(choices);
            if since(code) <= self.setting.fork || self.dice.chance(1) {
                return code;
            }
        }
        choices[0]
    }

    fn push(&mut self, word: U256) {
        let bytes = word.to_be_bytes_trimmed_vec();
        let bytes = if bytes.is_empty() { vec![0] } else { bytes };
        self.code.push(op::PUSH1 + bytes.len() as u8 - 1);
        self.code.extend(bytes);
    }

    fn small(&mut self, bound: u64) {
        let number = self.dice.below(bound);
        self.push(U256::from(number));
    }

    fn address(&mut self) {
        let address = match self.dice.below(12) {
            0 => Address::with_last_byte(self.dice.below(20) as u8),
            1 => Address::from_word(self.dice.word().into()),
            _ => *self.dice.pick(self.setting.addresses),
        };
        self.push(U256::from_be_slice(address.as_slice()));
    }

    /// Pushes one word.
    fn expression(&mut self, depth: u32) {
        match self.dice.below(if depth == 0 { 5 } else { 12 }) {
            0 | 1 => {
                let word = self.dice.word();
                self.push(word);
            }
            2 => {
                self.small(96);
                self.code.push(op::CALLDATALOAD);
            }
            3 => {
                let code = self.opcode(op::NULLARY);
                self.code.push(code);
            }
            4 => {
                self.small(SLOTS);
                let load = self.opcode(&[op::SLOAD, op::SLOAD, op::TLOAD, op::MLOAD]);
                self.code.push(load);
            }
            5 => self.account_word(),
            6 => self.operator(op::TERNARY, 3, depth),
            7 => self.operator(op::UNARY, 1, depth),
            8 => {
                // a hash of memory
                self.small(MEMORY_BYTES);
                self.small(MEMORY_BYTES);
                self.code.push(0x20);
            }
            _ => self.operator(op::BINARY, 2, depth),
        }
    }

    /// Balance, code size or code hash.
    fn account_word(&mut self) {
        self.address();
        let code = self.opcode(&[0x31, 0x3b, 0x3f]);
        self.code.push(code);
    }

    fn operator(&mut self, choices: &[u8], arguments: u32, depth: u32) {
        for _ in 0..arguments {
            self.expression(depth - 1);
        }
        let code = self.opcode(choices);
        // memory at any offset would only run out of gas
        if code == op::MLOAD {
            self.code.extend([op::PUSH1, 0x7f, 0x16]);
        }
        self.code.push(code);
    }

    fn statement(&mut self, depth: u32) {
        match self.dice.below(40) {
            0..=9 => self.store(op::SSTORE),
            10..=11 => {
                let code = self.opcode(&[op::SSTORE, op::TSTORE]);
                self.store(code);
            }
            12..=15 => {
                self.expression(2);
                self.small(MEMORY_BYTES - 32);
                self.code.push(op::MSTORE);
            }
            16..=18 => self.log(),
            19..=25 => self.call(),
            26..=28 => self.create(),
            29..=30 => self.copy(),
            31..=33 if depth > 0 => self.branch(depth),
            34..=35 if depth > 0 => self.repeat(depth),
            36 => {
                let junk = self.dice.bytes(2);
                self.code.extend(junk);
            }
            37 if depth < DEPTH_MAX => self.end(),
            _ => {
                self.expression(DEPTH_MAX);
                self.code.push(op::POP);
            }
        }
    }

    fn store(&mut self, code: u8) {
        if self.dice.chance(30) {
            self.push(U256::ZERO);
        } else {
            self.expression(2);
        }
        self.small(SLOTS);
        self.code.push(code);
    }

    fn log(&mut self) {
        let topics = self.dice.below(5) as u8;
        for _ in 0..topics {
            self.expression(1);
        }
        self.small(MEMORY_BYTES);
        self.small(MEMORY_BYTES);
        self.code.push(op::LOG0 + topics);
    }

    fn call(&mut self) {
        let kind = self.opcode(&[op::CALL, op::CALL, op::CALL, op::CALLCODE, op::DELEGATECALL, op::STATICCALL]);
        for _ in 0..4 {
            self.small(MEMORY_BYTES / 2);
        }
        if matches!(kind, op::CALL | op::CALLCODE) {
            let value = if self.dice.chance(40) { self.dice.below(1000) } else { 0 };
            self.push(U256::from(value));
        }
        self.address();
        match self.dice.below(3) {
            0 => self.code.push(op::GAS),
            // Before EIP-150 a call that asks for more than there is ends its caller.
            _ => self.small(60_000),
        }
        self.code.push(kind);
        self.keep_or_drop();
    }

    /// Creates a contract whose init code is in memory: a small one that was just written there, or what is.
    fn create(&mut self) {
        if self.dice.chance(80) {
            let deployed = *self.dice.pick(&DEPLOYED);
            let mut word = [0; 32];
            word[..deployed.len()].copy_from_slice(deployed);
            self.push(U256::from_be_bytes(word));
            self.push(U256::ZERO);
            self.code.push(op::MSTORE);
        }
        let kind = self.opcode(&[op::CREATE, op::CREATE2]);
        if kind == op::CREATE2 {
            self.small(3);
        }
        self.push(U256::from(32));
        self.push(U256::ZERO);
        let value = self.dice.below(3);
        self.push(U256::from(value));
        self.code.push(kind);
        self.keep_or_drop();
    }

    /// What a call or creation left on the stack goes to storage, or away.
    fn keep_or_drop(&mut self) {
        if self.dice.chance(50) {
            self.small(SLOTS);
            self.code.push(op::SSTORE);
        } else {
            self.code.push(op::POP);
        }
    }

    /// Copies input, code, another's code, returned data or memory.
    fn copy(&mut self) {
        for _ in 0..3 {
            self.small(64);
        }
        let code = self.opcode(&[0x37, 0x39, 0x3c, 0x3e, op::MCOPY]);
        if code == 0x3c {
            self.address();
        }
        self.code.push(code);
    }

    /// Some statements, or not.
    fn branch(&mut self, depth: u32) {
        self.expression(1);
        let at = self.jump_ahead();
        for _ in 0..self.dice.between(1, 3) {
            self.statement(depth - 1);
        }
        self.land(at);
    }

    /// Some statements a few times over, counting down on the stack.
    fn repeat(&mut self, depth: u32) {
        let times = self.dice.between(1, 4);
        self.push(U256::from(times));
        let top = self.code.len() as u16;
        self.code.push(op::JUMPDEST);
        self.statement(depth - 1);
        self.code.extend([op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH2]);
        self.code.extend(top.to_be_bytes());
        self.code.extend([op::JUMPI, op::POP]);
    }

    fn jump_ahead(&mut self) -> usize {
        self.code.push(op::ISZERO);
        self.code.push(op::PUSH2);
        let at = self.code.len();
        self.code.extend([0, 0, op::JUMPI]);
        at
    }

    fn land(&mut self, at: usize) {
        let here = (self.code.len() as u16).to_be_bytes();
        self.code[at..at + 2].copy_from_slice(&here);
        self.code.push(op::JUMPDEST);
    }

    fn end(&mut self) {
        match self.dice.below(10) {
            0 => {
                self.address();
                self.code.push(op::SELFDESTRUCT);
            }
            1 | 2 => {
                self.small(64);
                self.small(64);
                let code = self.opcode(&[op::RETURN, op::REVERT]);
                self.code.push(code);
            }
            3..=6 => {
                self.small(64);
                self.small(64);
                self.code.push(op::RETURN);
            }
            _ => self.code.push(op::STOP),
        }
    }
}
