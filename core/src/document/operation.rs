//! `[maintenance]` and `[admin]`: how a running Tidegate is operated.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::Spanned;
use toml::de::DeValue;

use super::declare::section;
use super::decode::{Context, Decode, FromText, Located};
use super::secret::SecretName;
use super::shape::Shape;
use super::values::{HostName, Ttl};
use crate::policy::maintenance::PAGE_MAX;
use crate::policy::overrides::MESSAGE_MAX;
use crate::policy::{Admin, Maintenance, Malformed, Network, Page, Pattern};

/// Where to listen when the policy says only that.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);

section! {
    /// When nobody gets through: everybody else is told to come back, with 503 and Retry-After,
    /// as a page where they prefer HTML and as problem details where not. On both tiers. At run
    /// time it is switched on and off by `tidegate maintenance`.
    struct MaintenanceSection, "`[maintenance]`" {
        /// Whether it is on from the start.
        default enabled: bool,
        /// A sentence for clients.
        optional message: Located<String>,
        /// For how long clients are told to wait where no end is known. `5m` without it.
        optional retry_after: Ttl,
        /// The page in HTML, or `{ file = "maintenance.html" }`, read with the policy from beside
        /// it. `{{message}}` and `{{retry_after}}` (in seconds) in it are filled in. A plain page
        /// of ours without it.
        optional page: Located<Page>,
        /// Clients that get through: addresses and blocks.
        default allow: Vec<Network>,
        /// Paths that get through, for whoever asks whether the service is alive. By default
        /// `/healthz`, `/health`, `/api/health` and `/ready`.
        optional allow_paths: Vec<Pattern>,
        /// Whether stored answers are still served. Not by default: who switches maintenance on
        /// wants nobody to work with what may be about to change.
        default serve_cached: bool,
    }
    lenient
}

section! {
    /// A file.
    struct FileSection, "a file" {
        /// Its name; one that is not absolute is beside the policy file.
        required file: String,
    }
}

section! {
    /// Where a running shim is operated from: by the commands `tidegate status`, `reload`,
    /// `limits` and `maintenance`, and by their HTTP API. Without this section nothing listens.
    struct AdminSection, "`[admin]`" {
        /// The address to listen on, `127.0.0.1:9180` without it. Beyond this machine only with a
        /// `token`.
        optional listen: Located<AdminAddress>,
        /// The name of the variable that holds the token which every request must show, written
        /// `${NAME}`: 16 bytes or more.
        optional token: SecretName,
        /// The names by which it is reached, where that is neither an address nor `localhost`.
        /// Requests for any other are refused, so that no web page reaches it by a name of its
        /// own.
        default hosts: Vec<HostName>,
        /// The file that keeps what was changed at run time over a restart. Without it, a restart
        /// forgets that.
        optional state: String,
    }
    lenient
}

/// An IP address with a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdminAddress(SocketAddr);

pub(super) fn maintenance(section: MaintenanceSection, context: &mut Context<'_>) -> Maintenance {
    let by_default = Maintenance::default();
    let MaintenanceSection {
        enabled,
        message,
        retry_after,
        page,
        allow,
        allow_paths,
        serve_cached,
    } = section;
    if let Some(Located { value: Page::Text(html), span }) = &page
        && html.len() > PAGE_MAX
    {
        let message = format!("the page is longer than {PAGE_MAX} bytes");
        context.report(span.clone(), message, "name a smaller one: it travels inside the policy");
    }
    if let Some(Located { value, span }) = message.as_ref().filter(|m| m.value.len() > MESSAGE_MAX)
    {
        let message = format!("the message has {} bytes, of {MESSAGE_MAX}", value.len());
        context.report(span.clone(), message, "say more on a `page` of your own");
    }
    Maintenance {
        enabled,
        until: None,
        message: message.map(|message| message.value),
        retry_after: retry_after.map_or(by_default.retry_after, |Ttl(wait)| wait),
        page: page.map(|page| page.value),
        allow,
        allow_paths: allow_paths.unwrap_or(by_default.allow_paths),
        serve_cached,
    }
}

pub(super) fn admin(section: Located<AdminSection>, context: &mut Context<'_>) -> Admin {
    let AdminSection { listen, token, hosts, state } = section.value;
    if let Some(Located { value: AdminAddress(address), span }) =
        listen.as_ref().filter(|listen| !listen.value.0.ip().is_loopback() && token.is_none())
    {
        context.report(
            span.clone(),
            format!("`{address}` lets everybody who reaches it operate this shim"),
            "listen on 127.0.0.1, or add `token = \"${TIDEGATE_ADMIN_TOKEN}\"`",
        );
    }
    Admin {
        listen: listen.map_or(LISTEN, |listen| listen.value.0),
        token: token.map(|SecretName(name)| name),
        hosts: hosts.into_iter().map(|host| host.0).collect(),
        state,
    }
}

impl FromText for AdminAddress {
    fn shape() -> Shape {
        Shape::Text("an IP address with a port, like `127.0.0.1:9180`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        let address = text.replace("localhost:", "127.0.0.1:").parse();
        address.map(Self).map_err(|_| {
            Malformed::new(
                format!("`{text}` is no IP address with a port"),
                "write `127.0.0.1:9180` or `[::1]:9180`",
            )
        })
    }
}

impl Decode for Page {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Text("the page in HTML"), FileSection::shape()]))
    }

    /// The text as it stands: `${…}` in a page is its script's.
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some(html) => Some(Self::Text(html.to_string())),
            None => FileSection::decode(value, context).map(|section| Self::File(section.file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use core::time::Duration;

    fn report(section: &str) -> String {
        match read(&format!("schema = 1\n{section}\n"), &|_| None) {
            Ok(_) => "good".into(),
            Err(report) => report.to_string(),
        }
    }

    #[test]
    fn an_admin_listener_beyond_this_machine_needs_a_token() {
        for listen in ["0.0.0.0:9180", "[::]:9180", "10.0.0.1:9180", "192.168.1.1:80"] {
            let without = report(&format!("[admin]\nlisten = \"{listen}\""));
            assert!(without.contains("policy:3:10: "), "{without}");
            assert!(without.contains("hint: listen on 127.0.0.1, or add `token"), "{without}");
            let with = format!("[admin]\nlisten = \"{listen}\"\ntoken = \"${{TOKEN}}\"");
            assert_eq!(report(&with), "good");
        }
        for listen in ["127.0.0.1:9180", "127.9.9.9:1", "[::1]:9180", "localhost:9180"] {
            assert_eq!(report(&format!("[admin]\nlisten = \"{listen}\"")), "good", "{listen}");
        }
    }

    #[test]
    fn without_its_section_nothing_listens_and_with_it_this_machine_alone() {
        let admin = |text: &str| {
            let policy = read(&format!("schema = 1\n{text}"), &|_| None).unwrap();
            policy.model().admin.clone()
        };
        assert_eq!(admin(""), None);
        let admin = admin("[admin]\ntoken = \"${TOKEN}\"\nhosts = \"Ops.example\"").unwrap();
        assert_eq!((admin.listen, admin.token.as_deref()), (LISTEN, Some("TOKEN")));
        assert_eq!(admin.hosts, ["ops.example"]);
    }

    #[test]
    fn what_makes_no_sense_is_an_error_at_its_place() {
        let long = "x".repeat(PAGE_MAX + 1);
        for (section, expected) in [
            ("[admin]\nlisten = \"ops:9180\"", "no IP address with a port"),
            ("[admin]\ntoken = \"hunter2\"", "a secret stands in the environment"),
            ("[maintenance]\nenable = true", "did you mean `enabled`?"),
            ("[maintenance]\nretry_after = 5", "expected a string"),
            ("[maintenance]\nallow = \"10.0.0.0/33\"", "is no block of addresses"),
            ("[maintenance]\nallow_paths = \"health\"", "starts with a slash"),
            ("[maintenance]\npage = { fil = \"a\" }", "did you mean `file`?"),
            (&format!("[maintenance]\npage = \"{long}\""), "longer than 65536 bytes"),
            (&format!("[maintenance]\nmessage = \"{long}\""), "bytes, of 1000"),
        ] {
            assert!(report(section).contains(expected), "{section}\n{}", report(section));
        }
    }

    #[test]
    fn r9_maintenance_is_said_in_the_policy() {
        let source = "schema = 1\n[maintenance]\nenabled = true\nmessage = \"Back at six.\"\n\
            retry_after = \"10m\"\npage = \"<p>${0}\"\nallow = [\"10.0.0.0/8\"]\n\
            allow_paths = [\"/alive/*\"]\nserve_cached = true\n";
        let policy = read(source, &|_| None).unwrap();
        let rule = &policy.model().maintenance;
        assert!(rule.enabled && rule.serve_cached);
        assert_eq!(rule.page, Some(Page::Text("<p>${0}".into())));
        assert_eq!(rule.retry_after, Duration::from_secs(600));
        assert_eq!(
            crate::Policy::from_json(&policy.to_json()).unwrap().to_json(),
            policy.to_json()
        );
        let named = read("schema = 1\n[maintenance]\npage = { file = \"m.html\" }", &|_| None);
        let named = named.unwrap();
        assert_eq!(named.page_file(), Some("m.html"));
        assert_eq!(named.clone().with_page("<p>".into()).unwrap().page_file(), None);
        assert!(named.with_page(long()).is_none());
    }

    fn long() -> String {
        "x".repeat(PAGE_MAX + 1)
    }
}
