//! The chunked coding (RFC 9112 §7.1): reading bodies of it, and the lines that write it.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::Malformed;
use super::head::{FieldLines, HeadEnd};

/// All chunk extensions of a body together are at most so long: 16 KiB. They mean nothing to us,
/// and cost a reader without a bound (CVE-2023-39326).
pub const EXTENSIONS_MAX: usize = 16 * 1024;
/// A trailer section is at most so long: 16 KiB.
pub const TRAILERS_MAX: usize = 16 * 1024;

/// Takes a chunked body apart that comes piece by piece: the same pieces of data come out
/// however it is cut, joined or split. After an error it gives no more.
#[derive(Clone, Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    extensions: usize,
    /// Kept from one piece to the next; empty but at the end of the body.
    trailers: Vec<u8>,
    trailers_end: HeadEnd,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    Size,
    /// Behind some digits.
    Digits { size: u64, digits: u8 },
    /// White space behind the digits, after which only an extension may come.
    Space { size: u64 },
    /// In an extension.
    Extension { size: u64 },
    /// Behind the carriage return of a size.
    SizeEnd { size: u64 },
    /// In a chunk of which so much is to come.
    Data { left: u64 },
    /// Behind a chunk.
    DataEnd,
    /// Behind the carriage return that ends a chunk.
    DataFeed,
    /// Behind the last chunk.
    Trailers,
    /// Behind all of it.
    Ended,
}

/// What comes first in a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// So many bytes are none of the data; more must come to say what comes.
    Nothing {
        /// All that was there.
        taken: usize,
    },
    /// Data.
    Data {
        /// So many bytes before it are none.
        skip: usize,
        /// So many bytes it has, one at least.
        length: usize,
    },
    /// The body ends.
    End {
        /// So many bytes belonged to it.
        taken: usize,
        /// Its trailers, but for those that none may be.
        trailers: HeaderMap,
    },
}

impl ChunkedDecoder {
    /// Whether the end was there.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes apart what comes first in `input`. The next call gets what comes behind that.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, Malformed> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.state {
                State::Data { left } => {
                    let there = input.len() - at;
                    let length = usize::try_from(left).map_or(there, |left| left.min(there));
                    self.state = match left - length as u64 {
                        0 => State::DataEnd,
                        left => State::Data { left },
                    };
                    return Ok(Decoded::Data { skip: at, length });
                }
                State::Trailers => return self.read_trailers(at, &input[at..]),
                State::Ended => return Ok(Decoded::End { taken: at, trailers: HeaderMap::new() }),
                _ => self.step(byte).inspect_err(|_| self.state = State::Ended)?,
            }
            at += 1;
        }
        Ok(Decoded::Nothing { taken: at })
    }

    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        self.state = match (self.state, byte) {
            (State::Size, _) => match hex(byte) {
                Some(size) => State::Digits { size, digits: 1 },
                None => return Err(Malformed::ChunkSize),
            },
            (State::Digits { size, digits }, _) if hex(byte).is_some() => {
                // Sixteen digits are 64 bits; zeros before them do not come from anybody honest.
                let (true, Some(digit)) = (digits < 16, hex(byte)) else {
                    return Err(Malformed::ChunkSize);
                };
                State::Digits { size: size << 4 | digit, digits: digits + 1 }
            }
            (State::Digits { size, .. } | State::Extension { size }, b'\r') => {
                State::SizeEnd { size }
            }
            (State::Digits { size, .. } | State::Space { size }, b';') => State::Extension { size },
            (State::Digits { size, .. } | State::Space { size }, b' ' | b'\t') => {
                self.count_extension()?;
                State::Space { size }
            }
            (State::Digits { .. } | State::Space { .. }, _) => return Err(Malformed::ChunkSize),
            (State::Extension { .. }, b'\n') => return Err(Malformed::BareLineFeed),
            (State::Extension { size }, _) => {
                if matches!(byte, 0..=8 | 10..=31 | 127) {
                    return Err(Malformed::Control);
                }
                self.count_extension()?;
                State::Extension { size }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailers,
            (State::SizeEnd { size }, b'\n') => State::Data { left: size },
            (State::SizeEnd { .. }, _) => return Err(Malformed::BareCarriageReturn),
            (State::DataEnd, b'\r') => State::DataFeed,
            (State::DataFeed, b'\n') => State::Size,
            (State::DataEnd | State::DataFeed, _) => return Err(Malformed::ChunkEnd),
            (state @ (State::Data { .. } | State::Trailers | State::Ended), _) => state,
        };
        Ok(())
    }

    fn count_extension(&mut self) -> Result<(), Malformed> {
        self.extensions += 1;
        match self.extensions <= EXTENSIONS_MAX {
            true => Ok(()),
            false => Err(Malformed::ChunkExtension),
        }
    }

    /// The trailer section is a head without a first line: it ends at its empty line too.
    fn read_trailers(&mut self, skipped: usize, input: &[u8]) -> Result<Decoded, Malformed> {
        let before = self.trailers.len();
        // One byte more than may be shows that it is too long.
        let some = &input[..input.len().min(TRAILERS_MAX + 1 - before)];
        self.trailers.extend_from_slice(some);
        let found = self.trailers_end.find(&self.trailers).map_err(|malformed| match malformed {
            Malformed::LineTooLong => Malformed::TrailersTooLong,
            other => other,
        });
        match found.inspect_err(|_| self.state = State::Ended)? {
            Some(end) => {
                self.state = State::Ended;
                let trailers = trailers(&self.trailers[..end.length])?;
                self.trailers = Vec::new();
                Ok(Decoded::End { taken: skipped + end.length - before, trailers })
            }
            None if self.trailers.len() > TRAILERS_MAX => {
                self.state = State::Ended;
                Err(Malformed::TrailersTooLong)
            }
            None => Ok(Decoded::Nothing { taken: skipped + some.len() }),
        }
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// The fields of a trailer section, but for those that none may be.
fn trailers(section: &[u8]) -> Result<HeaderMap, Malformed> {
    let mut trailers = HeaderMap::new();
    for field in FieldLines::of(section) {
        let (name, value) = field?;
        let name = HeaderName::from_bytes(name).map_err(|_| Malformed::FieldName)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Malformed::Control)?;
        if may_be_trailer(&name) {
            trailers.append(name, value);
        }
    }
    Ok(trailers)
}

/// Whether a field may be sent behind the body: not where it says how to read the message, where
/// it goes, who asks or how it is to be kept (RFC 9110 §6.5.1).
pub fn may_be_trailer(name: &HeaderName) -> bool {
    let name = name.as_str();
    !matches!(
        name,
        "age"
            | "authorization"
            | "cache-control"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "content-location"
            | "content-range"
            | "content-type"
            | "cookie"
            | "date"
            | "expect"
            | "expires"
            | "forwarded"
            | "host"
            | "keep-alive"
            | "location"
            | "max-forwards"
            | "pragma"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "range"
            | "retry-after"
            | "set-cookie"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "vary"
            | "via"
            | "warning"
            | "www-authenticate"
    ) && !name.starts_with("if-")
        && !name.starts_with("x-forwarded-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Data, trailers, and what is left behind the end; `None` where it does not end.
    type Whole = Option<(Vec<u8>, Vec<(String, String)>, usize)>;

    /// Feeds pieces one by one.
    fn feed(pieces: &[&[u8]]) -> Result<Whole, Malformed> {
        let (mut decoder, mut data, mut behind) = (ChunkedDecoder::default(), Vec::new(), 0);
        let mut ended = None;
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() && ended.is_none() {
                rest = match decoder.decode(rest)? {
                    Decoded::Nothing { taken } => &rest[taken..],
                    Decoded::Data { skip, length } => {
                        assert!(length > 0);
                        data.extend_from_slice(&rest[skip..skip + length]);
                        &rest[skip + length..]
                    }
                    Decoded::End { taken, trailers } => {
                        ended = Some(trailers);
                        &rest[taken..]
                    }
                };
            }
            behind += rest.len();
        }
        assert_eq!(decoder.is_ended(), ended.is_some());
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Ok(ended.map(|trailers| (data, trailers.iter().map(text).collect(), behind)))
    }

    fn whole(text: &str) -> Result<Whole, Malformed> {
        feed(&[text.as_bytes()])
    }

    #[test]
    fn chunks_are_joined_and_what_follows_is_left() {
        let (data, trailers, behind) =
            whole("5\r\nhello\r\n00a;x=\"y\";z\r\n, world 12\r\n0 ; e\r\n\r\nGET /")
                .unwrap()
                .unwrap();
        assert_eq!((data.as_slice(), behind), (&b"hello, world 12"[..], 5));
        assert!(trailers.is_empty());
        assert_eq!(whole("5\r\nhel"), Ok(None), "cut off");
    }

    #[test]
    fn trailers_come_without_those_that_none_may_be() {
        let (_, trailers, _) =
            whole("0\r\nX-Sum: 1 \r\nContent-Length: 5\r\nHost: b\r\nif-match: x\r\n\r\n")
                .unwrap()
                .unwrap();
        assert_eq!(trailers, [("x-sum".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        use Malformed::*;
        for (text, malformed) in [
            ("\r\n", ChunkSize),
            ("g\r\n", ChunkSize),
            ("0x5\r\nhello", ChunkSize),
            ("+5\r\nhello", ChunkSize),
            ("-1\r\n", ChunkSize),
            (" 5\r\nhello", ChunkSize),
            ("5 \r\nhello", ChunkSize),
            ("5 5\r\nhello", ChunkSize),
            ("10000000000000000\r\n", ChunkSize),
            ("00000000000000005\r\nhello", ChunkSize),
            ("5\nhello", ChunkSize),
            ("5\rhello", BareCarriageReturn),
            ("5;x\nhello", BareLineFeed),
            ("5;x\0\r\nhello", Control),
            ("5\r\nhello!\r\n", ChunkEnd),
            ("5\r\nhello\n0\r\n\r\n", ChunkEnd),
            ("5\r\nhello\r0", ChunkEnd),
            ("0\r\nx: 1\n\r\n", BareLineFeed),
            ("0\r\nx : 1\r\n\r\n", SpaceBeforeColon),
            ("0\r\n x: 1\r\n\r\n", Folded),
            ("0\r\nx\r\n\r\n", FieldName),
        ] {
            assert_eq!(whole(text), Err(malformed), "{text:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = |length| format!("1;{}\r\nx\r\n", "e".repeat(length));
        assert_eq!(whole(&extension(EXTENSIONS_MAX)), Ok(None));
        assert_eq!(whole(&extension(EXTENSIONS_MAX + 1)), Err(Malformed::ChunkExtension));
        let many = extension(EXTENSIONS_MAX / 4).repeat(5);
        assert_eq!(whole(&many), Err(Malformed::ChunkExtension), "of all chunks together");
        let trailers = |length| format!("0\r\nx: {}\r\ny: 1\r\n\r\n", "t".repeat(length - 13));
        let fits = format!("0\r\n{}\r\n", format!("x: {}\r\n", "t".repeat(4000)).repeat(4));
        assert!(matches!(whole(&fits), Ok(Some(_))));
        assert_eq!(whole(&trailers(TRAILERS_MAX + 1)), Err(Malformed::TrailersTooLong));
        let lines = format!("0\r\n{}\r\n", format!("x: {}\r\n", "t".repeat(4000)).repeat(5));
        assert_eq!(whole(&lines), Err(Malformed::TrailersTooLong));
    }

    proptest! {
        #[test]
        fn where_a_body_is_cut_makes_no_difference(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            extension in "(;[a-z]{0,5}(=[a-z]{1,3})?)?",
            trailer in "(X-T: [a-z ]{0,9}\r\n){0,2}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut text = Vec::new();
            for chunk in &chunks {
                text.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(format!("0{extension}\r\n{trailer}\r\nnext").as_bytes());
            let read = feed(&[&text]).unwrap().unwrap();
            prop_assert_eq!(&read.0, &chunks.concat());
            prop_assert_eq!(read.2, 4);
            prop_assert_eq!(feed(&cut(&text, &cuts)).unwrap().unwrap(), read);
        }

        #[test]
        fn where_nonsense_is_cut_makes_no_difference(
            text in "([0-9a-f]{0,2}[;\r]?\r?\n?[ -~\r\n]{0,4}){0,6}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = text.as_bytes();
            prop_assert_eq!(feed(&cut(text, &cuts)), feed(&[text]));
        }
    }

    fn cut<'a>(text: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.sort_unstable();
        let mut pieces = Vec::new();
        let mut begin = 0;
        for end in at.into_iter().chain([text.len()]) {
            pieces.push(&text[begin..end]);
            begin = end;
        }
        pieces
    }
}
