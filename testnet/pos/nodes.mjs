// Execution nodes as processes of their own: Starling and geth, started, killed and started again on the same folder.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { ask, call, lodestarEngine } from "./engine.mjs";

const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 30_000;
const LOG_LINES = 15;
const APIS = "eth,net,web3,txpool,debug,admin";
// Whoever ends this process ends what it started.
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Node {
  // kind: starling or geth. dir: its folder. port: the first of three, for JSON-RPC, engine and peers. jwt: the file of the
  // shared secret.
  constructor({ kind, name, program, dir, genesis, port, jwt, flags = [] }) {
    Object.assign(this, { kind, name, program, dir, genesis, port, jwt, flags });
    this.secret = fs.readFileSync(jwt, "utf8").trim();
    this.rpcUrl = `http://127.0.0.1:${port}`;
    this.engineUrl = `http://127.0.0.1:${port + 1}`;
    this.stopped = new AbortController();
    this.lodestar = lodestarEngine(this.engineUrl, this.secret, this.stopped.signal);
    this.child = null;
    fs.mkdirSync(dir, { recursive: true });
  }

  get log() {
    return path.join(this.dir, "node.log");
  }

  arguments() {
    const { port } = this;
    const data = path.join(this.dir, "data");
    const common = [
      "--http", "--http.port", port, "--http.api", APIS, "--authrpc.port", port + 1, "--authrpc.jwtsecret", this.jwt,
      "--port", port + 2, "--nodiscover", "--nat", "extip:127.0.0.1", "--datadir", data,
    ];
    if (this.kind === "starling") return ["node", "--chain", this.genesis, "--addr", "127.0.0.1", ...common, ...this.flags];
    return [...common, "--syncmode", "full", "--ipcdisable", "--verbosity", 3, ...this.flags];
  }

  /// Starts it and waits until both of its servers answer.
  async start() {
    const output = fs.openSync(this.log, "a");
    if (this.kind === "geth" && !fs.existsSync(path.join(this.dir, "data"))) {
      const made = spawnSync(this.program, ["init", "--datadir", path.join(this.dir, "data"), this.genesis], { stdio: ["ignore", output, output] });
      if (made.status !== 0) throw Error(`${this.name}: geth init failed\n${this.lastLines()}`);
    }
    const child = spawn(this.program, this.arguments().map(String), { stdio: ["ignore", output, output] });
    fs.closeSync(output);
    running.add(child);
    child.once("exit", () => running.delete(child));
    let failed = null;
    child.on("error", (error) => (failed = error));
    this.child = child;
    for (const since = Date.now(); Date.now() - since < READY_MS_MAX; await sleep(50)) {
      if (failed) throw Error(`${this.name}: ${failed.message}`);
      if (child.exitCode !== null) throw Error(`${this.name} ended with status ${child.exitCode}\n${this.lastLines()}`);
      try {
        await call(this.rpcUrl, "eth_chainId");
        await call(this.engineUrl, "eth_chainId", [], this.secret);
        return;
      } catch {
        // not up yet
      }
    }
    throw Error(`${this.name} is not up after ${READY_MS_MAX} ms\n${this.lastLines()}`);
  }

  /// Ends it by a signal and waits for the end.
  async stop(signal = "SIGTERM") {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    await gone;
    clearTimeout(late);
  }

  /// The end of a node that is not used any more.
  async end() {
    this.stopped.abort();
    await this.stop();
  }

  call(method, params) {
    return call(this.rpcUrl, method, params);
  }

  /// A bare call of the Engine API; result or error.
  engine(method, params) {
    return ask(this.engineUrl, method, params, this.secret);
  }

  block(which) {
    return String(which).length === 66
      ? this.call("eth_getBlockByHash", [which, false])
      : this.call("eth_getBlockByNumber", [which, false]);
  }

  async befriend(other) {
    const { enode } = await other.call("admin_nodeInfo");
    await this.call("admin_addPeer", [enode]);
    for (const since = Date.now(); Date.now() - since < READY_MS_MAX; await sleep(200)) {
      if (Number(await this.call("net_peerCount")) > 0) return;
    }
    throw Error(`${this.name} and ${other.name} do not connect`);
  }

  lastLines() {
    return fs.readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-LOG_LINES).join("\n");
  }
}
