use std::io::Cursor;
use std::os::unix::fs::symlink;

use http::HeaderMap;
use proptest::prelude::*;
use tidegate_core::document;
use tidegate_core::key::KeyRule;
use tidegate_core::{CacheKey, Host, Identity, Lookup, Method, Request, Scheme, Target};

use super::*;
use crate::answer_store::tests::answer;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const SIZE: u64 = 1 << 20;

fn policy(ttl: &str) -> Policy {
    let source = format!(
        "schema = 1\n[upstreams.a]\nservers = \"127.0.0.1:1\"\n[zones.small]\nbytes = \"1MB\"\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"a\"\n\
         origin = {{ mode = \"default\", ttl = \"{ttl}\" }}\n"
    );
    document::read(&source, &|_| None).unwrap()
}

fn key(path: &str) -> CacheKey {
    let host = Host::parse("h", Scheme::Http).unwrap();
    let target = Target::parse(path).unwrap();
    let fields = HeaderMap::new();
    let request = Request::read(Method::Get, Scheme::Http, &host, &target, &fields);
    CacheKey::of(&KeyRule::default(), &request, &Identity::Anonymous)
}

/// Stores of `policy` with an answer of each of these bodies, half of them in a zone.
fn stores(policy: &Policy, bodies: &[Vec<u8>]) -> Zones {
    let zones = Zones::new(policy);
    for (number, body) in bodies.iter().enumerate() {
        let store = zones.named((number % 2 == 0).then_some("small"));
        let mut answer = answer(b"", "accept-language", &HeaderMap::new());
        answer.body = body.clone().into();
        answer.terms = policy.terms(Tier::Origin).next().unwrap();
        answer.began = zones.begin();
        store.put(key(&format!("/{number}")), answer, NOW);
    }
    zones
}

fn written(zones: &Zones, size: u64) -> (Saved, Vec<u8>) {
    write(Vec::new(), zones, size, NOW).unwrap()
}

/// What is read of these bytes, and the bodies that are stored then.
fn read_bytes(policy: &Policy, bytes: &[u8]) -> (Result<Saved, BadSnapshot>, Vec<Bytes>) {
    let zones = Zones::new(policy);
    let heir = Heir { zones: &zones, policy, tier: None };
    let read = read(Cursor::new(bytes), heir, NOW);
    let terms = policy.terms(Tier::Origin).next().unwrap();
    let mut bodies = Vec::new();
    for (_, store) in zones.by_name() {
        for (key, stored) in store.all() {
            match store.find(&key, terms, &HeaderMap::new()) {
                Lookup::Found(answer) => assert!(std::ptr::eq(&*answer, &*stored)),
                _ => panic!("what is stored is found"),
            }
            bodies.push(stored.body.clone());
        }
    }
    bodies.sort();
    (read, bodies)
}

/// Makes the checksum fit, as if somebody had written this on purpose.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.len().checked_sub(SUM as usize) {
        let mut sum = SipHasher13::new();
        sum.write(&bytes[..end]);
        bytes.truncate(end);
        bytes.extend(sum.finish().to_be_bytes());
    }
    bytes
}

fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6)
}

proptest! {
    #[test]
    fn what_is_saved_is_taken_as_it_was(bodies in bodies()) {
        let policy = policy("1h");
        let (saved, bytes) = written(&stores(&policy, &bodies), SIZE);
        let whole = Saved { answers: bodies.len() as u64, bytes: bytes.len() as u64 };
        prop_assert_eq!(saved, whole);
        let (taken, found) = read_bytes(&policy, &bytes);
        prop_assert_eq!(taken.unwrap(), whole);
        let mut bodies = bodies;
        bodies.sort();
        prop_assert_eq!(found, bodies);
    }

    #[test]
    fn no_more_is_written_than_there_is_room_for(bodies in bodies(), size in 16_u64..1500) {
        let policy = policy("1h");
        let (saved, bytes) = written(&stores(&policy, &bodies), size);
        prop_assert!(bytes.len() as u64 <= size);
        prop_assert_eq!(read_bytes(&policy, &bytes).0.unwrap(), saved);
    }

    #[test]
    fn of_what_was_changed_or_cut_nothing_is_stored(
        bodies in bodies(),
        at: prop::sample::Index,
        flip in 1_u8..,
    ) {
        let policy = policy("1h");
        let (_, bytes) = written(&stores(&policy, &bodies), SIZE);
        let at = at.index(bytes.len());
        let mut changed = bytes.clone();
        changed[at] ^= flip;
        for bad in [&changed[..], &bytes[..at], &[&bytes[..], &[flip]].concat()] {
            let (taken, found) = read_bytes(&policy, bad);
            prop_assert!(taken.is_err() && found.is_empty(), "{taken:?}");
        }
    }

    #[test]
    fn no_bytes_are_more_than_wrong(
        bodies in bodies(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut: prop::sample::Index,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let policy = policy("1h");
        let (_, mut bytes) = written(&stores(&policy, &bodies), SIZE);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let noise = [MAGIC.as_slice(), &noise, &[0; 8]].concat();
        let cut = bytes[..cut.index(bytes.len())].to_vec();
        for bytes in [bytes, cut, noise] {
            let (taken, found) = read_bytes(&policy, &summed(bytes));
            prop_assert!(taken.is_ok() || found.is_empty(), "{taken:?}");
        }
    }
}

#[test]
fn what_is_void_or_useless_or_under_other_terms_is_left_out() {
    let policy = policy("1h");
    let bodies = [b"a".to_vec(), b"b".to_vec()];
    let zones = stores(&policy, &bodies);
    let (saved, bytes) = written(&zones, SIZE);
    assert_eq!(saved.answers, 2);
    let (taken, found) = read_bytes(&super::tests::policy("2h"), &bytes);
    assert!(taken.unwrap().answers == 0 && found.is_empty());
    zones.invalidate(&[crate::invalidations::Void::Prefix("/".into())]);
    assert_eq!(written(&zones, SIZE).0.answers, 0);
}

#[test]
fn a_file_is_for_its_user_and_used_once_and_no_link_is_followed() {
    let folder = std::env::temp_dir().join(format!("tidegate-saved-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (path, elsewhere) = (folder.join("stored"), folder.join("elsewhere"));
    fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, folder.join("stored.new")).unwrap();
    let policy = policy("1h");
    let zones = stores(&policy, &[b"a".to_vec()]);
    let saved = save(&path, &zones, SIZE, NOW).unwrap();
    assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
    let empty = Zones::new(&policy);
    let heir = Heir { zones: &empty, policy: &policy, tier: None };
    assert_eq!(take(&path, heir, NOW).unwrap(), Some(saved));
    assert_eq!(take(&path, heir, NOW).unwrap(), None);
    let mut left: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(left.pop(), Some(elsewhere));
    assert!(left.is_empty(), "{left:?}");
    fs::remove_dir_all(&folder).unwrap();
}
