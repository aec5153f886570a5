// wrangler would otherwise ask Cloudflare for an example of `request.cf` and report its use.

/** @type {Record<string, string>} */
export const OFFLINE = {
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  NO_COLOR: "1",
};
