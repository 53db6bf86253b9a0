// Two ways to an engine: Lodestar's own client, which takes an answer apart as a real consensus client does, and bare calls
// of the Engine API for what no honest client sends.
import "./preset.mjs";
import { createHmac } from "node:crypto";
import { fromHex } from "@lodestar/utils";
// The index first: the files behind it import each other in a circle.
import { ExecutionEngineHttp, defaultExecutionEngineHttpOpts } from "./node_modules/@lodestar/beacon-node/lib/execution/index.js";
import { JsonRpcHttpClient } from "./node_modules/@lodestar/beacon-node/lib/execution/engine/jsonRpcHttpClient.js";

const quiet = { error() {}, warn() {}, info() {}, debug() {}, verbose() {} };

/// Lodestar's client. `secret` is the hex of the shared secret, `signal` ends its waiting.
export function lodestarEngine(url, secret, signal) {
  const rpc = new JsonRpcHttpClient([url], { signal, jwtSecret: fromHex(secret), timeout: 12_000, retries: 2, retryDelay: 200 });
  return new ExecutionEngineHttp(rpc, { signal, logger: quiet }, { ...defaultExecutionEngineHttpOpts, commit: "00000000", version: "starling-pos" });
}

/// A token as the Engine API wants it (HS256, only the claim `iat`), by default of now.
export function token(secret, issuedSeconds = Math.floor(Date.now() / 1000)) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iat: issuedSeconds })}`;
  return `${text}.${createHmac("sha256", fromHex(secret)).update(text).digest("base64url")}`;
}

/// One call; the whole answer, so that errors can be looked at. With a secret it is authenticated.
export async function ask(url, method, params = [], secret = undefined) {
  const headers = { "content-type": "application/json" };
  if (secret) headers.authorization = `Bearer ${token(secret)}`;
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const answer = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(30_000) });
  return answer.json();
}

/// One call that must succeed; its result.
export async function call(url, method, params = [], secret = undefined) {
  const { result, error } = await ask(url, method, params, secret);
  if (error) throw Error(`${method}: ${error.code} ${error.message}`);
  return result;
}
