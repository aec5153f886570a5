//! Whether somebody shows the token of the policy's `[edge]`.

use sha2::{Digest, Sha256};
use tidegate_core::Policy;
use worker::{Env, console_error};

/// A shorter secret can be guessed.
const TOKEN_MIN: usize = 16;

/// Whether the policy names a token at all.
pub(crate) fn is_asked_for(policy: &Policy) -> bool {
    policy.model().edge.token.is_some()
}

/// Whether `shown` is the token: takes the same time wherever the two differ.
pub(crate) fn is_shown(policy: &Policy, env: &Env, shown: Option<&str>) -> bool {
    let Some(name) = &policy.model().edge.token else { return false };
    let secret = env.secret(name).map(|secret| secret.to_string()).unwrap_or_default();
    if secret.len() < TOKEN_MIN {
        console_error!(
            "tidegate: the secret {name} is not set, or shorter than {TOKEN_MIN} bytes: npx \
             wrangler secret put {name}"
        );
        return false;
    }
    shown.is_some_and(|shown| is_same(shown.as_bytes(), secret.as_bytes()))
}

/// The digests differ anywhere or nowhere, so that where they do tells nothing.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (Sha256::digest(one), Sha256::digest(other));
    one.iter().zip(&other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

/// The token in a value of Authorization (RFC 6750 §2.1).
pub(crate) fn token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_is_the_same() {
        assert!(is_same(b"0123456789abcdef", b"0123456789abcdef"));
        for other in ["", "0", "0123456789abcdeF", "0123456789abcdef0"] {
            assert!(!is_same(b"0123456789abcdef", other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_token_stands_behind_bearer() {
        assert_eq!(token("Bearer abc"), Some("abc"));
        assert_eq!(token("bearer  abc "), Some("abc"));
        for other in ["", "abc", "Basic abc", "Bearer"] {
            assert_eq!(token(other), None, "{other}");
        }
    }
}
