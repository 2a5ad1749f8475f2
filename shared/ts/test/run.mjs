// Bundles the tests of the package that it is run in, since not every supported Node runs TypeScript, and runs them
// with Node's own runner. Parts of file names select tests: `npm test -- session`. Flags are for Node.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";

// That of the package.
const { build } = createRequire(resolve("package.json"))("esbuild");
const flags = process.argv.slice(2).filter((arg) => arg.startsWith("--"));
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const all = readdirSync("test").filter((name) => name.endsWith(".test.ts"));
const unknown = wanted.filter((part) => !all.some((name) => name.includes(part)));
if (unknown.length > 0) {
  console.error(`no test has the name ${unknown.join(" or ")}; there are: ${all.join(" ")}`);
  process.exit(1);
}
const tests = all.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));

rmSync("build", { recursive: true, force: true });
await build({
  entryPoints: tests.map((name) => `test/${name}`),
  outdir: "build",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  alias: { "@tickwire/client": fileURLToPath(new URL("../src/index.ts", import.meta.url)) },
  sourcemap: "inline",
  logLevel: "warning",
});
const files = tests.map((name) => `build/${basename(name, ".ts")}.js`);
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...flags, ...files], { stdio: "inherit" });
process.exit(status ?? 1);
