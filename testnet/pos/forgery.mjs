// Payloads as the Engine API takes them, and false ones whose hash is right: only what was changed can be found wrong.
import "./preset.mjs";
import { ForkSeq } from "@lodestar/params";
import { encodeRlp, keccak256, toBeArray } from "ethers";
import * as wire from "./node_modules/@lodestar/beacon-node/lib/execution/engine/types.js";
import { versionedHash } from "./beacon.mjs";

const QUANTITIES = new Set(["difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas", "slotNumber"]);
const FIELDS = [
  "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty", "number", "gasLimit",
  "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas",
  "parentBeaconBlockRoot", "requestsHash", "blockAccessListHash", "slotNumber",
];
// Where the payload has another name for it than the header.
const PAYLOAD_NAMES = { miner: "feeRecipient", mixHash: "prevRandao", number: "blockNumber" };

/// The hash of a header as JSON-RPC shows it.
export function headerHash(header) {
  const present = FIELDS.filter((field) => header[field] !== undefined && header[field] !== null);
  return keccak256(encodeRlp(present.map((field) => (QUANTITIES.has(field) ? toBeArray(BigInt(header[field])) : header[field]))));
}

/// The versions of the methods that belong to a fork.
export function versions(seq) {
  const gloas = seq >= ForkSeq.gloas;
  return {
    newPayload: gloas ? 5 : seq >= ForkSeq.electra ? 4 : 3,
    forkchoiceUpdated: gloas ? 4 : 3,
    getPayload: gloas ? 6 : seq >= ForkSeq.fulu ? 5 : seq >= ForkSeq.electra ? 4 : 3,
  };
}

/// The parameters of newPayload for a tip.
export function newPayloadParams(fork, tip) {
  const params = [
    wire.serializeExecutionPayload(fork, tip.payload),
    wire.serializeVersionedHashes(tip.commitments.map(versionedHash)),
    wire.serializeBeaconBlockRoot(tip.parent.root),
  ];
  if (ForkSeq[fork] >= ForkSeq.electra) params.push(wire.serializeExecutionRequests(fork, tip.executionRequests));
  return params;
}

export const attributesParam = (attributes) => wire.serializePayloadAttributes(attributes);

/// A payload like that of a tip, whose header has other values; `header` is the tip's, as JSON-RPC shows it.
export function forge(params, header, changes) {
  const changed = { ...header, ...changes };
  const payload = { ...params[0], blockHash: headerHash(changed) };
  for (const [field, value] of Object.entries(changes)) payload[PAYLOAD_NAMES[field] ?? field] = value;
  return [payload, ...params.slice(1)];
}
