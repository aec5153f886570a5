//! The heads of requests (RFC 9112 §3).

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, Method, Uri, Version};
use memchr::memchr;
use tidegate_core::{Host, Scheme};

use super::{Extent, FieldLines, first_line, is_token, name, names, version};
use crate::http1::Malformed;
use crate::http1::framing::{Framing, FramingFields};

/// A request's head, and what it says of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target in origin, absolute or asterisk form.
    pub uri: Uri,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The fields, those of the connection among them.
    pub fields: HeaderMap,
    /// How the end of the body is told.
    pub framing: Framing,
    /// The connection is to carry further requests (§9.3).
    pub persists: bool,
    /// The client waits for 100 before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// The client takes trailers (RFC 9110 §10.1.4).
    pub takes_trailers: bool,
    /// The client would change to another protocol (RFC 9110 §7.8).
    pub upgrades: bool,
}

impl RequestHead {
    /// Reads a whole head, its empty line included, that came over a connection of `scheme`.
    /// Linear; the values share `head`.
    pub fn read(head: &Bytes, extent: Extent, scheme: Scheme) -> Result<Self, Malformed> {
        Self::read_next(head, extent, scheme, &mut GoodHost::default())
    }

    /// The same for one of several heads that come over one connection.
    pub(in crate::http1) fn read_next(
        head: &Bytes,
        extent: Extent,
        scheme: Scheme,
        good: &mut GoodHost,
    ) -> Result<Self, Malformed> {
        let (line, rest) = first_line(head)?;
        let Line { method, target, version } = request_line(line)?;
        let uri = uri(&method, head.slice_ref(target), scheme)?;
        let mut fields = HeaderMap::with_capacity(extent.fields);
        let mut said = Said::default();
        for field in FieldLines::of(rest) {
            let (name, value) = field?;
            said.take_in(name, value, version)?;
            let name = name::read(name)?;
            let value = HeaderValue::from_maybe_shared(head.slice_ref(value))
                .map_err(|_| Malformed::Control)?;
            fields.append(name, value);
        }
        said.check_host(version, scheme, good)?;
        Ok(Self {
            framing: said.framing.of_request(version)?,
            persists: !said.closes && (version == Version::HTTP_11 || said.keeps_alive),
            expects_continue: said.expects_continue,
            takes_trailers: said.takes_trailers && version == Version::HTTP_11,
            // A server ignores it in HTTP/1.0.
            upgrades: said.upgrade && said.upgrade_is_option && version == Version::HTTP_11,
            method,
            uri,
            version,
            fields,
        })
    }
}

/// What the fields say of the connection and the body.
#[derive(Default)]
struct Said<'a> {
    framing: FramingFields,
    host: Option<&'a [u8]>,
    closes: bool,
    keeps_alive: bool,
    expects_continue: bool,
    takes_trailers: bool,
    upgrade: bool,
    upgrade_is_option: bool,
}

impl<'a> Said<'a> {
    fn take_in(&mut self, name: &[u8], value: &'a [u8], version: Version) -> Result<(), Malformed> {
        let is = |lower: &[u8]| name.eq_ignore_ascii_case(lower);
        // By length first: most names are none of these.
        match name.len() {
            2 if is(b"te") => self.takes_trailers |= names(value, b"trailers"),
            4 if is(b"host") => match self.host.replace(value) {
                None => {}
                Some(_) => return Err(Malformed::Host),
            },
            6 if is(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Malformed::Expectation);
                }
                self.expects_continue = version == Version::HTTP_11;
            }
            7 if is(b"upgrade") => self.upgrade = true,
            10 if is(b"connection") => {
                self.closes |= names(value, b"close");
                self.keeps_alive |= names(value, b"keep-alive");
                self.upgrade_is_option |= names(value, b"upgrade");
            }
            14 if is(b"content-length") => self.framing.content_length(value)?,
            17 if is(b"transfer-encoding") => self.framing.transfer_encoding(value)?,
            _ => {}
        }
        Ok(())
    }

    /// There is one that names a host; HTTP/1.0 may have none (§3.2).
    fn check_host(
        &self,
        version: Version,
        scheme: Scheme,
        good: &mut GoodHost,
    ) -> Result<(), Malformed> {
        match self.host {
            Some(host) if good.is(host) => Ok(()),
            Some(host) => {
                check_authority(host, scheme).map_err(|()| Malformed::Host)?;
                good.keep(host);
                Ok(())
            }
            None if version == Version::HTTP_10 => Ok(()),
            None => Err(Malformed::Host),
        }
    }
}

/// The latest Host of a connection that was good. Most clients have one alone, and need no second
/// look at it.
#[derive(Debug, Default)]
pub(in crate::http1) struct GoodHost(Option<Box<[u8]>>);

impl GoodHost {
    /// Longer ones are not kept: each connection has room of its own.
    const LENGTH_MAX: usize = 64;

    fn is(&self, host: &[u8]) -> bool {
        self.0.as_deref() == Some(host)
    }

    fn keep(&mut self, host: &[u8]) {
        self.0 = (host.len() <= Self::LENGTH_MAX).then(|| host.into());
    }
}

struct Line<'a> {
    method: Method,
    target: &'a [u8],
    version: Version,
}

fn request_line(line: &[u8]) -> Result<Line<'_>, Malformed> {
    let method_end = memchr(b' ', line).ok_or(Malformed::RequestLine)?;
    let (method, rest) = (&line[..method_end], &line[method_end + 1..]);
    let target_end = memchr(b' ', rest).ok_or(Malformed::RequestLine)?;
    let (target, protocol) = (&rest[..target_end], &rest[target_end + 1..]);
    if method.is_empty() || target.is_empty() || protocol.contains(&b' ') {
        return Err(Malformed::RequestLine);
    }
    if !method.iter().all(|byte| is_token(*byte)) {
        return Err(Malformed::Method);
    }
    let version = version(protocol)?;
    let method = Method::from_bytes(method).map_err(|_| Malformed::Method)?;
    Ok(Line { method, target, version })
}

/// A target in the form that its method has (§3.2).
fn uri(method: &Method, target: Bytes, scheme: Scheme) -> Result<Uri, Malformed> {
    // The crate `http` would drop a fragment without a word.
    if !target.iter().all(|byte| matches!(byte, b'!'..=b'~') && *byte != b'#') {
        return Err(Malformed::Target);
    }
    if *method == Method::CONNECT {
        let port = memchr::memrchr(b':', &target).map(|at| at + 1..target.len());
        let has_port = port.is_some_and(|port| !port.is_empty() && !target[port].contains(&b']'));
        return Err(match has_port && check_authority(&target, scheme).is_ok() {
            true => Malformed::Connect,
            false => Malformed::Target,
        });
    }
    let (is_path, is_asterisk) = (target.starts_with(b"/"), &*target == b"*");
    if is_asterisk && *method != Method::OPTIONS {
        return Err(Malformed::Target);
    }
    let uri = Uri::from_maybe_shared(target).map_err(|_| Malformed::Target)?;
    if is_path || is_asterisk {
        return Ok(uri);
    }
    let (Some(named), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Malformed::Target);
    };
    match named {
        "http" | "https" if named == scheme.as_str() => {}
        "http" | "https" => return Err(Malformed::Misdirected),
        _ => return Err(Malformed::Target),
    }
    if authority.as_str().contains('@') {
        return Err(Malformed::UserInformation);
    }
    check_authority(authority.as_str().as_bytes(), scheme).map_err(|()| Malformed::Target)?;
    Ok(uri)
}

fn check_authority(text: &[u8], scheme: Scheme) -> Result<(), ()> {
    let text = str::from_utf8(text).map_err(|_| ())?;
    Host::parse(text, scheme).map(|_| ()).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head::HeadEnd;

    fn read(text: &str) -> Result<RequestHead, Malformed> {
        let extent = HeadEnd::default().find(text.as_bytes())?.expect("a whole head");
        assert_eq!(extent.length, text.len(), "{text:?}");
        RequestHead::read(&Bytes::copy_from_slice(text.as_bytes()), extent, Scheme::Http)
    }

    fn with(fields: &str) -> Result<RequestHead, Malformed> {
        read(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }

    #[test]
    fn a_head_is_read_as_it_came() {
        let head = read(
            "PUT /a?b=%20 HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\n",
        )
        .unwrap();
        assert_eq!((head.method.as_str(), head.version), ("PUT", Version::HTTP_11));
        assert_eq!(head.uri, "/a?b=%20");
        assert_eq!(head.fields.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.framing, Framing::Length(3));
        assert!(head.persists && !head.expects_continue && !head.upgrades && !head.takes_trailers);
    }

    #[test]
    fn the_request_line_has_three_parts_and_two_spaces() {
        use Malformed::*;
        for (line, malformed) in [
            ("GET /", RequestLine),
            ("GET", RequestLine),
            (" GET / HTTP/1.1", RequestLine),
            ("GET  / HTTP/1.1", RequestLine),
            ("GET /  HTTP/1.1", RequestLine),
            ("GET / HTTP/1.1 ", RequestLine),
            ("GET / x HTTP/1.1", RequestLine),
            ("GET\t/ HTTP/1.1", RequestLine),
            ("GET /\tHTTP/1.1", RequestLine),
            ("G(T / HTTP/1.1", Method),
            ("G\0T / HTTP/1.1", Method),
            ("GET / http/1.1", Version),
            ("GET / HTTP/1.1x", Version),
            ("GET / HTTP/2.0", UnknownVersion),
            ("GET / HTTP/1.2", UnknownVersion),
            ("GET /\0 HTTP/1.1", Target),
            ("GET /\u{e9} HTTP/1.1", Target),
            ("GET /a#b HTTP/1.1", Target),
            ("GET a HTTP/1.1", Target),
            ("GET a:80 HTTP/1.1", Target),
            ("GET * HTTP/1.1", Target),
            ("GET ftp://a/ HTTP/1.1", Target),
            ("GET http:///x HTTP/1.1", Target),
            ("GET http://u@a/ HTTP/1.1", UserInformation),
            ("GET http://u:p@a/ HTTP/1.1", UserInformation),
            ("GET http://a:x/ HTTP/1.1", Target),
            ("GET https://a/ HTTP/1.1", Misdirected),
            ("CONNECT /x HTTP/1.1", Target),
            ("CONNECT a HTTP/1.1", Target),
            ("CONNECT [::1] HTTP/1.1", Target),
            ("CONNECT a: HTTP/1.1", Target),
            ("CONNECT u@a:80 HTTP/1.1", Target),
            ("CONNECT a:80 HTTP/1.1", Connect),
            ("CONNECT [::1]:80 HTTP/1.1", Connect),
        ] {
            assert_eq!(read(&format!("{line}\r\nHost: a\r\n\r\n")), Err(malformed), "{line:?}");
        }
        for (line, uri) in [
            ("GET / HTTP/1.1", "/"),
            ("GET //a//b HTTP/1.1", "//a//b"),
            ("BREW-IT! /?a=/b?c HTTP/1.1", "/?a=/b?c"),
            ("OPTIONS * HTTP/1.1", "*"),
            ("GET http://b:8080/x?y HTTP/1.1", "http://b:8080/x?y"),
            ("GET HTTP://b HTTP/1.1", "http://b/"),
        ] {
            let head = read(&format!("{line}\r\nHost: a\r\n\r\n")).expect(line);
            assert_eq!(head.uri, uri, "{line}");
        }
    }

    #[test]
    fn there_is_one_host() {
        assert_eq!(read("GET / HTTP/1.1\r\n\r\n"), Err(Malformed::Host));
        assert!(read("GET / HTTP/1.0\r\n\r\n").is_ok());
        let head = "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n";
        assert_eq!(read(head), Err(Malformed::Host));
        for host in ["", "a b", "u@a", "a,b", "a/b", "a:x", "[::1", "\u{e9}"] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(read(&head), Err(Malformed::Host), "{host:?}");
        }
    }

    #[test]
    fn a_host_that_was_good_says_nothing_of_another() {
        let mut good = GoodHost::default();
        let mut read = |host: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let extent = HeadEnd::default().find(text.as_bytes()).unwrap().unwrap();
            RequestHead::read_next(&Bytes::from(text), extent, Scheme::Http, &mut good).map(|_| ())
        };
        let long = "a".repeat(GoodHost::LENGTH_MAX + 1);
        for host in ["a", "a", "b:1", "a", &long, &long] {
            assert_eq!(read(host), Ok(()), "{host}");
            for bad in ["", "a b", "b:", "a/", "aa,"] {
                assert_eq!(read(bad), Err(Malformed::Host), "{bad:?} after {host}");
            }
        }
    }

    #[test]
    fn connections_persist_as_rfc_9112_9_3_says() {
        let persists = |version, fields: &str| {
            read(&format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n")).unwrap().persists
        };
        assert!(persists("1.1", ""));
        assert!(!persists("1.1", "Connection: Close\r\n"));
        assert!(!persists("1.1", "Connection: keep-alive, x\r\nconnection: close\r\n"));
        assert!(persists("1.1", "Connection: x-close\r\n"));
        assert!(!persists("1.0", ""));
        assert!(persists("1.0", "Connection: Keep-Alive\r\n"));
        assert!(!persists("1.0", "Connection: keep-alive, close\r\n"));
    }

    #[test]
    fn what_the_client_would_do_next_is_read() {
        assert!(with("Expect: 100-Continue\r\n").unwrap().expects_continue);
        for other in ["", "200-ok", "100-continue, x"] {
            assert_eq!(with(&format!("Expect: {other}\r\n")), Err(Malformed::Expectation));
        }
        let old = read("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap();
        assert!(!old.expects_continue);
        assert!(with("TE: deflate, trailers\r\n").unwrap().takes_trailers);
        assert!(!with("TE: trailersx\r\n").unwrap().takes_trailers);
        assert!(with("Upgrade: websocket\r\nConnection: Upgrade\r\n").unwrap().upgrades);
        assert!(!with("Upgrade: websocket\r\n").unwrap().upgrades, "not for this hop");
        assert!(!with("Connection: upgrade\r\n").unwrap().upgrades);
    }
}
