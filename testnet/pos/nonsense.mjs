// A consensus client that is wrong in every way: what it sends, and the only answers that are right.
//
// The cases leave the node where it was. They take the head that they find (a tip whose parent is known) and change it; none
// of them may move head, safe or finalized for longer than the case. Answers are those of the Engine API's specification
// (https://github.com/ethereum/execution-apis/tree/main/src/engine); where it allows two, both are taken.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { concat, encodeRlp, keccak256, toBeHex } from "ethers";
import { token } from "./engine.mjs";
import { attributesParam, forge, headerHash, newPayloadParams, versions } from "./forgery.mjs";

const UNSUPPORTED_FORK = -38005;
const INVALID_PARAMS = -32602;
// From a false block to its child: two of them stay in a slot of two seconds.
const ADDED_SECONDS = 1;
// A transfer of one wei on chain 32382 with a signature's form: 5 is the x of no point on the curve, so no key made it.
const SIGNED_BY_NOBODY = concat(["0x02", encodeRlp([toBeHex(32382), "0x", "0x01", "0x174876e800", "0x5208", `0x${"aa".repeat(20)}`, "0x01", "0x", [], "0x", "0x05", "0x01"])]);
const hash = () => `0x${randomBytes(32).toString("hex")}`;
const quantity = (value) => `0x${BigInt(value).toString(16)}`;
const add = (value, plus) => quantity(BigInt(value) + BigInt(plus));
const flip = (hex) => hex.slice(0, -1) + (Number.parseInt(hex.at(-1), 16) ^ 1).toString(16);

/// Everything that a case needs: a node, its head, the calls for the head's fork.
class Scene {
  static async of({ node, beacon, tip }) {
    const scene = new Scene();
    const fork = beacon.fork(tip.slot);
    const [header, parentHeader] = [await node.block(tip.hash), await node.block(tip.parent.hash)];
    assert.equal(headerHash(header), tip.hash, "the hash of a header that JSON-RPC shows");
    const params = newPayloadParams(fork, tip);
    return Object.assign(scene, { node, beacon, tip, fork, header, parentHeader, params, version: versions(beacon.seq(tip.slot)) });
  }

  get state() {
    const [headBlockHash, safeBlockHash, finalizedBlockHash] = this.beacon.forkchoice(this.tip);
    return { headBlockHash, safeBlockHash, finalizedBlockHash };
  }

  newPayload(params, version = this.version.newPayload) {
    return this.node.engine(`engine_newPayloadV${version}`, params);
  }

  forkchoice(state, attributes = null, version = this.version.forkchoiceUpdated) {
    return this.node.engine(`engine_forkchoiceUpdatedV${version}`, [state, attributes]);
  }

  // A sibling of the head: the same block with something changed.
  forge(changes) {
    return forge(this.params, this.header, changes);
  }

  // Attributes for the slot after the head's, of the head's fork or of the one that begins there.
  attributes() {
    const { attributes } = this.beacon.attributes(this.tip, this.tip.slot + 1, `0x${"00".repeat(20)}`);
    return attributesParam(attributes);
  }
}

function expectStatus({ result, error }, status, latestValid) {
  assert.equal(error, undefined, `an error instead of ${status}: ${JSON.stringify(error)}`);
  const said = result.payloadStatus ?? result;
  assert.equal(said.status, status, JSON.stringify(said));
  if (latestValid !== undefined) assert.ok([latestValid].flat().includes(said.latestValidHash), `latestValidHash ${said.latestValidHash}, not ${latestValid}`);
  if (result.payloadStatus && status !== "VALID") assert.equal(result.payloadId, null, "a payload id for a head that is not valid");
}

function expectError({ result, error }, ...codes) {
  assert.equal(result ?? null, null, `a result instead of error ${codes}: ${JSON.stringify(result)?.slice(0, 200)}`);
  assert.ok(codes.includes(error?.code), `error ${JSON.stringify(error)}, not ${codes}`);
}

async function httpStatus(node, authorization, body = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}') {
  const headers = { "content-type": "application/json", ...(authorization && { authorization }) };
  return fetch(node.engineUrl, { method: "POST", headers, body });
}

export const CASES = {
  async "a version of newPayload for another fork"(scene) {
    for (let version = 1; version <= 5; version++) {
      if (version === scene.version.newPayload) continue;
      const count = version < 3 ? 1 : version === 3 ? 3 : 4;
      const params = [...scene.params, []].slice(0, count);
      expectError(await scene.newPayload(params, version), UNSUPPORTED_FORK, INVALID_PARAMS);
    }
  },

  async "a version of forkchoiceUpdated for another fork"(scene) {
    const next = versions(scene.beacon.seq(scene.tip.slot + 1)).forkchoiceUpdated;
    for (let version = 1; version <= 4; version++) {
      if (version === next) continue;
      expectError(await scene.forkchoice(scene.state, scene.attributes(), version), UNSUPPORTED_FORK, INVALID_PARAMS, -38003);
    }
  },

  async "a version of getPayload for another fork"(scene) {
    const next = versions(scene.beacon.seq(scene.tip.slot + 1));
    const { result } = await scene.forkchoice(scene.state, scene.attributes(), next.forkchoiceUpdated);
    assert.ok(result?.payloadId, "no payload id");
    for (let version = 1; version <= 6; version++) {
      if (version !== next.getPayload) expectError(await scene.node.engine(`engine_getPayloadV${version}`, [result.payloadId]), UNSUPPORTED_FORK);
    }
  },

  async "an unknown parent, and a forkchoice to it"(scene) {
    const params = scene.forge({ parentHash: hash() });
    expectStatus(await scene.newPayload(params), "SYNCING", null);
    expectStatus(await scene.forkchoice({ ...scene.state, headBlockHash: params[0].blockHash }), "SYNCING", null);
    expectStatus(await scene.forkchoice({ ...scene.state, headBlockHash: hash() }), "SYNCING", null);
  },

  async "a hash that is not the payload's"(scene) {
    const [payload, ...rest] = scene.params;
    expectStatus(await scene.newPayload([{ ...payload, blockHash: hash() }, ...rest]), "INVALID", null);
    expectStatus(await scene.newPayload([{ ...payload, stateRoot: flip(payload.stateRoot) }, ...rest]), "INVALID", null);
  },

  async "another parent beacon root, other requests, other blobs"(scene) {
    const [payload, hashes, root, requests] = scene.params;
    expectStatus(await scene.newPayload([payload, hashes, flip(root), requests].slice(0, scene.params.length)), "INVALID");
    expectStatus(await scene.newPayload([payload, [...hashes, hash()], root, requests].slice(0, scene.params.length)), "INVALID");
    if (!requests) return;
    expectStatus(await scene.newPayload([payload, hashes, root, [...requests, "0x7f01"]]), "INVALID");
    expectError(await scene.newPayload([payload, hashes, root, ["0x0201", "0x0101"]]), INVALID_PARAMS);
    expectError(await scene.newPayload([payload, hashes, root, ["0x01"]]), INVALID_PARAMS);
  },

  async "payloads that break a rule, their children, and forkchoices to both"(scene) {
    const { header, parentHeader } = scene;
    const changes = [
      { stateRoot: flip(header.stateRoot) }, { receiptsRoot: flip(header.receiptsRoot) }, { logsBloom: flip(header.logsBloom) },
      { gasUsed: add(header.gasUsed, 1) }, { baseFeePerGas: add(header.baseFeePerGas, 1) }, { gasLimit: add(header.gasLimit, 10_000_000) },
      { number: add(header.number, 1) }, { timestamp: parentHeader.timestamp }, { excessBlobGas: add(header.excessBlobGas, 131_072) },
      { blobGasUsed: add(header.blobGasUsed, 131_072) }, { extraData: `0x${"00".repeat(33)}` },
    ];
    for (const change of changes) {
      const params = scene.forge(change);
      const parent = scene.tip.parent.hash;
      // the first block of a fork with its parent's time is one of the fork before, for which another version may be right
      if (change.timestamp && versions(scene.beacon.seq(scene.tip.parent.slot)).newPayload !== scene.version.newPayload) {
        expectError(await scene.newPayload(params), UNSUPPORTED_FORK);
        continue;
      }
      // extra data that is too long is malformed before it is invalid
      if (change.extraData) {
        const answer = await scene.newPayload(params);
        if (answer.error) expectError(answer, INVALID_PARAMS);
        else expectStatus(answer, "INVALID");
        continue;
      }
      expectStatus(await scene.newPayload(params), "INVALID", change.blobGasUsed ? [parent, null] : parent);
      expectStatus(await scene.newPayload(params), "INVALID", change.blobGasUsed ? [parent, null] : parent);
      // heirs would belong to the next fork
      const last = scene.beacon.fork(scene.tip.slot + 1) !== scene.fork;
      if (change.blobGasUsed || change.number || last) continue;
      const heir = (of) => ({ parentHash: of[0].blockHash, number: add(of[0].blockNumber, 1), timestamp: add(of[0].timestamp, ADDED_SECONDS) });
      const child = scene.forge(heir(params));
      const grandchild = scene.forge(heir(child));
      for (const one of [child, grandchild]) expectStatus(await scene.newPayload(one), "INVALID", parent);
      for (const one of [params, child, grandchild]) {
        expectStatus(await scene.forkchoice({ ...scene.state, headBlockHash: one[0].blockHash }), "INVALID", parent);
      }
    }
  },

  async "transactions that are none"(scene) {
    const [payload, ...rest] = scene.params;
    for (const raw of ["0x00", "0x", "0x05ff", "0xc0"]) {
      expectStatus(await scene.newPayload([{ ...payload, transactions: [raw] }, ...rest]), "INVALID");
    }
  },

  async "a transaction that nobody signed, its child, and forkchoices to both"(scene) {
    // the root of a trie with one leaf: the transaction, at the nibbles 8 and 0
    const transactionsRoot = keccak256(encodeRlp(["0x2080", SIGNED_BY_NOBODY]));
    const [{ transactionsRoot: _, ...payload }, , ...rest] = scene.forge({ transactionsRoot, blobGasUsed: "0x0" });
    const params = [{ ...payload, transactions: [SIGNED_BY_NOBODY] }, [], ...rest];
    const parent = scene.tip.parent.hash;
    for (let times = 0; times < 2; times++) {
      expectStatus(await scene.newPayload(params), "INVALID", parent);
      expectStatus(await scene.forkchoice({ ...scene.state, headBlockHash: payload.blockHash }), "INVALID", parent);
    }
    // heirs would belong to the next fork
    if (scene.beacon.fork(scene.tip.slot + 1) !== scene.fork) return;
    const { blockNumber, timestamp } = payload;
    const child = scene.forge({ parentHash: payload.blockHash, number: add(blockNumber, 1), timestamp: add(timestamp, ADDED_SECONDS) });
    expectStatus(await scene.newPayload(child), "INVALID", parent);
    expectStatus(await scene.forkchoice({ ...scene.state, headBlockHash: child[0].blockHash }), "INVALID", parent);
  },

  async "forkchoices that contradict themselves"(scene) {
    const { state } = scene;
    for (const false_ of [{ safeBlockHash: hash() }, { finalizedBlockHash: hash() }]) {
      expectError(await scene.forkchoice({ ...state, ...false_ }), -38002);
    }
    // safe and finalized that are not behind the head
    expectError(await scene.forkchoice({ ...state, headBlockHash: scene.tip.parent.hash, safeBlockHash: state.headBlockHash }), -38002);
    expectError(await scene.forkchoice({ ...state, headBlockHash: scene.tip.parent.hash, finalizedBlockHash: state.headBlockHash }), -38002);
    expectStatus(await scene.forkchoice({ ...state, headBlockHash: `0x${"00".repeat(32)}` }), "INVALID");
  },

  async "forkchoices that repeat, go back and come again"(scene) {
    const { state, tip } = scene;
    for (let times = 0; times < 3; times++) expectStatus(await scene.forkchoice(state), "VALID", tip.hash);
    for (let times = 0; times < 3; times++) {
      const back = { ...state, headBlockHash: tip.parent.hash };
      if (state.safeBlockHash !== tip.hash) expectStatus(await scene.forkchoice(back), "VALID", tip.parent.hash);
      expectStatus(await scene.forkchoice(state), "VALID", tip.hash);
      expectStatus(await scene.newPayload(scene.params), "VALID", tip.hash);
    }
  },

  async "attributes that fit no block, and the same ones twice"(scene) {
    const next = versions(scene.beacon.seq(scene.tip.slot + 1)).forkchoiceUpdated;
    const attributes = scene.attributes();
    const early = { ...attributes, timestamp: scene.header.timestamp };
    expectError(await scene.forkchoice(scene.state, early), -38003, UNSUPPORTED_FORK);
    const { withdrawals: _, ...without } = attributes;
    expectError(await scene.forkchoice(scene.state, without, next), -38003, INVALID_PARAMS);
    const ids = [];
    for (let times = 0; times < 3; times++) ids.push((await scene.forkchoice(scene.state, attributes, next)).result?.payloadId);
    assert.ok(ids[0]);
    assert.deepEqual(ids, [ids[0], ids[0], ids[0]], "the same attributes have the same payload");
  },

  async "payloads and bodies that nobody has"(scene) {
    expectError(await scene.node.engine(`engine_getPayloadV${scene.version.getPayload}`, [`0x0${scene.version.forkchoiceUpdated}02030405060708`]), -38001);
    expectError(await scene.node.engine("engine_getPayloadBodiesByHashV1", [Array(1025).fill(scene.tip.hash)]), -38004);
    expectError(await scene.node.engine("engine_getPayloadBodiesByRangeV1", ["0x0", "0x1"]), INVALID_PARAMS);
    const { result } = await scene.node.engine("engine_getPayloadBodiesByHashV1", [[hash(), scene.tip.hash]]);
    assert.equal(result[0], null);
    assert.deepEqual(result[1].transactions, scene.params[0].transactions);
  },

  async "methods, bytes and tokens that are wrong"(scene) {
    const { node } = scene;
    expectError(await node.engine("engine_newPayloadV99", scene.params), -32601);
    expectError(await node.engine(`engine_newPayloadV${scene.version.newPayload}`, []), INVALID_PARAMS);
    expectError(await node.engine(`engine_newPayloadV${scene.version.newPayload}`, [{ parentHash: 7 }, [], hash(), []]), INVALID_PARAMS);
    const good = `Bearer ${token(node.secret)}`;
    expectError(await (await httpStatus(node, good, '{"jsonrpc":"2.0","id":1,"method":')).json(), -32700);
    const now = Math.floor(Date.now() / 1000);
    const other = randomBytes(32).toString("hex");
    const tokens = [undefined, "Bearer", "Bearer a.b.c", `Bearer ${token(other)}`, `Bearer ${token(node.secret, now - 3600)}`, `Bearer ${token(node.secret, now + 3600)}`];
    for (const one of tokens) assert.equal((await httpStatus(node, one)).status, 401, `token ${one}`);
  },

  async "everything at once"(scene) {
    const wrong = scene.forge({ stateRoot: hash() });
    const orphan = scene.forge({ parentHash: hash() });
    await Promise.all(
      [...Array(30).keys()].map(async (index) => {
        if (index % 3 === 0) expectStatus(await scene.newPayload(scene.params), "VALID", scene.tip.hash);
        if (index % 3 === 1) expectStatus(await scene.newPayload(wrong), "INVALID", scene.tip.parent.hash);
        if (index % 3 === 2) expectStatus(await scene.newPayload(orphan), "SYNCING", null);
      }),
    );
  },
};

/// Runs some cases; how many. Afterwards the node must be where it was.
export async function nonsense({ node, beacon, tip }, names = Object.keys(CASES)) {
  const scene = await Scene.of({ node, beacon, tip });
  for (const name of names) {
    try {
      await CASES[name](scene);
    } catch (error) {
      throw Error(`${node.name}, slot ${tip.slot} (${scene.fork}): ${name}: ${error.message}`, { cause: error });
    }
    const latest = await node.block("latest");
    assert.equal(latest.hash, tip.hash, `${node.name} has moved its head: ${name}`);
  }
  return names.length;
}
