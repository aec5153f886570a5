//! What an order to purge means for the answers that shims store.

use std::collections::BTreeSet;

use http::HeaderMap;
use tidegate_core::invalidate::Resource;
use tidegate_core::purge::order::Order;
use tidegate_core::{Host, Method, Policy, Request, Scheme, Target, Tier};

use crate::invalidations::Void;

/// What is void by `order` under `policy`: a key voids the answers to requests for its URL, and
/// those to all others that the keys of its route do not tell apart from it.
pub fn voids(policy: &Policy, order: &Order) -> Vec<Void> {
    let mut voids: Vec<Void> = order.tags.iter().cloned().map(Void::Tag).collect();
    let urls: BTreeSet<String> = order
        .keys
        .iter()
        .flat_map(|key| kept(policy, key).into_iter().chain([key.clone()]))
        .collect();
    voids.extend(urls.into_iter().map(Void::Url));
    voids.extend(order.prefixes.iter().cloned().map(Void::Prefix));
    if order.everything {
        voids.push(Void::Everything);
    }
    voids
}

/// What the answers to a request for this URL, or for this path on any host, are kept for.
fn kept(policy: &Policy, key: &str) -> Vec<String> {
    let key = key.split('#').next().unwrap_or_default();
    match key.split_once("://") {
        Some((_, rest)) => {
            let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            kept_on(policy, authority, target).into_iter().collect()
        }
        None => {
            let routes = policy.model().routes.iter();
            let named = routes.flat_map(|route| route.hosts.iter().map(String::as_str));
            // By the path alone: on which host it was asked for makes no difference.
            let paths = named.chain(["localhost"]).filter_map(|host| {
                let url = kept_on(policy, host, key)?;
                let (_, rest) = url.split_once("://")?;
                Some(rest.get(rest.find(['/', '?'])?..)?.to_owned())
            });
            paths.collect()
        }
    }
}

fn kept_on(policy: &Policy, authority: &str, target: &str) -> Option<String> {
    // Purges are of either scheme.
    let scheme = Scheme::Https;
    let host = Host::parse(authority, scheme).ok()?;
    let slash = if target.starts_with('/') { "" } else { "/" };
    let target = format!("{slash}{target}");
    let target = Target::parse(&target).ok()?;
    let fields = HeaderMap::new();
    let get = Request::read(Method::Get, scheme, &host, &target, &fields);
    let rule = policy.plan(Tier::Origin, &get).route?.cache_rule(Tier::Origin)?;
    Some(Resource::kept(&rule.key, &get).as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::document;

    #[test]
    fn c4_a_key_voids_what_the_keys_of_its_route_do_not_tell_apart() {
        let policy = document::read(
            r#"schema = 1
            [[routes]]
            name = "list"
            match = "/list"
            key = { query = "none" }
            origin = { mode = "default", ttl = "1m" }
            [[routes]]
            name = "shop"
            match = "/list"
            host = "shop.example"
            key = { query = { only = ["page"] } }
            origin = { mode = "default", ttl = "1m" }
            "#,
            &|_| None,
        )
        .unwrap();
        let of = |json: &str| voids(&policy, &Order::from_json(json.as_bytes()).unwrap());
        let urls = |urls: &[&str]| -> Vec<Void> {
            urls.iter().map(|url| Void::Url((*url).into())).collect()
        };
        assert_eq!(
            of(r#"{"keys":["https://a.example/list?x=1"]}"#),
            urls(&["https://a.example/list", "https://a.example/list?x=1"])
        );
        assert_eq!(
            of(r#"{"keys":["/list?x=1&page=2"]}"#),
            urls(&["/list", "/list?page=2", "/list?x=1&page=2"])
        );
        assert_eq!(of(r#"{"keys":["/not/cached"]}"#), urls(&["/not/cached"]));
        assert_eq!(
            of(r#"{"tags":["a"],"prefixes":["/p/"],"everything":true}"#),
            [
                Void::Tag(tidegate_core::invalidate::Tag::named("a")),
                Void::Prefix("/p/".into()),
                Void::Everything,
            ]
        );
    }
}
