//! What does this unsafe request kill? (RFC 9111 §4.4)

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::headers::Fields;
use crate::host::{Host, Scheme};
use crate::key::KeyRule;
use crate::method::Method;
use crate::request::Request;
use crate::target::Target;

/// A resource whose stored answers, all of them, are no longer good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource(String);

/// A name under which stored answers are invalidated together: `team:42`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag(String);

impl Tag {
    /// A tag of the policy, or of the origin's Cache-Tag field.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// A cache group (RFC 9875), which is one on its own origin alone. The line feeds keep it
    /// apart from every tag, which header fields carry.
    pub fn group<F: Fields + ?Sized>(request: &Request<'_, F>, name: &str) -> Self {
        Self(alloc::format!("{}://{}\n{name}\n", request.scheme.as_str(), request.host.as_str()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a member of Cache-Tag, if it can be one: printable, without spaces and commas,
    /// and no longer than a CDN takes. A cache group never is.
    pub fn in_cache_tag(&self) -> Option<&str> {
        let fits = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b',';
        let is_member = (1..=CACHE_TAG_MAX).contains(&self.0.len()) && self.0.bytes().all(fits);
        is_member.then_some(&*self.0)
    }
}

/// Bytes of a tag that Cloudflare purges by.
const CACHE_TAG_MAX: usize = 1_024;

impl Resource {
    /// The resource that a request is for.
    pub fn of<F: Fields + ?Sized>(request: &Request<'_, F>) -> Self {
        Self::new(request.scheme, request.host, request.target)
    }

    /// The resource that an answer to `request` is kept for under keys like this: what of the
    /// query tells no answers apart tells no resources apart, so that whatever such an answer
    /// would serve for makes it void.
    pub fn kept<F: Fields + ?Sized>(rule: &KeyRule, request: &Request<'_, F>) -> Self {
        let query = request.target.query().and_then(|query| rule.counting_query(query));
        let Some(query) = query else { return Self::without_query(request) };
        let mut resource = Self::without_query(request);
        resource.0.push('?');
        resource.0.push_str(&query);
        resource
    }

    fn without_query<F: Fields + ?Sized>(request: &Request<'_, F>) -> Self {
        let (scheme, host) = (request.scheme.as_str(), request.host.as_str());
        Self(alloc::format!("{scheme}://{host}{}", request.target.path()))
    }

    /// Scheme, host and target of its URI.
    pub fn address(&self) -> Option<(Scheme, Host<'_>, Target<'_>)> {
        let (scheme, rest) = match self.0.split_once("://")? {
            ("https", rest) => (Scheme::Https, rest),
            (_, rest) => (Scheme::Http, rest),
        };
        let (authority, target) = rest.split_at(rest.find(['/', '?'])?);
        Some((scheme, Host::parse(authority, scheme).ok()?, Target::parse(target).ok()?))
    }

    fn new(scheme: Scheme, host: &Host<'_>, target: &Target<'_>) -> Self {
        // Neither a scheme nor a host holds a slash, so this is injective.
        Self(alloc::format!("{}://{}{target}", scheme.as_str(), host.as_str()))
    }

    /// The resource whose URI was stored; `None` where it cannot be one.
    pub fn from_uri(uri: &str) -> Option<Self> {
        let resource = Self(uri.into());
        let is_whole = resource.address().is_some();
        is_whole.then_some(resource)
    }

    /// Its URI: scheme, host, normalised path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The resources that an unsafe request with this answer invalidates: its target, and what
/// Location and Content-Location name on the same origin. None when the method is safe or the
/// answer an error.
pub fn invalidated<F: Fields + ?Sized>(
    request: &Request<'_, F>,
    status: u16,
    answer: &(impl Fields + ?Sized),
) -> Vec<Resource> {
    if !has_written(request.method, status) {
        return Vec::new();
    }
    let mut resources = alloc::vec![Resource::of(request)];
    for name in ["location", "content-location"] {
        let named = answer.first(name).and_then(|value| core::str::from_utf8(value).ok());
        resources.extend(named.and_then(|reference| resolve(request, reference)));
    }
    resources.dedup();
    resources
}

/// Whether a request with such an answer may have changed what is stored (§4.4): the method
/// is unsafe and the status no error, which is one of the classes 2xx and 3xx.
pub(crate) fn has_written(method: Method, status: u16) -> bool {
    !method.is_safe() && (200..400).contains(&status)
}

/// The resource that a reference names, if it lies on the origin of the request: an answer
/// must not reach into others' (§4.4).
pub(crate) fn resolve<F: Fields + ?Sized>(
    request: &Request<'_, F>,
    reference: &str,
) -> Option<Resource> {
    let reference = reference.trim().split('#').next()?;
    if let Some(path) = reference.strip_prefix("//") {
        return on_same_origin(request, request.scheme, path);
    }
    for scheme in [Scheme::Http, Scheme::Https] {
        let rest = reference.get(scheme.as_str().len()..).and_then(|rest| rest.strip_prefix("://"));
        let named = reference.get(..scheme.as_str().len());
        if let (Some(rest), true) =
            (rest, named.is_some_and(|n| n.eq_ignore_ascii_case(scheme.as_str())))
        {
            return on_same_origin(request, scheme, rest);
        }
    }
    let path = request.target.path();
    let target = match reference.as_bytes().first() {
        Some(b'/') => reference.to_string(),
        Some(b'?') => alloc::format!("{path}{reference}"),
        None => path.to_string(),
        // RFC 3986 §5.2.3: what stands behind the last slash is replaced.
        Some(_) => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            alloc::format!("{folder}/{reference}")
        }
    };
    let target = Target::parse(&target).ok()?;
    Some(Resource::new(request.scheme, request.host, &target))
}

fn on_same_origin<F: Fields + ?Sized>(
    request: &Request<'_, F>,
    scheme: Scheme,
    rest: &str,
) -> Option<Resource> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let host = Host::parse(authority, scheme).ok()?;
    if scheme != request.scheme || host != *request.host {
        return None;
    }
    let target = match target.starts_with('/') {
        true => target.to_string(),
        false => alloc::format!("/{target}"),
    };
    Some(Resource::new(scheme, &host, &Target::parse(&target).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::QueryRule;

    fn killed(method: &str, status: u16, answer: &[(&str, &str)]) -> Vec<String> {
        let host = Host::parse("a.example", Scheme::Https).unwrap();
        let target = Target::parse("/teams/42/plugins?x=1").unwrap();
        let fields: [(&str, &str); 0] = [];
        let request = Request::read(Method::parse(method), Scheme::Https, &host, &target, &fields);
        invalidated(&request, status, answer).into_iter().map(|r| r.0).collect()
    }

    const TARGET: &str = "https://a.example/teams/42/plugins?x=1";

    #[test]
    fn c4_a_write_that_succeeds_kills_its_target_and_nothing_else() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FROB"] {
            assert_eq!(killed(method, 200, &[]), [TARGET], "{method}");
            assert_eq!(killed(method, 303, &[]), [TARGET], "{method}");
            assert!(killed(method, 404, &[]).is_empty(), "{method}");
            assert!(killed(method, 500, &[]).is_empty(), "{method}");
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"] {
            assert!(killed(method, 200, &[]).is_empty(), "{method}");
        }
    }

    #[test]
    fn answers_are_kept_for_what_their_keys_tell_apart() {
        let host = Host::parse("a.example", Scheme::Https).unwrap();
        let fields: [(&str, &str); 0] = [];
        let kept = |rule: &KeyRule, target: &str| {
            let target = Target::parse(target).unwrap();
            let request = Request::read(Method::Get, Scheme::Https, &host, &target, &fields);
            let plain = Resource::kept(&KeyRule::default(), &request);
            assert_eq!(plain, Resource::of(&request));
            let address = plain.address().unwrap();
            assert_eq!(address, (Scheme::Https, host.clone(), target.clone()));
            Resource::kept(rule, &request).0
        };
        let none = KeyRule { query: QueryRule::None, ..KeyRule::default() };
        let sorted = KeyRule { sort_query: true, ..KeyRule::default() };
        for (rule, target, resource) in [
            (&none, "/a", "https://a.example/a"),
            (&none, "/a?x", "https://a.example/a"),
            (&sorted, "/a?", "https://a.example/a?"),
            (&sorted, "/a?b=2&a=1", "https://a.example/a?a=1&b=2"),
        ] {
            assert_eq!(kept(rule, target), resource);
        }
    }

    #[test]
    fn locations_on_the_same_origin_are_killed_too() {
        for (reference, resource) in [
            ("/x", "https://a.example/x"),
            ("https://A.example:443/x?y#z", "https://a.example/x?y"),
            ("//a.example/x", "https://a.example/x"),
            ("list", "https://a.example/teams/42/list"),
            ("../7", "https://a.example/teams/7"),
            ("?z", "https://a.example/teams/42/plugins?z"),
            ("https://a.example", "https://a.example/"),
        ] {
            for name in ["location", "content-location"] {
                assert_eq!(
                    killed("POST", 201, &[(name, reference)]),
                    [TARGET, resource],
                    "{reference}"
                );
            }
        }
    }

    #[test]
    fn an_answer_does_not_reach_into_another_origin() {
        for reference in [
            "https://b.example/x",
            "http://a.example/x",
            "https://a.example:8443/x",
            "//b.example/x",
            "https://a.example@b.example/x",
            "ftp://a.example/x",
            "https://",
        ] {
            let killed = killed("POST", 200, &[("location", reference)]);
            assert!(
                killed.iter().all(|uri| uri.starts_with("https://a.example/teams/")),
                "{reference} {killed:?}"
            );
        }
    }
}
