// Bundles the tests, since not every supported Node runs TypeScript, and runs them with Node's own
// runner. Parts of file names select tests: `npm test -- browser`.

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = join(here, "../build");
const wanted = process.argv.slice(2);
const tests = readdirSync(here)
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));

rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: tests.map((name) => join(here, name)),
  outdir: out,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  alias: { "@tickwire/client": join(here, "../../../shared/ts/src/index.ts") },
  sourcemap: "inline",
  logLevel: "warning",
});
const files = tests.map((name) => join(out, basename(name, ".ts") + ".js"));
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", "--test-concurrency=1", ...files], { stdio: "inherit" });
process.exit(status ?? 1);
