//! Keys of two requests under one rule: equal exactly when the parts are.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use tidegate_core::key::KeyRule;
use tidegate_core::{CacheKey, Host, Identity, Method, Request, Scheme, Target};

/// Two requests, as they come.
#[derive(Arbitrary, Debug)]
pub struct Two<'a> {
    one: Asked<'a>,
    two: Asked<'a>,
}

#[derive(Arbitrary, Debug)]
struct Asked<'a> {
    https: bool,
    host: &'a str,
    target: &'a str,
    value: Option<&'a [u8]>,
    user: Option<&'a str>,
}

/// What counts of a request under the rule: everything it has.
type Parts = (bool, String, String, Option<String>, Vec<Vec<u8>>, Option<String>);

impl Two<'_> {
    /// Panics if two requests share a key and not their parts, or the other way round.
    pub fn keys_are_equal_exactly_when_their_parts_are(&self) {
        if let (Some((one, first)), Some((two, second))) = (self.one.key(), self.two.key()) {
            assert_eq!(one == two, first == second, "{first:?} {second:?}");
        }
    }
}

impl Asked<'_> {
    fn key(&self) -> Option<(CacheKey, Parts)> {
        let scheme = if self.https { Scheme::Https } else { Scheme::Http };
        let host = Host::parse(self.host, scheme).ok()?;
        let target = Target::parse(self.target).ok()?;
        // A value without commas or quotes is a single member, whatever else is in it.
        let value = self.value.map(<[u8]>::trim_ascii);
        let value = value.filter(|value| !value.iter().any(|b| matches!(b, b',' | b'"')));
        let fields: Vec<(&str, &[u8])> = value.into_iter().map(|value| ("x-a", value)).collect();
        let rule = KeyRule { headers: vec!["x-a".into()], identity: true, ..KeyRule::default() };
        let user = self.user.map(str::to_owned);
        let who = self.user.map_or(Identity::Anonymous, |user| Identity::Verified(user.into()));
        let request = Request::read(Method::Get, scheme, &host, &target, &fields);
        let parts = (
            self.https,
            host.as_str().to_owned(),
            target.path().to_owned(),
            target.query().map(str::to_owned),
            value.into_iter().map(<[u8]>::to_vec).collect(),
            user,
        );
        Some((CacheKey::of(&rule, &request, &who), parts))
    }
}
