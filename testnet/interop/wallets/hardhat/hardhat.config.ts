import hardhatViem from "@nomicfoundation/hardhat-viem";
import { fileURLToPath } from "node:url";

export default {
  plugins: [hardhatViem],
  solidity: {
    compilers: [
      {
        version: "0.8.30",
        path: fileURLToPath(import.meta.resolve("solc/soljson.js")),
        settings: { evmVersion: process.env.EVM ?? "cancun" },
      },
    ],
  },
  networks: {
    starling: { type: "http", chainType: "l1", url: process.env.RPC_URL ?? "http://127.0.0.1:8545", accounts: [process.env.KEY!] },
  },
};
