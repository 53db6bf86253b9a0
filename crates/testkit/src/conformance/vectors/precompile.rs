//! Precompiled contracts: input, output and gas under a fork's rules.

use super::fields::{self, bytes, same, text};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
};
use alloy_primitives::{Address, Bytes};
use serde_json::Value;
use starling_chainspec::Fork;
use starling_execution::run_precompile;

/// More gas than any input of the files needs.
const GAS: u64 = 1 << 40;

/// A precompile's names in the files, and its address.
const FUNCTIONS: [(&str, u64); 18] = [
    ("ecrecover", 0x01),
    ("sha256", 0x02),
    ("ripemd", 0x03),
    ("identity", 0x04),
    ("modexp", 0x05),
    ("bn256add", 0x06),
    ("bn256mul", 0x07),
    ("ecpairing", 0x08),
    ("blake2f", 0x09),
    ("blsg1add", 0x0b),
    ("blsg1multiexp", 0x0c),
    ("blsg2add", 0x0d),
    ("blsg2multiexp", 0x0e),
    ("blspairing", 0x0f),
    ("blsmapg1", 0x10),
    ("blsmapg2", 0x11),
    ("p256verify", P256VERIFY),
    ("pointevaluation", 0x0a),
];
const P256VERIFY: u64 = 0x100;

/// The files of EIP-2537 name nothing: the end of the file's name, and the address. A multiplication is a sum of one.
const EIP_FILES: [(&str, u64); 10] = [
    ("add_G1_bls.json", 0x0b),
    ("msm_G1_bls.json", 0x0c),
    ("mul_G1_bls.json", 0x0c),
    ("add_G2_bls.json", 0x0d),
    ("msm_G2_bls.json", 0x0e),
    ("mul_G2_bls.json", 0x0e),
    ("pairing_check_bls.json", 0x0f),
    ("map_fp_to_G1_bls.json", 0x10),
    ("map_fp2_to_G2_bls.json", 0x11),
    ("eip-7951/test-vectors.json", P256VERIFY),
];

/// Gas of a signature's check: the EIP's vectors still have what an earlier draft of it asked.
const P256VERIFY_GAS: u64 = 6_900;
const P256VERIFY_GAS_DRAFT: u64 = 3_450;

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let file: Value = fields::file(member)?;
    let (fork, address) = match file.get("func") {
        Some(_) => {
            (text(&file, "fork")?.to_ascii_lowercase().parse().map_err(|error| format!("{error}"))?, named(&file)?)
        }
        None => by_path(&member.path)?,
    };
    let tests = if file.is_array() { &file } else { &file["data"] };
    for (index, test) in tests.as_array().ok_or("no list of cases")?.iter().enumerate() {
        let name = format!("{index} {}", test["Name"].as_str().unwrap_or_default());
        cases.case(name.trim_end(), &fork.to_string(), || check(fork, &address, test));
    }
    Ok(())
}

fn named(file: &Value) -> Result<Address, String> {
    let function = text(file, "func")?.to_ascii_lowercase();
    let found = FUNCTIONS.iter().find(|(name, _)| *name == function);
    found.map(|(_, at)| address_at(*at)).ok_or_else(|| format!("no precompile is named {function}"))
}

fn by_path(path: &str) -> Result<(Fork, Address), String> {
    let (_, at) = EIP_FILES.iter().find(|(end, _)| path.ends_with(end)).ok_or("no precompile by that file name")?;
    Ok((if *at == P256VERIFY { Fork::Osaka } else { Fork::Prague }, address_at(*at)))
}

fn address_at(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn check(fork: Fork, address: &Address, test: &Value) -> Result<(), Failure> {
    let input = bytes(test, "Input")?;
    let ran = run_precompile(fork, address, &input, GAS).ok_or_else(|| format!("{fork} has none at {address}"))?;
    let Some(expected) = test.get("Expected") else {
        return match ran {
            Ok(ran) => Err(Failure {
                expected: text(test, "ExpectedError")?.into(),
                got: ran.output.to_string(),
                ..Failure::default()
            }),
            Err(_) => Ok(()),
        };
    };
    let ran = ran?;
    same_output(&ran.output, expected)?;
    let gas = match test["Gas"].as_u64() {
        Some(P256VERIFY_GAS_DRAFT) if *address == address_at(P256VERIFY) => P256VERIFY_GAS,
        Some(gas) => gas,
        None => return Ok(()),
    };
    same("gas", ran.gas_used, gas)?;
    // One less must not do.
    match gas.checked_sub(1).map(|less| run_precompile(fork, address, &input, less)) {
        None | Some(Some(Err(_))) => Ok(()),
        _ => Err(format!("it runs on less than {gas} gas").into()),
    }
}

fn same_output(output: &Bytes, expected: &Value) -> Result<(), Failure> {
    let expected = expected.as_str().and_then(crate::conformance::json::bytes).ok_or("no hex expected".to_string())?;
    same("output", output.clone(), expected)
}
