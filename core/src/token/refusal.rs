//! Why a token does not count.

use core::fmt;

/// Why a token does not count. None of them says anything of what is in the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request has more than one.
    Several,
    /// It is longer than [`super::TOKEN_MAX`].
    Oversized,
    /// It is no compact JWS of JSON objects with each name once.
    Malformed,
    /// Its algorithm is `none`, or the signature is missing (RFC 8725 §3.2).
    Unsigned,
    /// Its algorithm is not that of the key, or none that is taken (RFC 8725 §3.1).
    Algorithm,
    /// It has extensions that must be understood (RFC 7515 §4.1.11).
    Critical,
    /// It has no end.
    NoExpiry,
    /// Its end has come (RFC 7519 §4.1.4).
    Expired,
    /// Its time is yet to come (RFC 7519 §4.1.5, §4.1.6).
    NotYetValid,
    /// Somebody else issued it (RFC 7519 §4.1.1).
    Issuer,
    /// It is meant for somebody else (RFC 7519 §4.1.3).
    Audience,
    /// The claim that names the user is missing, or no name.
    User,
    /// No key of this `kid` is known.
    UnknownKey,
    /// Several keys could have signed it.
    UnclearKey,
    /// The signature is not the key's.
    Signature,
    /// There are no keys to look at it with: a secret is not set, or no key set came.
    NoKeys,
}

impl Refusal {
    /// The word for logs, Cache-Status and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Several => "token-several",
            Self::Oversized => "token-oversized",
            Self::Malformed => "token-malformed",
            Self::Unsigned => "token-unsigned",
            Self::Algorithm => "token-algorithm",
            Self::Critical => "token-critical",
            Self::NoExpiry => "token-no-expiry",
            Self::Expired => "token-expired",
            Self::NotYetValid => "token-not-yet-valid",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::User => "token-user",
            Self::UnknownKey => "token-unknown-key",
            Self::UnclearKey => "token-unclear-key",
            Self::Signature => "token-signature",
            Self::NoKeys => "token-no-keys",
        }
    }

    /// The reason as a sentence, without quotes: it stands in a quoted string.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Several => "The request has more than one token.",
            Self::Oversized => "The token is longer than 8 KiB.",
            Self::Malformed => "The token is no JSON Web Token.",
            Self::Unsigned => "The token is not signed.",
            Self::Algorithm => "The algorithm of the token is not that of the key.",
            Self::Critical => "The token has critical extensions, which are not known here.",
            Self::NoExpiry => "The token has no exp claim.",
            Self::Expired => "The token has expired.",
            Self::NotYetValid => "The token is not valid yet.",
            Self::Issuer => "The token is not from the expected issuer.",
            Self::Audience => "The token is for another audience.",
            Self::User => "The token names no user.",
            Self::UnknownKey => "The key of the token is not known.",
            Self::UnclearKey => "Several keys could have signed the token.",
            Self::Signature => "The signature of the token is wrong.",
            Self::NoKeys => "There are no keys at the moment to check the token with.",
        }
    }

    /// Whether the token may be good and it is us who cannot tell.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::NoKeys)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for Refusal {}
