//! Writes every case with its native verdict to standard output, a JSON array `[case, verdict]`
//! a line: what the same world in wasm is compared with.

use std::io::{self, Write as _};

use tidegate_tests::cases;
use tidegate_world::judge;

fn main() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for placed in cases::all() {
        let verdict = judge(&placed.case);
        serde_json::to_writer(&mut output, &(placed.case, verdict))?;
        writeln!(output)?;
    }
    Ok(())
}
