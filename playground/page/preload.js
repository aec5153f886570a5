// The policy to begin with: that in force where a shim serves this page, else the sample.

/** Where the dashboard of the same listener keeps the token. */
const TOKEN = "tidegate-token";

/** @returns {Promise<{ text: string, whose: string }>} */
export async function preload() {
  const sample = { text: document.getElementById("sample").textContent, whose: "a sample" };
  if (location.protocol === "file:") return sample;
  const token = sessionStorage.getItem(TOKEN);
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const answer = await fetch("/policy", { headers }).catch(() => null);
  // Whoever else serves this page has no such field.
  if (!answer?.headers.has("tidegate-admin")) return sample;
  document.getElementById("pages").hidden = false;
  if (answer.status === 401) {
    return { ...sample, whose: "a sample; for the one in force, open the dashboard with its token and come back" };
  }
  if (!answer.ok) return sample;
  const { file, hash, text } = await answer.json();
  return { text, whose: `${file} as it is in force, ${hash}; what you change stays in this page` };
}
