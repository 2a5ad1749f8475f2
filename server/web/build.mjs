// Builds the pages into the folder that the server embeds. The built pages are committed, so that a
// fresh clone needs only cargo; `node build.mjs --check` builds them elsewhere, and fails if the
// committed ones differ.

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = join(here, "../src/web/dist");
const isCheck = process.argv.includes("--check");
const out = isCheck ? mkdtempSync(join(tmpdir(), "tickwire-page-")) : dist;

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "assets"), { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: ["src/play.ts", "src/monitor.ts", "src/style.css"],
  outdir: join(out, "assets"),
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome111", "firefox115", "safari16.4"],
  alias: { "@tickwire/client": join(here, "../../shared/ts/src/index.ts") },
  legalComments: "none",
});

// Pages link their assets with a hash of the content, so that browsers may cache those for ever.
for (const page of ["index.html", "monitor.html"]) {
  const html = readFileSync(join(here, "src", page), "utf8");
  const linked = html.replace(/assets\/[\w.]+/g, (asset) => `${asset}?v=${hash(join(out, asset)).slice(0, 12)}`);
  writeFileSync(join(out, page), linked);
}

if (isCheck) {
  const same = JSON.stringify(contents(out)) === JSON.stringify(contents(dist));
  rmSync(out, { recursive: true, force: true });
  if (!same) {
    console.error("server/src/web/dist is out of date: run `npm run build` in server/web");
    process.exit(1);
  }
}

function contents(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .map((file) => join(file.parentPath ?? file.path, file.name))
    .map((path) => [relative(folder, path), hash(path)])
    .sort();
}

function hash(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
