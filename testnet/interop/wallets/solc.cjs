// What forge calls as its compiler: npm's solc, by the two options that forge uses.
const solc = require("solc");

if (process.argv.includes("--version")) {
  console.log(`solc\nVersion: ${solc.version().replace(".Emscripten.clang", ".Linux.g++")}`);
} else {
  let input = "";
  process.stdin.on("data", (chunk) => (input += chunk));
  process.stdin.on("end", () => process.stdout.write(solc.compile(input)));
}
