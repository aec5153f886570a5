// The core, which stands in this page as text: a page from a file may load nothing beside it.

import { decide, initSync } from "../pkg/tidegate_playground.js";

/** The function that answers questions. */
export async function load() {
  const text = document.getElementById("core").textContent;
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  initSync({ module: await new Response(unpacked).arrayBuffer() });
  return decide;
}
