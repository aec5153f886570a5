//! Whether a program answers yet: one plain HTTP request, no client library.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Whether `GET path` on this address is answered with 200.
pub(crate) fn answers(address: &str, path: &str) -> bool {
    status(address, path) == Some(200)
}

fn status(address: &str, path: &str) -> Option<u16> {
    let place: SocketAddr = address.parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_millis(500)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut start = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut start).ok()?;
    std::str::from_utf8(&start).ok()?.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn only_a_200_is_ready() {
        for (answer, ready) in [("HTTP/1.1 200 OK", true), ("HTTP/1.0 503 No", false), ("?", false)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 64];
                let length = stream.read(&mut request).unwrap();
                stream.write_all(format!("{answer}\r\n\r\n").as_bytes()).unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            });
            assert_eq!(answers(&address, "/healthz"), ready, "{answer}");
            assert!(server.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\n"));
        }
    }
}
