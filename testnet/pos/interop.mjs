// A chain from Deneb on through every fork, with all that a consensus client and its users do to an execution client.
//
//   node interop.mjs --starling PATH [--geth PATH] [--builder starling|geth] [--slots 44] [--until fulu|gloas] [--port 42000]
//
// With geth there are two nodes: one builds, both must agree at every block. Prints figures as JSON; exit status 1 if
// anything was not as it must be.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { SLOTS_PER_EPOCH } from "./beacon.mjs";
import { VALIDATORS, network } from "./network.mjs";
import { nonsense } from "./nonsense.mjs";

const { values: flags } = parseArgs({
  options: {
    starling: { type: "string" }, geth: { type: "string" }, builder: { type: "string", default: "starling" },
    slots: { type: "string", default: "44" }, "slot-ms": { type: "string", default: "2000" },
    until: { type: "string", default: "fulu" }, port: { type: "string", default: "42000" }, keep: { type: "boolean", default: false },
  },
});

// What users send in a slot: transfers in each, blobs in every second, and requests once the fork that has them is there.
async function users({ beacon, sender }, node, slot) {
  for (let count = 0; count < 3; count++) await sender.transfer(node);
  const cells = beacon.fork(slot + 1) !== "deneb" && beacon.fork(slot + 1) !== "electra";
  // The pool of today's geth takes blobs with cell proofs alone, before Fulu too, where nothing can be built of them.
  if (slot % 2 === 0 && (cells || node.kind === "starling")) await sender.blob(node, sender.blobs.slice(0, 1 + (slot % 3)), cells);
  const owned = VALIDATORS - 8;
  const since = slot - beacon.config.ELECTRA_FORK_EPOCH * SLOTS_PER_EPOCH;
  if (since === 1) await sender.deposit(node, beacon.deposit(VALIDATORS, sender.accounts[1].address, 32_000_000_000));
  if (since === 2) await sender.withdrawal(node, beacon.publicKey(owned), 0n);
  if (since === 3) await sender.consolidation(node, beacon.publicKey(owned + 1), beacon.publicKey(owned + 1));
  if (since === 5) await sender.consolidation(node, beacon.publicKey(owned + 2), beacon.publicKey(owned + 1));
  const builders = slot - beacon.config.GLOAS_FORK_EPOCH * SLOTS_PER_EPOCH;
  if (builders === 1) await sender.builderDeposit(node, beacon.deposit(VALIDATORS + 1, sender.accounts[1].address, 2_000_000_000));
  if (builders === 2) await sender.builderExit(node, beacon.publicKey(VALIDATORS + 1));
}

// What the consensus layer must have made of the requests.
function checkValidators({ state }) {
  const owned = VALIDATORS - 8;
  const validator = (index) => state.validators.getReadonly(index);
  assert.notEqual(validator(owned).exitEpoch, Infinity, "the withdrawal request ends its validator");
  assert.equal(validator(owned + 1).withdrawalCredentials[0], 2, "the first consolidation makes a compounding validator");
  assert.notEqual(validator(owned + 2).exitEpoch, Infinity, "the second consolidation ends its source");
  assert.ok(state.validators.length === VALIDATORS + 1 || state.pendingDeposits.length > 0, "the deposit is known");
}

async function run(folder) {
  const slots = Number(flags.slots);
  const made = await network({
    folder, starling: flags.starling, geth: flags.geth, slotMs: Number(flags["slot-ms"]), until: flags.until, port: Number(flags.port),
  });
  const { nodes, driver, sender } = made;
  try {
    const builder = nodes.find((node) => node.name === flags.builder);
    assert.ok(builder, `there is no node ${flags.builder}`);
    let cases = 0;
    for (let slot = 1; slot <= slots; slot++) {
      await driver.slot(slot, { builder });
      if (slot < slots - 2) await users(made, builder, slot);
      if (slot % SLOTS_PER_EPOCH === 4) cases += await nonsense({ node: nodes[0], beacon: made.beacon, tip: driver.tip });
    }
    const summary = { builder: builder.name, nonsense: cases, ...driver.summary(), validators: driver.tip.state.validators.length };
    for (const node of nodes) {
      const missing = await sender.missing(node);
      assert.deepEqual(missing, [], `${node.name}: transactions that it accepted and does not have`);
    }
    assert.ok(summary.finalizedAtSlot <= 32 && summary.finalizedEpoch > 0, `finalized at slot ${summary.finalizedAtSlot}`);
    assert.ok(summary.blobs > 0 && summary.withdrawals > 0);
    const kinds = ["deposits", "withdrawals", "consolidations", ...(flags.until === "gloas" ? ["builderDeposits", "builderExits"] : [])];
    for (const kind of kinds) assert.ok(summary.requests[kind] > 0, `no requests: ${kind}`);
    checkValidators(driver.tip);
    console.log(JSON.stringify(summary));
  } finally {
    await Promise.all(nodes.map((node) => node.end()));
  }
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "starling-pos-"));
try {
  await run(folder);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  if (flags.keep || process.exitCode) console.error(`logs and data: ${folder}`);
  else fs.rmSync(folder, { recursive: true, force: true });
}
// Lodestar's client keeps timers of its own.
process.exit();
