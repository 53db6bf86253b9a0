// What users of a network send: transfers, blobs, and requests to the consensus layer.
//
// Each account counts its nonces here, and all that a node accepted is remembered, so that at the end somebody can ask where
// it is.
import { DasContextJs } from "@crate-crypto/node-eth-kzg";
import { Interface, Transaction, Wallet, concat, decodeRlp, encodeRlp, hexlify, keccak256, toBeHex } from "ethers";
import { versionedHash } from "./beacon.mjs";

// The accounts of `test test … junk` that genesis/dev.json funds; everybody knows these keys.
const KEYS = [
  "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
  "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
  "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
  "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
];
const DEPOSITS = "0x00000000219ab540356cBB839Cbe05303d7705Fa";
const WITHDRAWALS = "0x00000961Ef480Eb55e80D19ad83579A64c007002";
const CONSOLIDATIONS = "0x0000BBdDc7CE488642fb579F8B00f3a590007251";
const BUILDER_DEPOSITS = "0x0000BFF46984E3725691FA540A8C7589300D8282";
const BUILDER_EXITS = "0x000064D678505AD48F8CCB093BC65613800E8282";
const DEPOSIT = new Interface(["function deposit(bytes pubkey, bytes credentials, bytes signature, bytes32 root) payable"]);
const NOBODY = "0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
const GWEI = 1_000_000_000n;
const BLOB_BYTES = 131_072;
// Wei for a request: its fee is one wei as long as few are made.
const REQUEST_FEE = 1_000n;

export const accounts = () => KEYS.map((key) => ({ wallet: new Wallet(key), address: new Wallet(key).address, nonce: 0 }));

/// Blobs with what proves them, made once: `{ blob, commitment, hash, proof, cellProofs }`.
export function makeBlobs(count, kzg = DasContextJs.create({ usePrecomp: false })) {
  return [...Array(count).keys()].map((index) => {
    const blob = new Uint8Array(BLOB_BYTES);
    // Field elements must be below the modulus: their first byte stays zero.
    for (let at = 0; at < BLOB_BYTES; at += 32) blob[at + 31] = (at / 32 + index + 1) & 0xff;
    blob[1] = index + 1;
    const commitment = kzg.blobToKzgCommitment(blob);
    const { proofs } = kzg.computeCellsAndKzgProofs(blob);
    return { blob, commitment, hash: hexlify(versionedHash(commitment)), proof: kzg.computeBlobKzgProof(blob, commitment), cellProofs: proofs };
  });
}

export class Sender {
  // rpc(method, params) asks the node that is sent to.
  constructor({ chainId, blobs }) {
    Object.assign(this, { chainId, blobs });
    this.accounts = accounts();
    // hash → what it was
    this.accepted = new Map();
  }

  async send(node, account, kind, fields) {
    const tx = Transaction.from({
      type: 2, chainId: this.chainId, nonce: account.nonce, gasLimit: 300_000n, maxFeePerGas: 100n * GWEI, maxPriorityFeePerGas: GWEI, ...fields,
    });
    tx.signature = account.wallet.signingKey.sign(tx.unsignedHash);
    const raw = fields.sidecar ? withSidecar(tx.serialized, fields.sidecar) : tx.serialized;
    const hash = await node.call("eth_sendRawTransaction", [raw]);
    if (hash !== keccak256(tx.serialized)) throw Error(`${node.name} names transaction ${keccak256(tx.serialized)} ${hash}`);
    account.nonce++;
    this.accepted.set(hash, kind);
    return hash;
  }

  transfer(node, account = this.accounts[0]) {
    return this.send(node, account, "transfer", { to: NOBODY, value: 1n, gasLimit: 100_000n });
  }

  /// A transaction with some of the blobs. cells: with cell proofs, as since Osaka; else one proof a blob.
  blob(node, blobs, cells, account = this.accounts[2]) {
    return this.send(node, account, "blob", {
      type: 3, to: NOBODY, value: 0n, maxFeePerBlobGas: 100n * GWEI, blobVersionedHashes: blobs.map((one) => one.hash), sidecar: { blobs, cells },
    });
  }

  /// EIP-6110: 32 ether for a new validator (the deposit as Beacon makes it).
  deposit(node, { pubkey, withdrawalCredentials, signature, root, amount }, account = this.accounts[3]) {
    const data = DEPOSIT.encodeFunctionData("deposit", [pubkey, withdrawalCredentials, signature, root]);
    return this.send(node, account, "deposit", { to: DEPOSITS, value: BigInt(amount) * GWEI, data });
  }

  /// EIP-7002: so much gwei back, 0 for all of it and the validator's end.
  withdrawal(node, pubkey, gwei, account = this.accounts[1]) {
    return this.send(node, account, "withdrawal", { to: WITHDRAWALS, value: REQUEST_FEE, data: concat([pubkey, toBeHex(gwei, 8)]) });
  }

  /// EIP-7251: from one validator into another; to itself it becomes a compounding one.
  consolidation(node, source, target, account = this.accounts[1]) {
    return this.send(node, account, "consolidation", { to: CONSOLIDATIONS, value: REQUEST_FEE, data: concat([source, target]) });
  }

  /// EIP-8282: a builder's stake, with a deposit as Beacon makes it.
  builderDeposit(node, { pubkey, withdrawalCredentials, signature, amount }, account = this.accounts[3]) {
    const data = concat([pubkey, withdrawalCredentials, toBeHex(amount, 8), signature]);
    return this.send(node, account, "builder deposit", { to: BUILDER_DEPOSITS, value: BigInt(amount) * GWEI + REQUEST_FEE, data, gasLimit: 2_000_000n });
  }

  /// EIP-8282: the end of a builder.
  builderExit(node, pubkey, account = this.accounts[1]) {
    return this.send(node, account, "builder exit", { to: BUILDER_EXITS, value: REQUEST_FEE, data: pubkey, gasLimit: 2_000_000n });
  }

  /// Accepted transactions that a node has not in its chain: `{ hash, kind, known }`.
  async missing(node) {
    const missing = [];
    for (const [hash, kind] of this.accepted) {
      if (await node.call("eth_getTransactionReceipt", [hash])) continue;
      missing.push({ hash, kind, known: (await node.call("eth_getTransactionByHash", [hash])) !== null });
    }
    return missing;
  }
}

// The form in which a blob transaction travels: with its blobs, and since EIP-7594 with a version and the proofs of all cells.
function withSidecar(serialized, { blobs, cells }) {
  const all = (pick) => blobs.flatMap(pick).map((bytes) => hexlify(bytes));
  const body = decodeRlp(`0x${serialized.slice(4)}`);
  const [data, commitments] = [all((one) => one.blob), all((one) => one.commitment)];
  const fields = cells
    ? [body, "0x01", data, commitments, all((one) => one.cellProofs)]
    : [body, data, commitments, all((one) => one.proof)];
  return concat(["0x03", encodeRlp(fields)]);
}
