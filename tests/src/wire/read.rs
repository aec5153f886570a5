//! Reading a response (RFC 9112), strictly: a test client that forgives hides
//! what it was built to find.

use std::io::{self, BufRead, Read as _};

use super::Response;

/// Skips interim responses.
pub(super) fn response(stream: &mut impl BufRead, method: &str) -> io::Result<Response> {
    loop {
        let status = status_line(&line(stream)?)?;
        let headers = header_lines(stream)?;
        if (100..200).contains(&status) {
            continue;
        }
        let body = match length(method, status, &headers)? {
            Length::Exactly(length) => exactly(stream, length)?,
            Length::Chunked => chunks(stream)?,
            Length::UntilClose => until_close(stream)?,
        };
        return Ok(Response { status, headers, body });
    }
}

enum Length {
    Exactly(usize),
    Chunked,
    UntilClose,
}

/// RFC 9112 §6.3.
fn length(method: &str, status: u16, headers: &[(String, String)]) -> io::Result<Length> {
    let values = |wanted: &'static str| {
        headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, v)| v)
    };
    let codings: Vec<_> = values("Transfer-Encoding").collect();
    let lengths: Vec<_> = values("Content-Length").collect();
    if method == "HEAD" || status == 204 || status == 304 {
        return Ok(Length::Exactly(0));
    }
    match (codings.as_slice(), lengths.as_slice()) {
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok(Length::Chunked),
        ([], [length]) => {
            length.parse().map(Length::Exactly).map_err(|_| malformed("Content-Length", length))
        }
        ([], []) => Ok(Length::UntilClose),
        _ => Err(malformed("framing", &format!("{codings:?} and {lengths:?}"))),
    }
}

fn status_line(line: &str) -> io::Result<u16> {
    let digits = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| malformed("status line", line))
}

fn header_lines(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header", &line))?;
        headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
}

fn exactly(stream: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let digits = size.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(digits, 16).map_err(|_| malformed("chunk size", &size))?;
        if size == 0 {
            header_lines(stream)?;
            return Ok(body);
        }
        body.extend(exactly(stream, size)?);
        let end = line(stream)?;
        if !end.is_empty() {
            return Err(malformed("end of chunk", &end));
        }
    }
}

fn until_close(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    stream.read_to_end(&mut body)?;
    Ok(body)
}

/// One line without its CR LF.
fn line(stream: &mut impl BufRead) -> io::Result<String> {
    const LONGEST: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    stream.take(LONGEST).read_until(b'\n', &mut bytes)?;
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        return Err(match bytes.is_empty() {
            true => io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed"),
            false => malformed("line", &String::from_utf8_lossy(&bytes)),
        });
    };
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn malformed(what: &str, found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}: {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, bytes: &str) -> io::Result<Response> {
        response(&mut bytes.as_bytes(), method)
    }

    #[test]
    fn order_spelling_and_repeats_of_header_lines_survive() {
        let response =
            read("GET", "HTTP/1.1 200 OK\r\nb: 1\r\nA:2 \r\nB: 3\r\ncontent-length: 2\r\n\r\nhi")
                .unwrap();
        let lines = [("b", "1"), ("A", "2"), ("B", "3"), ("content-length", "2")];
        assert_eq!(response.headers, lines.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(response.all("b").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(response.body, b"hi");
    }

    #[test]
    fn each_framing_ends_where_it_should() {
        let body = |method, bytes| read(method, bytes).unwrap().body;
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       2;x=y\r\nhi\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n";
        assert_eq!(body("GET", chunked), b"hi!");
        assert_eq!(body("GET", "HTTP/1.1 200 OK\r\n\r\nto the end"), b"to the end");
        assert_eq!(body("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"), b"");
        assert_eq!(body("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"), b"");
        let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(read("GET", interim).unwrap().status, 204);
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        for bytes in [
            "",
            "HTTP/1.1 200 OK\n\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nhi",
        ] {
            assert!(read("GET", bytes).is_err(), "{bytes:?}");
        }
    }
}
