//! Keys are injective: they are equal exactly when what the rule says counts is equal.

use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use tidegate_core::identity::CredentialHash;
use tidegate_core::key::{KeyRule, QueryRule};
use tidegate_core::{CacheKey, Host, Identity, Method, Request, Scheme, Target};

use crate::asked::Lines;

/// One request, in parts that run together easily.
#[derive(Clone, Debug)]
struct Asked {
    scheme: Scheme,
    host: &'static str,
    path: String,
    query: Option<String>,
    fields: Lines,
    who: Identity,
}

/// What counts, by a second reading of the rule that knows nothing of the key's bytes.
#[derive(Debug, PartialEq)]
struct Counting {
    scheme: Scheme,
    host: &'static str,
    path: String,
    query: Option<Vec<String>>,
    fields: Vec<Vec<String>>,
    who: Option<Identity>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let value = prop::collection::vec(select(&["a", "b", "", "a,b", " a ", "\"a,b\""][..]), 0..3);
    let fields = prop::collection::vec((select(&["x-a", "x-b"][..]), value), 0..3);
    let fields = fields.prop_map(|fields| {
        let lines = |(name, values): (&str, Vec<&str>)| -> Lines {
            values.into_iter().map(|value| (name.to_owned(), value.to_owned())).collect()
        };
        fields.into_iter().flat_map(lines).collect()
    });
    let who = prop_oneof![
        Just(Identity::Anonymous),
        select(&["a", "v", "anonymous", ""][..]).prop_map(|user| Identity::Verified(user.into())),
        select(&["a", "b"][..]).prop_map(|c| Identity::Opaque(CredentialHash::of(c.as_bytes()))),
    ];
    (
        select(&[Scheme::Http, Scheme::Https][..]),
        select(&["a", "ab", "a.b", "a:8080"][..]),
        "(/[ab]{0,2}){1,2}",
        weighted(0.8, "([abc](=[ab]{0,1}){0,1}&{0,1}){0,3}"),
        fields,
        who,
    )
        .prop_map(|(scheme, host, path, query, fields, who)| Asked {
            scheme,
            host,
            path: path.replace("//", "/"),
            query,
            fields,
            who,
        })
}

/// Two requests that differ in some of their parts.
fn two() -> impl Strategy<Value = (Asked, Asked)> {
    (asked(), asked(), any::<[bool; 6]>()).prop_map(|(one, other, same)| {
        let [scheme, host, path, query, fields, who] = same;
        let two = Asked {
            scheme: if scheme { one.scheme } else { other.scheme },
            host: if host { one.host } else { other.host },
            path: if path { one.path.clone() } else { other.path },
            query: if query { one.query.clone() } else { other.query },
            fields: if fields { one.fields.clone() } else { other.fields },
            who: if who { one.who.clone() } else { other.who },
        };
        (one, two)
    })
}

fn rule() -> impl Strategy<Value = KeyRule> {
    let names = || prop::collection::vec(select(&["a", "b"][..]).prop_map(String::from), 1..3);
    let query = prop_oneof![
        Just(QueryRule::All),
        Just(QueryRule::None),
        names().prop_map(QueryRule::Only),
        names().prop_map(QueryRule::Except),
    ];
    let headers = prop::sample::subsequence(&["x-a", "x-b"][..], 0..=2);
    (query, any::<bool>(), headers, any::<bool>()).prop_map(
        |(query, sort_query, headers, identity)| KeyRule {
            query,
            sort_query,
            headers: headers.into_iter().map(str::to_owned).collect(),
            identity,
            ..KeyRule::default()
        },
    )
}

impl Asked {
    fn key(&self, rule: &KeyRule) -> CacheKey {
        let host = Host::parse(self.host, self.scheme).expect("a host");
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let text = format!("{}{query}", self.path);
        let target = Target::parse(&text).expect("a target");
        let request = Request::read(Method::Get, self.scheme, &host, &target, &self.fields);
        CacheKey::of(rule, &request, &self.who)
    }

    fn counting(&self, rule: &KeyRule) -> Counting {
        let fields = rule.headers.iter().map(|name| {
            let of_name = self.fields.iter().filter(|(n, _)| n == name);
            // A member in quotes holds no comma that splits; an empty line is a value too.
            let members = of_name.flat_map(|(_, value)| match value.as_str() {
                "a,b" => vec!["a".to_owned(), "b".to_owned()],
                value => vec![value.trim().to_owned()],
            });
            members.collect()
        });
        Counting {
            scheme: self.scheme,
            host: self.host,
            path: self.path.clone(),
            query: self.query.as_deref().and_then(|query| counting_query(rule, query)),
            fields: fields.collect(),
            who: rule.identity.then(|| self.who.clone()),
        }
    }
}

fn counting_query(rule: &KeyRule, query: &str) -> Option<Vec<String>> {
    let name = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_owned();
    let counts = |parameter: &&str| match &rule.query {
        QueryRule::All => true,
        QueryRule::None => false,
        QueryRule::Only(names) => names.contains(&name(parameter)),
        QueryRule::Except(names) => !names.contains(&name(parameter)),
    };
    let mut parameters: Vec<String> = query.split('&').filter(counts).map(str::to_owned).collect();
    if rule.sort_query {
        parameters.sort_by_key(|parameter| name(parameter));
    }
    (!parameters.is_empty()).then_some(parameters)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn keys_are_equal_exactly_when_what_counts_is((one, two) in two(), rule in rule()) {
        let same = one.counting(&rule) == two.counting(&rule);
        prop_assert_eq!(one.key(&rule) == two.key(&rule), same);
    }
}
