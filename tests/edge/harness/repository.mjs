// Where things are in this repository.

import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The root of the repository, or a place below it. */
export const inRepository = (...parts) => path.join(root, ...parts);

/** A built program: the one that `variable` names, else cargo's debug build. */
export const program = (variable, name) =>
  process.env[variable] ?? inRepository("target", "debug", name);
