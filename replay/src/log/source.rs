//! Where a log comes from: a file or standard input, plain, gzipped or compressed with zstd.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

/// A log that is open.
pub struct Source {
    /// Its text.
    pub text: Box<dyn Read>,
    /// How many bytes it has as it lies there; nobody knows of standard input.
    pub size: Option<u64>,
    /// How many of those were read.
    pub read: Arc<AtomicU64>,
}

/// Opens a log; `-` is standard input. By its first bytes it is seen whether it is compressed.
pub fn open(path: &Path) -> io::Result<Source> {
    let (raw, size): (Box<dyn Read>, _) = match path == Path::new("-") {
        true => (Box::new(io::stdin().lock()), None),
        false => {
            let file = File::open(path)?;
            let meta = file.metadata()?;
            if meta.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            (Box::new(file), meta.is_file().then_some(meta.len()))
        }
    };
    let read = Arc::new(AtomicU64::new(0));
    let text = text(Counted { raw, read: Arc::clone(&read) })?;
    Ok(Source { text, size, read })
}

/// What `raw` is once it is decompressed.
fn text(raw: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut raw = BufReader::with_capacity(1 << 16, raw);
    Ok(match raw.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(raw)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(raw)?),
        _ => Box::new(raw),
    })
}

/// Counts what is read.
struct Counted<R> {
    raw: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.raw.read(into)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
