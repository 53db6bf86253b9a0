// A whole Lodestar 1.5.1, beacon node and eight validators, on one Starling: from a genesis under Bellatrix through Capella to
// finality. What it asks of the engine, and when, is its own doing; only the outcome is looked at.
//
//   node run.mjs --starling PATH [--slot-seconds 4] [--port 42400]
//
// Prints figures as JSON; exit status 1 if the chain is not final in time, or safe and finalized do not move.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { Node } from "../nodes.mjs";

const SLOTS_PER_EPOCH = 8;
const CAPELLA_EPOCH = 2;
// Final at slot 32 if all goes well; the rest is for a busy machine.
const SLOTS_MAX = 48;
const LEAD_SECONDS = 30;
const HERE = path.dirname(new URL(import.meta.url).pathname);
const DEV = new URL("../../../genesis/dev.json", import.meta.url);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const { values: flags } = parseArgs({
  options: { starling: { type: "string" }, "slot-seconds": { type: "string", default: "4" }, port: { type: "string", default: "42400" } },
});
const [slotSeconds, port] = [Number(flags["slot-seconds"]), Number(flags.port)];

// The development network's accounts, London's rules, and Shanghai's from the epoch on at which Lodestar turns to Capella.
function genesis(shanghaiTime) {
  const dev = JSON.parse(fs.readFileSync(DEV, "utf8"));
  const { dev: _ours, blobSchedule, depositContractAddress, ...config } = dev.config;
  const kept = Object.entries(config).filter(([name]) => !name.endsWith("Time"));
  return { ...dev, config: { ...Object.fromEntries(kept), chainId: 32382, mergeNetsplitBlock: 0, shanghaiTime } };
}

function lodestar(folder, node, genesisTime, genesisHash) {
  const flags = {
    dataDir: path.join(folder, "lodestar"), network: "dev", genesisValidators: 8, startValidators: "0..7", genesisTime, genesisEth1Hash: genesisHash,
    "params.SECONDS_PER_SLOT": slotSeconds, "params.ALTAIR_FORK_EPOCH": 0, "params.BELLATRIX_FORK_EPOCH": 0,
    "params.CAPELLA_FORK_EPOCH": CAPELLA_EPOCH, "params.TERMINAL_TOTAL_DIFFICULTY": 0, "execution.urls": node.engineUrl,
    "jwt-secret": node.jwt, eth1: false, suggestedFeeRecipient: "0x123463a4b065722e99115d6c222f267d9cabb524",
    listenAddress: "127.0.0.1", port: port + 20, discv5: false, "enr.ip": "127.0.0.1", rest: true, "rest.address": "127.0.0.1",
    "rest.port": port + 21, beaconNodes: `http://127.0.0.1:${port + 21}`, logLevel: "info",
  };
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const output = fs.openSync(path.join(folder, "lodestar.log"), "a");
  const env = { ...process.env, LODESTAR_PRESET: "minimal", NODE_OPTIONS: `-r ${path.join(HERE, "polyfill.cjs")}` };
  const program = path.join(HERE, "node_modules/.bin/lodestar");
  return spawn("node", [program, "dev", ...words, "--sync.isSingleNode", "--network.allowPublishToZeroPeers"], { cwd: folder, env, stdio: ["ignore", output, output] });
}

async function run(folder) {
  const genesisTime = Math.floor(Date.now() / 1000) + LEAD_SECONDS;
  const [file, jwt] = [path.join(folder, "genesis.json"), path.join(folder, "jwt.hex")];
  fs.writeFileSync(file, JSON.stringify(genesis(genesisTime + CAPELLA_EPOCH * SLOTS_PER_EPOCH * slotSeconds)));
  fs.writeFileSync(jwt, randomBytes(32).toString("hex"), { mode: 0o600 });
  const node = new Node({ kind: "starling", name: "starling", program: path.resolve(flags.starling), dir: path.join(folder, "starling"), genesis: file, port, jwt });
  await node.start();
  const beacon = lodestar(folder, node, genesisTime, (await node.block("0x0")).hash);
  process.on("exit", () => beacon.kill("SIGKILL"));
  try {
    const end = (genesisTime + SLOTS_MAX * slotSeconds) * 1000;
    for (;;) {
      await sleep(1000);
      assert.equal(beacon.exitCode ?? beacon.signalCode, null, "Lodestar has ended");
      const [latest, safe, finalized] = await Promise.all(["latest", "safe", "finalized"].map((tag) => node.block(tag).catch(() => null)));
      const numbers = [latest, safe, finalized].map((block) => Number(block?.number ?? 0));
      if (numbers[2] > 0) {
        const slot = Math.floor(Date.now() / 1000 - genesisTime) / slotSeconds;
        assert.ok(latest.withdrawalsRoot, "the chain is in Shanghai");
        console.log(JSON.stringify({ consensus: "Lodestar 1.5.1", finalizedAfterSlot: Math.floor(slot), latest: numbers[0], safe: numbers[1], finalized: numbers[2] }));
        return;
      }
      assert.ok(Date.now() < end, `not final: latest ${numbers[0]}, safe ${numbers[1]}`);
    }
  } finally {
    // It does not end by SIGTERM: its shutdown waits for what is gone.
    beacon.kill("SIGKILL");
    await node.end();
  }
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "starling-lodestar-"));
try {
  await run(folder);
  fs.rmSync(folder, { recursive: true, force: true });
} catch (error) {
  console.error(error);
  console.error(`logs and data: ${folder}`);
  process.exitCode = 1;
}
process.exit();
