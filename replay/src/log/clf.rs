//! The common log format of NCSA's httpd and the combined one of Apache's, which nginx writes, too; also with
//! the virtual host in front.
//!
//! `[vhost[:port] ]client ident user [time] "request" status bytes[ "referer" "user agent"]`

use std::net::IpAddr;

use memchr::memchr;
use tidegate_core::Scheme;

use super::time;
use super::unreadable::Why;
use crate::asked::Asked;

/// Reads one line. What stands behind the user agent is not looked at.
pub(super) fn parse<T>(line: &[u8], then: impl FnOnce(&Asked<'_>) -> T) -> Result<T, Why> {
    let begin = memchr(b'[', line).ok_or(Why::Malformed)?;
    let (who, rest) = line.split_at(begin);
    let (host, client, user) = read_who(who)?;
    let time = rest.get(1..27).and_then(time::of_common_log).ok_or(Why::Time)?;
    let rest = rest.get(27..).and_then(|rest| rest.strip_prefix(b"] ")).ok_or(Why::Malformed)?;
    let (request, rest) = quoted(rest).ok_or(Why::Malformed)?;
    let mut words = rest.strip_prefix(b" ").unwrap_or(rest).splitn(3, |byte| *byte == b' ');
    let status = words.next().and_then(number).ok_or(Why::Status)?;
    let status =
        u16::try_from(status).ok().filter(|s| (100..600).contains(s)).ok_or(Why::Status)?;
    let bytes = match words.next() {
        None | Some(b"-") => 0,
        Some(digits) => number(digits).ok_or(Why::Malformed)?,
    };
    let agent = words.next().and_then(user_agent);

    let (method, target) = read_request(request)?;
    let (scheme, host, target) = match absolute(target) {
        Some((scheme, host, target)) => (Some(scheme), Some(host), target),
        None => (None, host, target),
    };
    let fields = [("user-agent", agent.unwrap_or_default())];
    Ok(then(&Asked {
        at: time,
        took: None,
        client,
        user,
        method,
        scheme,
        host,
        target,
        fields: if agent.is_some() { &fields } else { &[] },
        has_all_fields: false,
        status,
        bytes,
        answer: None,
    }))
}

type Who<'a> = (Option<&'a str>, Option<IpAddr>, Option<&'a str>);

/// What stands before the time: three words, or four where the virtual host is in front.
fn read_who(who: &[u8]) -> Result<Who<'_>, Why> {
    let who = std::str::from_utf8(who).map_err(|_| Why::Utf8)?;
    let mut words = who.trim_ascii_end().split(' ');
    let words = [words.next(), words.next(), words.next(), words.next(), words.next()];
    let (host, client, user) = match words {
        [Some(client), Some(_), Some(user), None, None] => (None, client, user),
        [Some(host), Some(client), Some(_), Some(user), None] => (Some(host), client, user),
        _ => return Err(Why::Malformed),
    };
    let named = |word: &&str| !matches!(*word, "-" | "");
    // A name in place of an address tells clients apart no worse, but not here.
    Ok((host.filter(named), client.parse().ok(), Some(user).filter(named)))
}

/// Method and target.
fn read_request(request: &[u8]) -> Result<(&str, &str), Why> {
    let request = std::str::from_utf8(request).map_err(|_| Why::Utf8)?;
    let (method, rest) = request.split_once(' ').ok_or(Why::Request)?;
    // A target may hold spaces where servers let it; the version is the last word.
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => target,
        _ => rest,
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match method.bytes().all(is_token) && !method.is_empty() && !target.is_empty() {
        true => Ok((method, target)),
        false => Err(Why::Request),
    }
}

/// Scheme, host and target of an absolute target, which proxies are asked for.
pub(super) fn absolute(target: &str) -> Option<(Scheme, &str, &str)> {
    if target.starts_with('/') {
        return None;
    }
    let (scheme, rest) = target.split_once("://")?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    let end = rest.find('/')?;
    Some((scheme, &rest[..end], &rest[end..]))
}

/// What stands behind the referer.
fn user_agent(rest: &[u8]) -> Option<&[u8]> {
    let (_, rest) = quoted(rest)?;
    let (agent, _) = quoted(rest.strip_prefix(b" ")?)?;
    (agent != b"-").then_some(agent)
}

/// What stands in quotes, and what behind them. Servers write a quote within as `\"` or `\x22`.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut from = 0;
    loop {
        let at = from + memchr(b'"', text.get(from..)?)?;
        let slashes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes % 2 == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 1;
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| 10 * number + u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<String, Why> {
        parse(line.as_bytes(), |asked| {
            let agent = asked.fields.first().map(|(_, value)| String::from_utf8_lossy(value));
            format!(
                "{} {:?} {:?} {:?} {} {} {} {} {:?}",
                asked.at.as_secs(),
                asked.host,
                asked.client.map(|ip| ip.to_string()),
                asked.user,
                asked.method,
                asked.target,
                asked.status,
                asked.bytes,
                agent,
            )
        })
    }

    #[test]
    fn all_four_shapes_are_read() {
        let time = "[17/May/2015:10:05:03 +0000]";
        for (line, read_as) in [
            (
                format!("192.0.2.1 - - {time} \"GET /a?b=1 HTTP/1.1\" 200 512"),
                r#"1431857103 None Some("192.0.2.1") None GET /a?b=1 200 512 None"#,
            ),
            (
                format!(
                    "2001:db8::1 - ada {time} \"HEAD / HTTP/2.0\" 304 - \"-\" \"curl/8 \\\"x\\\"\""
                ),
                r#"1431857103 None Some("2001:db8::1") Some("ada") HEAD / 304 0 Some("curl/8 \\\"x\\\"")"#,
            ),
            (
                format!(
                    "a.example:443 192.0.2.1 - - {time} \"POST /x HTTP/1.1\" 201 7 \"-\" \"-\""
                ),
                r#"1431857103 Some("a.example:443") Some("192.0.2.1") None POST /x 201 7 None"#,
            ),
            (
                format!(
                    "host.example - - {time} \"GET http://b.example/y HTTP/1.1\" 200 7 \"r\" \"u\" 12 more"
                ),
                r#"1431857103 Some("b.example") None None GET /y 200 7 Some("u")"#,
            ),
        ] {
            assert_eq!(read(&line).as_deref(), Ok(read_as), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let time = "[17/May/2015:10:05:03 +0000]";
        for (line, why) in [
            ("nothing of this".to_owned(), Why::Malformed),
            (format!("192.0.2.1 - {time} \"GET / HTTP/1.1\" 200 5"), Why::Malformed),
            ("192.0.2.1 - - [yesterday] \"GET / HTTP/1.1\" 200 5".to_owned(), Why::Time),
            (format!("192.0.2.1 - - {time} \"-\" 408 0"), Why::Request),
            (format!("192.0.2.1 - - {time} \"\\x16\\x03\\x01\" 400 0"), Why::Request),
            (format!("192.0.2.1 - - {time} \"GET / HTTP/1.1\" - 5"), Why::Status),
            (format!("192.0.2.1 - - {time} \"GET / HTTP/1.1\" 999 5"), Why::Status),
            (format!("192.0.2.1 - - {time} \"GET / HTTP/1.1\" 200 x"), Why::Malformed),
            (format!("192.0.2.1 - - {time} \"GET / HTTP/1.1 200 5"), Why::Malformed),
        ] {
            assert_eq!(read(&line), Err(why), "{line}");
        }
    }
}
