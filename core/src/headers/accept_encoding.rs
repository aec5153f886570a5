//! Accept-Encoding (RFC 9110 §12.5.3).

use super::weight::weighted;
use super::{Fields, list};

/// A content coding (RFC 9110 §8.4.1) that Tidegate can apply.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// `zstd`, RFC 9659.
    Zstd,
    /// `br`, RFC 7932.
    Br,
    /// `gzip`, RFC 1952.
    Gzip,
}

/// Which codings a client accepts, and how much it likes each, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptEncoding {
    named: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    any: Option<u16>,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Br, Self::Gzip];

    /// Its name in Content-Encoding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Br => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of this name, whose case does not matter (§8.4.1); `x-gzip` is `gzip`
    /// (§8.4.1.3).
    pub fn parse(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.as_str().as_bytes()))
    }
}

impl AcceptEncoding {
    /// Reads all Accept-Encoding lines of a request. A malformed member counts as absent; of one
    /// that stands twice the lower weight counts, so that a refusal holds.
    ///
    /// Without the field a server may send any coding; but who says nothing may know nothing,
    /// so no coding is accepted then.
    pub fn read(request: &(impl Fields + ?Sized)) -> Self {
        let mut accepted = Self::default();
        for member in request.lines_of("accept-encoding").flat_map(list::members) {
            let Some((name, weight)) = weighted(member) else { continue };
            let place = match Coding::parse(name) {
                Some(coding) => &mut accepted.named[coding as usize],
                None if name.eq_ignore_ascii_case(b"identity") => &mut accepted.identity,
                None if name == b"*" => &mut accepted.any,
                None => continue,
            };
            *place = Some(place.map_or(weight, |other| other.min(weight)));
        }
        accepted
    }

    /// How much the client likes `coding`; 0 is a refusal.
    pub fn weight(&self, coding: Coding) -> u16 {
        self.named[coding as usize].or(self.any).unwrap_or(0)
    }

    /// How much it likes no coding at all, where it says so: otherwise that is acceptable, but
    /// second to every coding it names.
    pub const fn identity(&self) -> Option<u16> {
        match (self.identity, self.any) {
            (None, Some(0)) => Some(0),
            (named, _) => named,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> AcceptEncoding {
        let fields: alloc::vec::Vec<_> = lines.iter().map(|l| ("accept-encoding", *l)).collect();
        AcceptEncoding::read(&fields)
    }

    #[test]
    fn weights_are_those_that_the_client_says() {
        use Coding::{Br, Gzip, Zstd};
        for (lines, zstd, br, gzip, identity) in [
            (&[][..], 0, 0, 0, None),
            (&[""], 0, 0, 0, None),
            (&["gzip, br"], 0, 1000, 1000, None),
            (&["GZip;Q=0.5", "BR ; q=0.001"], 0, 1, 500, None),
            (&["x-gzip"], 0, 0, 1000, None),
            (&["*"], 1000, 1000, 1000, None),
            (&["*;q=0.3, br;q=0"], 300, 0, 300, None),
            (&["*;q=0"], 0, 0, 0, Some(0)),
            (&["*;q=0, identity;q=0.2, gzip"], 0, 0, 1000, Some(200)),
            (&["identity;q=0"], 0, 0, 0, Some(0)),
            (&["gzip, gzip;q=0"], 0, 0, 0, None),
            (&["gzip;q=1.5, br;q=x, zstd;q=0.1234, deflate"], 0, 0, 0, None),
            (&["gzip;level=9"], 0, 0, 0, None),
        ] {
            let accepted = read(lines);
            let weights = [Zstd, Br, Gzip].map(|coding| accepted.weight(coding));
            assert_eq!((weights, accepted.identity()), ([zstd, br, gzip], identity), "{lines:?}");
        }
    }
}
