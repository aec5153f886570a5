//! `[edge] signature`: the keys by which requests to the shim are signed.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use super::declare::section;
use super::decode::{Context, Decode, Located};
use super::secret::SecretName;
use super::values::{Name, Ttl};
use crate::signature::{KeyName, SignatureRule};

/// By how much clocks may differ where the policy says nothing.
const SKEW: Duration = Duration::from_secs(30);
/// More keeps old signatures alive, and the shim remembers each for as long.
const SKEW_MAX: Duration = Duration::from_secs(300);
/// Keys beyond the old one and the new one are left over.
const KEYS_MAX: usize = 8;

section! {
    /// HTTP message signatures (RFC 9421) by HMAC-SHA256.
    struct SignatureSection, "`[edge] signature`" {
        /// The keys: the first one signs, all of them verify. So a new one is first added behind
        /// the old one on both tiers, then put before it, and then the old one is taken away.
        required keys: Vec<Located<SignatureKeySection>>,
        /// By how much the clocks of edge and shim may differ, `30s` without it.
        optional skew: Located<Ttl>,
    }
}

section! {
    /// A key for signatures.
    struct SignatureKeySection, "a key" {
        /// What signatures call it, for everybody to read.
        required id: Located<Name>,
        /// The name of the variable that holds the secret, written `${NAME}`: 32 bytes or more.
        /// The shim has it in its environment, the worker as a secret of that name.
        required secret: SecretName,
    }
}

pub(super) fn resolve(
    section: Located<SignatureSection>,
    context: &mut Context<'_>,
) -> SignatureRule {
    let Located { value: SignatureSection { keys, skew }, span } = section;
    if keys.is_empty() || keys.len() > KEYS_MAX {
        context.report(
            span,
            format!("`signature` has {} keys, where 1 to {KEYS_MAX} make sense", keys.len()),
            "add `keys = [{ id = \"2026-11\", secret = \"${TIDEGATE_EDGE_KEY}\" }]`",
        );
    }
    let skew = skew.map_or(SKEW, |skew| {
        let Ttl(value) = skew.value;
        if value > SKEW_MAX {
            let hint = "clocks that tell the time by NTP differ by less than a second";
            context.report(skew.span, "a `skew` beyond five minutes keeps signatures alive", hint);
        }
        value
    });
    let mut named: Vec<KeyName> = Vec::new();
    for Located { value: SignatureKeySection { id, secret: SecretName(secret) }, .. } in keys {
        let Located { value: Name(id), span } = id;
        if named.iter().any(|other| other.id == id) {
            let message = format!("two keys are called `{id}`");
            context.report(span, message, "give each a name of its own, the month, say");
        }
        named.push(KeyName { id, secret });
    }
    SignatureRule { keys: named, skew }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use alloc::format;
    use alloc::string::{String, ToString};

    const KEYS: &str = r#"keys = [{ id = "a", secret = "${EDGE_KEY}" }]"#;

    fn report(source: &str) -> String {
        match read(&format!("schema = 1\n{source}\n"), &|_| None) {
            Ok(_) => "good".into(),
            Err(report) => report.to_string(),
        }
    }

    #[test]
    fn a_policy_carries_the_name_of_a_secret_and_never_the_secret() {
        let source = format!("schema = 1\n[edge]\nsignature = {{ {KEYS} }}\ntimeout = \"5s\"\n");
        let policy = read(&source, &|name| panic!("{name} is looked up where the policy is read"));
        let json = policy.unwrap().to_json();
        let rule = r#""edge":{"signature":{"keys":[{"id":"a","secret":"EDGE_KEY"}],"skew":30000},"timeout":5000}"#;
        assert!(json.contains(rule), "{json}");
        assert_eq!(crate::Policy::from_json(&json).unwrap().to_json(), json);

        let report =
            report("[edge]\nsignature = { keys = [{ id = \"a\", secret = \"hunter2\" }] }");
        assert!(report.contains("a secret stands in the environment"), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        for (source, message) in [
            ("[edge]\nsignature = { keys = [] }".into(), "has 0 keys"),
            (format!("[edge]\nsignature = {{ {KEYS}, skew = \"1h\" }}"), "beyond five minutes"),
            (
                "[edge.signature]\nkeys = [{ id = \"a\", secret = \"${A}\" }, \
                 { id = \"a\", secret = \"${B}\" }]"
                    .into(),
                "two keys are called `a`",
            ),
            ("[edge.signature]\nkeys = [{ id = \"a b\", secret = \"${A}\" }]".into(), "is no name"),
            ("[edge]\ntimeout = \"0s\"".into(), "lies between"),
            ("[edge]\ntimeout = \"1h\"".into(), "lies between"),
            ("[shim]\nrequire_edge_signature = true".into(), "no signature to require"),
        ] {
            let report = report(&source);
            assert!(report.contains(message), "{source}: {report}");
        }
        assert_eq!(report(&format!("[edge]\nsignature = {{ {KEYS} }}")), "good");
        let required = "[shim]\nrequire_edge_signature = true";
        assert_eq!(report(&format!("[edge]\nsignature = {{ {KEYS} }}\n{required}")), "good");
    }
}
