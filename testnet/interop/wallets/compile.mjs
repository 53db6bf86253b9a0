// The contract of the scripts, compiled: writes contract.json.
import { readFileSync, writeFileSync } from "node:fs";
import solc from "solc";

const source = readFileSync(new URL("forge/src/Counter.sol", import.meta.url), "utf8");
const input = {
  language: "Solidity",
  sources: { "Counter.sol": { content: source } },
  settings: { evmVersion: process.env.EVM ?? "cancun", outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const contract = output.contracts?.["Counter.sol"]?.Counter;
if (!contract) throw new Error(JSON.stringify(output.errors));
const text = JSON.stringify({ abi: contract.abi, bytecode: "0x" + contract.evm.bytecode.object });
writeFileSync(new URL("contract.json", import.meta.url), text);
