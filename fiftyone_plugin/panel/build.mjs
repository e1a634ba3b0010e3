// Bundles src/index.tsx into the one file that FiftyOne's App loads; `--outfile=` puts it elsewhere.
import { build } from "esbuild";

const asked = process.argv.find((argument) => argument.startsWith("--outfile="));

await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ["src/index.tsx"],
  outfile: asked?.slice("--outfile=".length) ?? "../dist/index.umd.js",
  bundle: true,
  format: "iife",
  target: "es2022",
  jsx: "transform",
  charset: "utf8",
  legalComments: "none",
  banner: { js: "// Built from fiftyone_plugin/panel by scripts/build-panel; Apache-2.0." },
});
