// What the scripts share: where the node is, whose money is spent, and how success is said.
import { readFileSync } from "node:fs";

export const { RPC_URL, WS_URL, KEY } = process.env;
export const has = (feature) => (process.env.FEATURES ?? "").split(",").includes(feature);
export const { abi, bytecode } = JSON.parse(readFileSync(new URL("contract.json", import.meta.url)));
export const STRANGER = "0x00000000000000000000000000000000000000ff";
export const said = (library) => (what, ...more) => console.log("ok", library, what, ...more);
export const sleep = (millis) => new Promise((wake) => setTimeout(wake, millis));
export async function until(what, look, millis = 30_000) {
  for (const end = Date.now() + millis; Date.now() < end; await sleep(100)) {
    if (await look()) return;
  }
  throw new Error(`not within ${millis} ms: ${what}`);
}
