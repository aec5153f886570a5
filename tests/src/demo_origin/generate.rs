//! Deterministic file contents: valid in their format, and about as
//! compressible as the real thing.

use std::io::Write as _;

use flate2::{
    Compression, Crc,
    write::{GzEncoder, ZlibEncoder},
};
use serde_json::json;

/// An ES module of exactly `size` bytes.
pub(super) fn javascript(name: &str, size: usize) -> Vec<u8> {
    let mut numbers = Numbers::seeded(name);
    let head = format!("// {name}: a plugin bundle of the Tidegate demo\n");
    filled(head, size, |index| {
        let [a, b, c] = [(); 3].map(|()| numbers.next_u32());
        let (word, other) = (pick(WORDS, a), pick(WORDS, b));
        format!(
            "export function {word}{index}({other}, next = {}) {{\n  \
               return {other} > {} ? next.{word}({other}) : {{ {other}, of: \"{name}\" }};\n}}\n",
            b % 1000,
            c % 100_000,
        )
    })
}

/// A style sheet of exactly `size` bytes.
pub(super) fn css(size: usize) -> Vec<u8> {
    let mut numbers = Numbers::seeded("css");
    filled("/* The demo's style sheet. */\n".to_owned(), size, |index| {
        let [a, b] = [(); 2].map(|()| numbers.next_u32());
        format!(".{}-{index} {{ color: #{:06x}; margin: {}px; }}\n", pick(WORDS, a), b >> 8, b % 64)
    })
}

pub(super) fn source_map(file: &str) -> Vec<u8> {
    let sources: Vec<_> = WORDS.iter().map(|word| format!("src/{word}.ts")).collect();
    let mappings = "AAAA;EACE,OAAO;".repeat(400);
    json!({ "version": 3, "file": file, "sources": sources, "names": WORDS, "mappings": mappings })
        .to_string()
        .into()
}

pub(super) fn manifest() -> Vec<u8> {
    json!({
        "name": "app",
        "version": "1.4.0",
        "entry": "/plugins/app.js",
        "styles": ["/plugins/app.css"],
        "assets": ["/plugins/logo.svg", "/plugins/icon.png", "/plugins/inter.woff2"],
    })
    .to_string()
    .into()
}

pub(super) fn svg() -> Vec<u8> {
    let bars: String = (0..12)
        .map(|bar| {
            let height = 10 + bar * 7 % 50;
            format!(
                "<rect x=\"{}\" y=\"{}\" width=\"6\" height=\"{height}\"/>",
                bar * 8,
                64 - height
            )
        })
        .collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 96 64\" fill=\"#0b6\">{bars}</svg>\n"
    )
    .into()
}

/// A square 8-bit RGB picture (W3C PNG, §5: signature, then length, type,
/// data and CRC of each chunk).
pub(super) fn png(side: u32) -> Vec<u8> {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    let [a, b, c, d] = side.to_be_bytes();
    png_chunk(&mut picture, b"IHDR", &[a, b, c, d, a, b, c, d, 8, 2, 0, 0, 0]);

    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::default());
    for y in 0..side {
        // Each row begins with its filter: none.
        let row = (0..side).flat_map(|x| [x * 255 / side, y * 255 / side, (x ^ y) & 255]);
        let row: Vec<u8> = std::iter::once(0).chain(row.map(|level| level as u8)).collect();
        pixels.write_all(&row).expect("writing to memory");
    }
    png_chunk(&mut picture, b"IDAT", &pixels.finish().expect("writing to memory"));
    png_chunk(&mut picture, b"IEND", &[]);
    picture
}

/// Bytes that no compressor shortens, as a packed font is, behind its magic.
pub(super) fn font(size: usize) -> Vec<u8> {
    let mut numbers = Numbers::seeded("font");
    let noise = std::iter::repeat_with(|| numbers.next_u32().to_le_bytes()).flatten();
    b"wOF2".iter().copied().chain(noise).take(size).collect()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

const WORDS: &[&str] = &[
    "render", "mount", "state", "effect", "layout", "query", "route", "panel", "token", "widget",
    "series", "axis", "legend", "stream", "commit", "signal",
];

fn pick<'a>(words: &[&'a str], number: u32) -> &'a str {
    words[number as usize % words.len()]
}

/// `head`, then numbered pieces as long as they fit, then blank lines.
fn filled(head: String, size: usize, mut piece: impl FnMut(usize) -> String) -> Vec<u8> {
    let mut text = head;
    for index in 0.. {
        let piece = piece(index);
        if text.len() + piece.len() > size {
            break;
        }
        text.push_str(&piece);
    }
    let mut bytes = text.into_bytes();
    bytes.resize(size, b'\n');
    bytes
}

fn png_chunk(picture: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).expect("a chunk of a small picture");
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    picture.extend(length.to_be_bytes());
    picture.extend(kind);
    picture.extend(data);
    picture.extend(crc.sum().to_be_bytes());
}

/// A linear congruential generator (Knuth's MMIX constants): all that is asked
/// of it is to be the same everywhere and every time.
struct Numbers(u64);

impl Numbers {
    fn seeded(name: &str) -> Self {
        Self(name.bytes().fold(0x7469_6465, |seed, byte| seed * 31 + u64::from(byte)))
    }

    fn next_u32(&mut self) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_compresses_like_one_and_a_font_does_not() {
        let script = javascript("app", 60 * 1024);
        let font = font(24 * 1024);
        assert!(gzip(&script).len() * 2 < script.len());
        assert!(gzip(&font).len() >= font.len());
    }

    #[test]
    fn the_crc_of_an_empty_end_chunk_is_the_one_every_png_ends_with() {
        assert!(png(1).ends_with(b"\0\0\0\0IEND\xAE\x42\x60\x82"));
    }
}
