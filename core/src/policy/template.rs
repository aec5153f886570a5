//! Names with places to fill in: `team:{id}:plugins:{user}`, `team:{claim:team}:plugins`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Malformed;
use crate::identity::Identity;
use crate::text::Text;

/// A display name for keys and tags. `{user}` is the identity, `{claim:…}` what its verified
/// token says, any other name a parameter of the route's pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    User,
    Claim(Box<str>),
    Parameter(Box<str>),
}

/// What a place begins with that takes a claim.
const CLAIM: &str = "claim:";

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.is_empty() || !text.bytes().all(|b| matches!(b, b'!'..=b'~') && b != b',') {
            return Err(Malformed::new(
                "a name has printable ASCII characters, no spaces and no commas",
                "tags travel in comma-separated header fields",
            ));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or_else(|| {
                Malformed::new("`{` has no `}`", format!("close it: `{{{behind}}}`"))
            })?;
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(match name {
                "user" => Part::User,
                _ => match name.strip_prefix(CLAIM) {
                    Some(claim) => Part::Claim(claim.into()),
                    None => Part::Parameter(name.into()),
                },
            });
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self { text: text.into(), parts: parts.into() })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `{user}` stands in it, so that what it names belongs to one identity.
    pub fn names_user(&self) -> bool {
        self.parts.contains(&Part::User)
    }

    /// The claims that stand in it.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Claim(name) => Some(&**name),
            _ => None,
        })
    }

    /// The parameters that stand in it.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(&**name),
            _ => None,
        })
    }

    /// Fills the places in. What stands for a parameter is taken as it is in the path; what
    /// stands for the user is what a header field can carry, the rest percent-encoded. A claim
    /// that is not verified is the identity, as it is in the key.
    pub fn fill<'a>(&self, who: &Identity, parameter: impl Fn(&str) -> Option<&'a str>) -> Text {
        let mut name = Text::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::User => who.put(&mut name),
                Part::Claim(claim) => match who.claim(claim) {
                    Some(value) => name.push_encoded(value),
                    None => who.put(&mut name),
                },
                Part::Parameter(place) => name.push_str(parameter(place).unwrap_or_default()),
            }
        }
        name
    }
}

impl TryFrom<String> for Template {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::User;

    #[test]
    fn places_are_filled_in() {
        let template = Template::parse("team:{id}:plugins:{user}").unwrap();
        assert!(template.names_user());
        assert!(template.parameters().eq(["id"]));
        let name =
            template.fill(&Identity::Verified("ada".into()), |name| (name == "id").then_some("42"));
        assert_eq!(&name, "team:42:plugins:ada");
    }

    #[test]
    fn c2_a_verified_claim_fills_in_and_else_the_identity() {
        let template = Template::parse("team:{claim:team}:plugins").unwrap();
        assert!(template.claims().eq(["team"]) && template.parameters().next().is_none());
        let fill = |who: Identity| template.fill(&who, |_| None);
        let member = User::with_claims("ada", alloc::vec![("team".into(), "7, ü%".into())]);
        assert_eq!(&fill(Identity::Verified(member)), "team:7%2C%20%C3%BC%25:plugins");
        assert_eq!(&fill(Identity::Verified("ada".into())), "team:ada:plugins");
        assert_eq!(&fill(Identity::Anonymous), "team:anonymous:plugins");
    }

    #[test]
    fn what_no_header_could_carry_is_refused() {
        for text in ["", "a b", "a,b", "a{b", "ü", "a\r\nb"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
