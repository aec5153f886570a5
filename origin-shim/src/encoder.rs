//! Compresses a body piece by piece, in whichever coding (RFC 9110 §8.4.1).

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tidegate_core::compress::Coding;

/// The most that is compressed at one go: half a millisecond's work at most at the default levels,
/// during which a thread does nothing else.
pub(crate) const PIECE: usize = 16 << 10;

/// Brotli's window is 2^18 bytes, so that an encoder takes two megabytes: pages are rarely larger,
/// and a window of 2^22, its default, takes several more.
const BROTLI_WINDOW: u32 = 18;

/// Room for what Brotli has ready at once.
const BROTLI_BUFFER: usize = 4096;

/// A body on its way into a coding.
pub(crate) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// An encoder at `level`. It never fails but for want of memory.
    pub(crate) fn new(coding: Coding, level: u32) -> io::Result<Self> {
        let output = Vec::new();
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(output, Compression::new(level))),
            Coding::Br => Self::Br(Box::new(brotli::CompressorWriter::new(
                output,
                BROTLI_BUFFER,
                level,
                BROTLI_WINDOW,
            ))),
            Coding::Zstd => {
                let level = i32::try_from(level).unwrap_or(i32::MAX);
                Self::Zstd(zstd::stream::write::Encoder::new(output, level)?)
            }
        })
    }

    /// Takes the next piece of the body, at most [`PIECE`] bytes of it.
    pub(crate) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.as_write().write_all(piece)
    }

    /// Brings out all that was taken so far, at some cost in size.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.as_write().flush()
    }

    /// What has come out since this was asked last.
    pub(crate) fn take(&mut self) -> Bytes {
        let output = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Br(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        std::mem::take(output).into()
    }

    /// Ends the body, and brings out the rest.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::from(match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Br(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
        }))
    }

    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::Gzip(encoder) => encoder,
            Self::Br(encoder) => encoder,
            Self::Zstd(encoder) => encoder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn decoded(coding: Coding, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut text)?,
            Coding::Br => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut text)?,
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes)?.read_to_end(&mut text)?,
        };
        Ok(text)
    }

    /// Text that repeats itself now and then.
    fn text(length: usize) -> Vec<u8> {
        let words = ["tide ", "gate ", "harbour ", "shore ", "{\"id\":", "42}, "];
        let mut state = 1_u32;
        let mut text = Vec::new();
        while text.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(words[(state >> 16) as usize % words.len()].as_bytes());
        }
        text.truncate(length);
        text
    }

    #[test]
    fn p3_every_level_of_every_coding_gives_the_body_back() {
        for coding in Coding::ALL {
            let (lowest, highest) = coding.levels();
            for level in lowest..=highest {
                let text = text(3 * PIECE / 2);
                let mut encoder = Encoder::new(coding, level).unwrap();
                let mut coded = Vec::new();
                for piece in text.chunks(PIECE) {
                    encoder.write(piece).unwrap();
                    coded.extend_from_slice(&encoder.take());
                }
                coded.extend_from_slice(&encoder.finish().unwrap());
                assert!(coded.len() < text.len() / 2, "{coding:?} {level}: {}", coded.len());
                assert!(decoded(coding, &coded).unwrap() == text, "{coding:?} {level}");
            }
        }
    }

    #[test]
    fn a_flush_brings_out_what_was_taken() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(coding, coding.default_level()).unwrap();
            encoder.write(b"now").unwrap();
            encoder.flush().unwrap();
            let begin = encoder.take();
            let mut seen = [0; 3];
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&begin[..]).read_exact(&mut seen),
                Coding::Br => brotli::Decompressor::new(&begin[..], 4096).read_exact(&mut seen),
                Coding::Zstd => {
                    zstd::stream::read::Decoder::new(&begin[..]).unwrap().read_exact(&mut seen)
                }
            }
            .unwrap();
            assert_eq!(&seen, b"now", "{coding:?}");
            encoder.write(b" and then").unwrap();
            let coded = [begin, encoder.finish().unwrap()].concat();
            assert_eq!(decoded(coding, &coded).unwrap(), b"now and then", "{coding:?}");
        }
    }
}
