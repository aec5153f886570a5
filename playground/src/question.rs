//! What is typed into the page, and what of it is wrong.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tidegate_core::explain::Url;
use tidegate_core::{Host, Scheme, Target, Timestamp};

/// What is typed into the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Question {
    /// The text of the policy file.
    pub policy: String,
    /// Variables that it takes values from, one `NAME=value` a line.
    pub environment: String,
    /// The method; `GET` where it is empty.
    pub method: String,
    /// A URL, or a path on localhost.
    pub url: String,
    /// The fields of the request, one `name: value` a line.
    pub headers: String,
    /// The client's address; 127.0.0.1 where it is empty.
    pub client: String,
    /// The user that a token has proved; nobody where it is empty.
    pub user: String,
    /// The time, in milliseconds since 1970.
    pub now: u64,
}

/// What is wrong with a field of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Objection {
    /// The field, as [`Question`] calls it.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// A request, taken apart.
pub(crate) struct Parts<'q> {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host<'q>,
    pub(crate) target: Target<'q>,
    pub(crate) fields: Vec<(String, &'q str)>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) now: Timestamp,
}

impl Question {
    /// The method.
    pub(crate) fn method(&self) -> &str {
        Some(self.method.trim()).filter(|method| !method.is_empty()).unwrap_or("GET")
    }

    /// The user, if one is named.
    pub(crate) fn user(&self) -> Option<&str> {
        Some(self.user.trim()).filter(|user| !user.is_empty())
    }

    /// The variables. A line without `=` sets none.
    pub(crate) fn variables(&self) -> Vec<(&str, &str)> {
        let lines = self.environment.lines().filter_map(|line| line.split_once('='));
        lines.map(|(name, value)| (name.trim(), value.trim())).collect()
    }

    /// The request, or all that is wrong with it.
    pub(crate) fn parts(&self) -> Result<Parts<'_>, Vec<Objection>> {
        let (place, fields, client) = (self.place(), self.fields(), self.client());
        match (place, fields, client) {
            (Ok((scheme, host, target)), Ok(fields), Ok(client)) => Ok(Parts {
                scheme,
                host,
                target,
                fields,
                client: Some(client),
                now: Timestamp::from_millis(self.now),
            }),
            (place, fields, client) => {
                Err([place.err(), fields.err(), client.err()].into_iter().flatten().collect())
            }
        }
    }

    fn place(&self) -> Result<(Scheme, Host<'_>, Target<'_>), Objection> {
        let bad = |message| Objection { field: "url", message, hint: Url::HINT };
        let url = Url::parse(self.url.trim()).map_err(|error| bad(error.to_string()))?;
        let host = Host::parse(url.host, url.scheme);
        let host = host.map_err(|_| bad(format!("`{}` names no host", url.host)))?;
        let target = Target::parse(url.target);
        let target = target.map_err(|error| bad(format!("`{}`: {error}", url.target)))?;
        Ok((url.scheme, host, target))
    }

    /// Names in lower case, as the core wants them.
    fn fields(&self) -> Result<Vec<(String, &str)>, Objection> {
        let lines = self.headers.lines().filter(|line| !line.trim().is_empty());
        lines.map(field).collect()
    }

    fn client(&self) -> Result<IpAddr, Objection> {
        let text = Some(self.client.trim()).filter(|text| !text.is_empty()).unwrap_or("127.0.0.1");
        text.parse().map_err(|_| Objection {
            field: "client",
            message: format!("`{text}` is no address"),
            hint: "write one like 203.0.113.7 or 2001:db8::7",
        })
    }
}

fn field(line: &str) -> Result<(String, &str), Objection> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let bad = |message| Objection {
        field: "headers",
        message,
        hint: "write one field a line, as `accept-encoding: br`",
    };
    let split = line.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    let (name, value) = split.ok_or_else(|| bad(format!("`{}` has no colon", line.trim())))?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(bad(format!("`{name}` is no name of a field")));
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(bad(format!("the value of `{name}` has a byte that no field may hold")));
    }
    Ok((name.to_ascii_lowercase(), value))
}
