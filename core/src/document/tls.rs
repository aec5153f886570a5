//! `[shim.tls]`: what listeners with TLS show, and what they take.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText, Located};
use crate::policy::{CertificateFiles, Listen, Malformed, Tls, TlsVersion};

section! {
    /// What listeners with TLS (`listen = "https://…"`) show, and what they take. HTTP/2 and
    /// HTTP/1.1 are offered there.
    struct TlsSection, "`[shim.tls]`" {
        /// The certificates. Which is shown is told by the host that the client names (SNI) and by
        /// the names in the certificate; the first is for who names none, or one that none is
        /// for. All are read again by SIGHUP and when a file has changed; should something be
        /// wrong, the old ones stay.
        required certificates: Located<Vec<CertificateSection>>,
        /// The oldest version of TLS that is spoken: `1.3` without it, or `1.2` for old clients.
        optional min_version: TlsVersion,
    }
}

section! {
    /// The two files of a certificate.
    struct CertificateSection, "a certificate" {
        /// The file with the certificate and what links it to a root (`fullchain.pem`), in PEM;
        /// one that is not absolute is beside the policy file.
        required chain: String,
        /// The file with its private key, in PEM.
        required key: String,
    }
}

words!(TlsVersion, "version of TLS that is spoken", {
    "1.2" => Self::Tls12,
    "1.3" => Self::Tls13,
});

pub(super) fn resolve(section: Located<TlsSection>, context: &mut Context<'_>) -> Tls {
    let TlsSection { certificates, min_version } = section.value;
    if certificates.value.is_empty() {
        let hint = "name one: `{ chain = \"fullchain.pem\", key = \"privkey.pem\" }`";
        context.report(certificates.span, "TLS needs a certificate", hint);
    }
    let files = |section: CertificateSection| {
        let CertificateSection { chain, key } = section;
        CertificateFiles { chain, key }
    };
    Tls {
        certificates: certificates.value.into_iter().map(files).collect(),
        min_version: min_version.unwrap_or_default(),
    }
}

/// The places to listen at, each once.
pub(super) fn listen(
    places: Vec<Located<Listen>>,
    has_tls: bool,
    context: &mut Context<'_>,
) -> Vec<Listen> {
    let mut known: Vec<Listen> = Vec::new();
    for Located { value: listen, span } in places {
        if listen.has_tls() && !has_tls {
            let message = format!("`{listen}` has no certificate to show");
            context.report(span.clone(), message, "name it in `[shim.tls] certificates`");
        }
        if known.iter().any(|other| other.collides_with(&listen)) {
            let message = format!("`{listen}` is listened at already");
            context.report(span, message, "leave one of them out");
        }
        known.push(listen);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    const TLS: &str = "[shim.tls]\ncertificates = { chain = \"c.pem\", key = \"/k.pem\" }\n";

    fn report(source: &str) -> String {
        match read(&format!("schema = 1\n{source}"), &|_| None) {
            Ok(_) => "good".into(),
            Err(report) => report.to_string(),
        }
    }

    #[test]
    fn one_place_or_several_are_listened_at() {
        let listen = |text: &str| {
            let source = format!("schema = 1\n[shim]\nlisten = {text}\n{TLS}");
            let policy = read(&source, &|_| None).unwrap();
            let again = crate::Policy::from_json(&policy.to_json()).unwrap();
            assert_eq!(again.model(), policy.model());
            policy.model().shim.listen.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(listen("\"[::]:80\""), ["[::]:80"]);
        let several = r#"["127.0.0.1:80", "https://[::]:443", "unix:/run/t.sock mode=666"]"#;
        assert_eq!(
            listen(several),
            ["127.0.0.1:80", "https://[::]:443", "unix:/run/t.sock mode=666"]
        );
    }

    #[test]
    fn p4_tls_is_1_3_unless_1_2_is_switched_on() {
        let version = |line: &str| {
            let policy = read(&format!("schema = 1\n{TLS}{line}\n"), &|_| None).unwrap();
            policy.model().shim.tls.clone().unwrap()
        };
        let files = CertificateFiles { chain: "c.pem".into(), key: "/k.pem".into() };
        let tls = Tls { certificates: vec![files], min_version: TlsVersion::Tls13 };
        assert_eq!(version(""), tls);
        assert_eq!(version("min_version = \"1.3\""), tls);
        assert_eq!(version("min_version = \"1.2\"").min_version, TlsVersion::Tls12);
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        for (source, place, message) in [
            ("[shim]\nlisten = \"https://[::]:443\"\n", "3:10", "has no certificate to show"),
            ("[shim]\nlisten = [\"[::]:80\",\n\"[::]:80\"]\n", "4:1", "is listened at already"),
            ("[shim]\nlisten = \"example.com:80\"\n", "3:10", "no IP address with a port"),
            ("[shim]\nconnections = 0\n", "3:15", "0 is not enough"),
            ("[shim.tls]\ncertificates = []\n", "3:16", "TLS needs a certificate"),
            ("[shim.tls]\n", "2:1", "needs a field `certificates`"),
            ("[shim.tls]\ncertificates = { chain = \"c\" }\n", "3:16", "needs a field `key`"),
            (&format!("{TLS}min_version = \"1.1\"\n"), "4:15", "no version of TLS"),
            (&format!("{TLS}min_versoin = \"1.2\"\n"), "4:1", "did you mean `min_version`?"),
            ("[shim]\ntrusted_proxies = \"unix:/run/x\"\n", "3:19", "is no block of addresses"),
        ] {
            let report = report(source);
            assert!(report.contains(&format!(":{place}: ")), "{source}{report}");
            assert!(report.contains(message), "{source}{report}");
        }
        let trusted = "[shim]\ntrusted_proxies = [\"unix:\", \"10.0.0.0/8\"]\n";
        assert_eq!(report(trusted), "good");
    }
}
