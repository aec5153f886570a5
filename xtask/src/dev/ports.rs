//! The addresses of the development stack, and who else sits on them.

use std::io;
use std::net::TcpListener;

use anyhow::{Result, bail};

/// An address one of the programs will listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Host and port.
    pub(crate) address: &'static str,
    /// Who should have it.
    pub(crate) owner: &'static str,
}

pub(super) const PLUGINS: Seat =
    Seat { address: "127.0.0.1:3100", owner: "the demo plugin server" };
pub(super) const BASE: Seat = Seat { address: "127.0.0.1:4000", owner: "the demo base service" };
pub(super) const SHIM: Seat = Seat { address: "127.0.0.1:8080", owner: "the origin shim" };
pub(super) const ADMIN: Seat =
    Seat { address: "127.0.0.1:9180", owner: "the shim's admin listener" };
pub(super) const EDGE: Seat =
    Seat { address: "127.0.0.1:8787", owner: "the edge (`wrangler dev`)" };
pub(super) const ALL: [Seat; 5] = [PLUGINS, BASE, SHIM, ADMIN, EDGE];

impl Seat {
    /// The part after the colon.
    pub(super) fn port(&self) -> &'static str {
        self.address.rsplit(':').next().unwrap_or_default()
    }

    /// Tries the address: the system alone knows, and only at this moment.
    fn is_taken(&self) -> bool {
        TcpListener::bind(self.address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    }
}

/// An error that names every seat that is taken, not only the first.
pub(super) fn require_free(seats: &[Seat]) -> Result<()> {
    let taken: Vec<&Seat> = seats.iter().filter(|seat| seat.is_taken()).collect();
    if taken.is_empty() { Ok(()) } else { bail!(complaint(&taken)) }
}

fn complaint(taken: &[&Seat]) -> String {
    let mut sentences: Vec<String> = taken
        .iter()
        .map(|seat| format!("port {} is taken, and {} needs it", seat.port(), seat.owner))
        .collect();
    let filter: Vec<String> =
        taken.iter().map(|seat| format!("sport = :{}", seat.port())).collect();
    let it = if taken.len() == 1 { "it" } else { "them" };
    sentences.push(format!(
        "stop what holds {it} (`ss -ltnp '{}'` shows its process id), then start again",
        filter.join(" or ")
    ));
    sentences.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_taken_port_is_one_sentence_with_the_remedy() {
        assert_eq!(
            complaint(&[&SHIM]),
            "port 8080 is taken, and the origin shim needs it; stop what holds it \
             (`ss -ltnp 'sport = :8080'` shows its process id), then start again"
        );
    }

    #[test]
    fn all_taken_ports_are_named_at_once() {
        let text = complaint(&[&BASE, &EDGE]);
        assert!(text.contains("port 4000") && text.contains("port 8787"), "{text}");
        assert!(text.contains("'sport = :4000 or sport = :8787'"), "{text}");
    }

    #[test]
    fn a_listening_socket_takes_its_seat() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seat = Seat { address: address.leak(), owner: "this test" };
        assert!(require_free(&[seat]).is_err());
        drop(listener);
        assert!(require_free(&[seat]).is_ok());
    }
}
