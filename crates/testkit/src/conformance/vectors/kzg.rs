//! The functions of KZG over blobs and their cells, on the library and with the trusted setup that the node uses.
//!
//! The two challenges are inside the library. They are computed here from their definition; that the library
//! computes the same shows in a proof: one for a blob is the one at the blob's challenge.

use super::{fields::same_debug, yaml};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
    json,
};
use alloy_primitives::{U256, uint};
use c_kzg::{Blob, Bytes32, Bytes48, Cell, Error, KzgSettings, ethereum_kzg_settings};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Tables of this width, as the node has them: both ask for the same ones.
const PRECOMPUTE: u64 = 8;
const FIELD_ELEMENTS_PER_BLOB: u64 = 4096;
const FIELD_ELEMENTS_PER_CELL: u64 = 64;
/// Order of the scalar field of BLS12-381.
const BLS_MODULUS: U256 = uint!(0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001_U256);

/// A function's answer: none if its input is refused.
type Answer = Result<Value, Error>;

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let (function, _) = member.path.split_once('/').ok_or("a file outside of the functions' folders")?;
    cases.case("", "", || check(function, member));
    Ok(())
}

fn check(function: &str, member: &Member) -> Result<(), Failure> {
    let text = std::str::from_utf8(&member.bytes).map_err(|error| error.to_string())?;
    let case = yaml::parse(text)?;
    let input = Input(&case["input"]);
    let settings = ethereum_kzg_settings(PRECOMPUTE);
    let answer = match function {
        "blob_to_kzg_commitment" => blob_to_kzg_commitment(settings, &input),
        "compute_kzg_proof" => compute_kzg_proof(settings, &input),
        "compute_blob_kzg_proof" => compute_blob_kzg_proof(settings, &input),
        "verify_kzg_proof" => verify_kzg_proof(settings, &input),
        "verify_blob_kzg_proof" => verify_blob_kzg_proof(settings, &input),
        "verify_blob_kzg_proof_batch" => verify_blob_kzg_proof_batch(settings, &input),
        "compute_cells" => compute_cells(settings, &input),
        "compute_cells_and_kzg_proofs" => compute_cells_and_kzg_proofs(settings, &input),
        "recover_cells_and_kzg_proofs" => recover_cells_and_kzg_proofs(settings, &input),
        "verify_cell_kzg_proof_batch" => verify_cell_kzg_proof_batch(settings, &input),
        "compute_challenge" => compute_challenge(settings, &input),
        "compute_verify_cell_kzg_proof_batch_challenge" => batch_challenge(&input),
        other => return Err(format!("no function {other}").into()),
    };
    match (answer, &case["output"]) {
        (Err(_), Value::Null) => Ok(()),
        (Err(error), _) => Err(format!("{error:?}").into()),
        (Ok(answer), expected) => same_debug("", &answer, expected),
    }
}

/// The input of a function. What is missing or is no hex is refused, as bytes of a wrong length are.
struct Input<'a>(&'a Value);

impl Input<'_> {
    fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        hex_of(&self.0[name])
    }

    fn list(&self, name: &str) -> Result<Vec<Vec<u8>>, Error> {
        let list = self.0[name].as_array().ok_or_else(|| refused("no list"))?;
        list.iter().map(hex_of).collect()
    }

    fn numbers(&self, name: &str) -> Result<Vec<u64>, Error> {
        let list = self.0[name].as_array().ok_or_else(|| refused("no list"))?;
        list.iter().map(|item| item.as_u64().ok_or_else(|| refused("no number"))).collect()
    }

    fn blob(&self) -> Result<Box<Blob>, Error> {
        Blob::from_bytes(&self.bytes("blob")?).map(Box::new)
    }

    fn bytes32(&self, name: &str) -> Result<Bytes32, Error> {
        Bytes32::from_bytes(&self.bytes(name)?)
    }

    fn bytes48(&self, name: &str) -> Result<Bytes48, Error> {
        Bytes48::from_bytes(&self.bytes(name)?)
    }

    fn bytes48_list(&self, name: &str) -> Result<Vec<Bytes48>, Error> {
        self.list(name)?.iter().map(|bytes| Bytes48::from_bytes(bytes)).collect()
    }

    fn cells(&self) -> Result<Vec<Cell>, Error> {
        self.list("cells")?.iter().map(|bytes| Cell::from_bytes(bytes)).collect()
    }
}

fn refused(why: &str) -> Error {
    Error::InvalidBytesLength(why.into())
}

fn hex_of(value: &Value) -> Result<Vec<u8>, Error> {
    let bytes = value.as_str().and_then(json::bytes).ok_or_else(|| refused("no hex"))?;
    Ok(bytes.to_vec())
}

fn hex(bytes: &[u8]) -> Value {
    format!("0x{}", hex::encode(bytes)).into()
}

fn blob_to_kzg_commitment(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    Ok(hex(&kzg.blob_to_kzg_commitment(&*input.blob()?)?.to_bytes()[..]))
}

fn compute_kzg_proof(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    let (proof, y) = kzg.compute_kzg_proof(&*input.blob()?, &input.bytes32("z")?)?;
    Ok(Value::Array(vec![hex(&proof.to_bytes()[..]), hex(&y[..])]))
}

fn compute_blob_kzg_proof(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    Ok(hex(&kzg.compute_blob_kzg_proof(&*input.blob()?, &input.bytes48("commitment")?)?.to_bytes()[..]))
}

fn verify_kzg_proof(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    let (z, y) = (input.bytes32("z")?, input.bytes32("y")?);
    Ok(kzg.verify_kzg_proof(&input.bytes48("commitment")?, &z, &y, &input.bytes48("proof")?)?.into())
}

fn verify_blob_kzg_proof(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    Ok(kzg.verify_blob_kzg_proof(&*input.blob()?, &input.bytes48("commitment")?, &input.bytes48("proof")?)?.into())
}

fn verify_blob_kzg_proof_batch(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    let blobs: Vec<Blob> =
        input.list("blobs")?.iter().map(|bytes| Blob::from_bytes(bytes)).collect::<Result<_, _>>()?;
    let (commitments, proofs) = (input.bytes48_list("commitments")?, input.bytes48_list("proofs")?);
    Ok(kzg.verify_blob_kzg_proof_batch(&blobs, &commitments, &proofs)?.into())
}

fn compute_cells(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    Ok(kzg.compute_cells(&*input.blob()?)?.iter().map(|cell| hex(&cell.to_bytes())).collect())
}

fn compute_cells_and_kzg_proofs(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    let (cells, proofs) = kzg.compute_cells_and_kzg_proofs(&*input.blob()?)?;
    Ok(cells_and_proofs(&cells[..], proofs.iter().map(|proof| proof.to_bytes())))
}

fn recover_cells_and_kzg_proofs(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    let (cells, proofs) = kzg.recover_cells_and_kzg_proofs(&input.numbers("cell_indices")?, &input.cells()?)?;
    Ok(cells_and_proofs(&cells[..], proofs.iter().map(|proof| proof.to_bytes())))
}

fn cells_and_proofs(cells: &[Cell], proofs: impl Iterator<Item = Bytes48>) -> Value {
    Value::Array(vec![
        cells.iter().map(|cell| hex(&cell.to_bytes())).collect(),
        proofs.map(|proof| hex(&proof[..])).collect(),
    ])
}

fn verify_cell_kzg_proof_batch(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    let (commitments, proofs) = (input.bytes48_list("commitments")?, input.bytes48_list("proofs")?);
    Ok(kzg.verify_cell_kzg_proof_batch(&commitments, &input.numbers("cell_indices")?, &input.cells()?, &proofs)?.into())
}

fn compute_challenge(kzg: &KzgSettings, input: &Input<'_>) -> Answer {
    let (blob, commitment) = (input.blob()?, input.bytes48("commitment")?);
    let mut hash = Sha256::new();
    hash.update(b"FSBLOBVERIFY_V1_");
    hash.update(u128::from(FIELD_ELEMENTS_PER_BLOB).to_be_bytes());
    hash.update(&blob[..]);
    hash.update(&commitment[..]);
    let challenge = to_field(hash);
    let at_challenge = kzg.compute_kzg_proof(&blob, &Bytes32::from(challenge))?.0.to_bytes();
    if at_challenge != kzg.compute_blob_kzg_proof(&blob, &commitment)?.to_bytes() {
        return Err(refused("the library has another challenge"));
    }
    Ok(hex(&challenge))
}

fn batch_challenge(input: &Input<'_>) -> Answer {
    let (commitments, proofs) = (input.bytes48_list("commitments")?, input.bytes48_list("proofs")?);
    let (rows, columns) = (input.numbers("commitment_indices")?, input.numbers("cell_indices")?);
    let cells = input.0["cosets_evals"].as_array().ok_or_else(|| refused("no list"))?;
    let mut hash = Sha256::new();
    hash.update(b"RCKZGCBATCH__V1_");
    for number in [FIELD_ELEMENTS_PER_BLOB, FIELD_ELEMENTS_PER_CELL, commitments.len() as u64, cells.len() as u64] {
        hash.update(number.to_be_bytes());
    }
    commitments.iter().for_each(|commitment| hash.update(&commitment[..]));
    for (((row, column), cell), proof) in rows.iter().zip(columns).zip(cells).zip(&proofs) {
        hash.update(row.to_be_bytes());
        hash.update(column.to_be_bytes());
        for element in cell.as_array().into_iter().flatten() {
            hash.update(hex_of(element)?);
        }
        hash.update(&proof[..]);
    }
    Ok(hex(&to_field(hash)))
}

/// A hash as an element of the scalar field.
fn to_field(hash: Sha256) -> [u8; 32] {
    (U256::from_be_bytes::<32>(hash.finalize().into()) % BLS_MODULUS).to_be_bytes()
}
