//! Writes the policy under which the cases and the stories of parity run at the edge to standard
//! output.

use std::io::{self, Write as _};

use tidegate_tests::{cases, parity};
use tidegate_world::policy;

fn main() -> io::Result<()> {
    let cases = cases::all();
    // The worker knows its origin from its own configuration.
    let text = policy::text(cases.iter().map(|placed| &placed.case), "origin.test:80");
    io::stdout().lock().write_all((text + &parity::routes()).as_bytes())
}
