//! Secrets: their names alone stand in a policy file.

use alloc::string::{String, ToString};

use toml::Spanned;
use toml::de::DeValue;

use super::decode::{Context, Decode};
use super::shape::Shape;

/// The name of a variable that holds a secret, written `${NAME}`.
#[derive(Clone, Debug)]
pub(super) struct SecretName(pub(super) String);

impl Decode for SecretName {
    fn shape() -> Shape {
        Shape::Text("the name of a variable, as `${NAME}`")
    }

    /// The one value that is not filled in from the environment here: the policy carries the
    /// name, also into the worker, and each tier looks its own value up when it starts. What is
    /// no name may be a secret, and is not repeated.
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let name = value.get_ref().as_str().and_then(|text| {
            let name = text.strip_prefix("${")?.strip_suffix('}')?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            (!name.is_empty() && name.bytes().all(fits)).then(|| Self(name.to_string()))
        });
        if name.is_none() {
            context.hide(value.span());
            context.report(
                value.span(),
                "a secret stands in the environment, not in the policy",
                "write the name of a variable, like `\"${JWT_SECRET}\"`, with no default, and set it",
            );
        }
        name
    }
}
