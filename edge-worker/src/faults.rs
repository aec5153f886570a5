//! Faults of our own on purpose, for tests. No build that is deployed has this.

use crate::gate::Stop;
use crate::head::Head;

/// The request field that names the fault, by the place where it is to happen.
const FIELD: &str = "tidegate-fault";

/// Panics or breaks at `place`, if the client wants that among other things.
pub(crate) fn at(place: &str, fields: &Head) -> Result<(), Stop> {
    for fault in fields.text(FIELD).unwrap_or_default().split(' ') {
        match fault.split_once("-at-") {
            Some(("panic", at)) if at == place => panic!("on purpose at {place}"),
            Some(("break", at)) if at == place => return Err(Stop::Broken("on-purpose")),
            _ => {}
        }
    }
    Ok(())
}
