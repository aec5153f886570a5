//! What to try first, once everything answers.

use crate::dev::ports::{ADMIN, BASE, EDGE, PLUGINS, SHIM};
use crate::report::bold;

/// Prints the addresses and three requests that show what Tidegate does.
pub(super) fn print() {
    let admin = ADMIN.address;
    let (edge, shim, plugins, base) = (EDGE.address, SHIM.address, PLUGINS.address, BASE.address);
    println!(
        "
{up}
  http://{edge}   edge: the worker under `wrangler dev`
  http://{shim}   shim: `tidegate serve`, which the edge asks
  http://{plugins}   origin: plugin server          http://{base}   origin: base service

  http://{admin}   the shim's dashboard, and a playground that explains requests

{try_this}
  1. A bundle is fetched once, then served by the edge for a day. Twice:
       curl -sD - -o /dev/null http://{edge}/plugins/widget.js
     Look at Cache-Status, one line a hop, the edge last: `fwd=uri-miss` and `stored`, then
     `hit`. The origin counts what reaches it: curl -s http://{plugins}/__count

  2. The API passes the edge and is kept by the shim, for 5 minutes here. Twice:
       curl -si http://{edge}/api/v1/plugins
     Look at Cache-Status: the edge says `fwd=bypass`, the shim `stored`, then `hit`. In the
     body, `served` stands still: the origin was not asked again.

  3. More than a hundred requests within a minute are refused:
       for i in $(seq 101); do curl -s -o /dev/null -w '%{{http_code}} ' http://{edge}/api/v1/plugins; done
     Look for 429 at the end; one more request with -si shows Retry-After and RateLimit.

All of it is decided by tidegate.toml: change a ttl there and start again. {ctrl_c} stops everything.
",
        up = bold("Up:"),
        try_this = bold("Worth trying:"),
        ctrl_c = bold("Ctrl-C"),
    );
}
