//! What is measured: Workers, and the requests that each is asked.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;

/// Ours.
pub(crate) const TIDEGATE: &str = "tidegate";
/// The same behaviour, written by hand in JavaScript.
pub(crate) const BY_HAND: &str = "hand-written";
/// The usual middleware.
pub(crate) const HONO: &str = "hono";
/// Nothing but an answer: what workerd costs by itself.
const CONSTANT: &str = "constant";

/// An answer out of the Cache API.
pub(crate) const HIT: &str = "HIT, Cache API";

/// An answer out of the isolate's memory.
pub(crate) const MEMORY: &str = "HIT, memory";

/// So many URLs are asked for in turns.
pub(crate) const URLS: u64 = 16;

/// A built Worker, in a folder of its own.
pub(crate) struct Worker {
    pub(crate) name: &'static str,
    pub(crate) folder: PathBuf,
    /// The first is what workerd begins with.
    pub(crate) modules: Vec<&'static str>,
    pub(crate) workerd: PathBuf,
}

/// A kind of request.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    begin: &'static str,
    /// Each request is for another URL.
    is_new: bool,
    /// Of the expected body.
    pub(crate) length: usize,
    pub(crate) status: StatusCode,
    /// How many questions to the origin and to the cache an answer takes.
    pub(crate) questions: (u64, u64),
    /// Whose row it is; everybody's without a name, but for `constant`.
    of: Option<&'static str>,
}

///
/// What is one byte longer than the worker's memory takes (`policy.toml`) comes out of the Cache
/// API each time, and costs the same to a byte.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: HIT,
        begin: "/stored/1025/",
        is_new: false,
        length: 1025,
        status: StatusCode::OK,
        questions: (0, 1),
        of: None,
    },
    Row {
        name: MEMORY,
        begin: "/stored/1024/",
        is_new: false,
        length: 1024,
        status: StatusCode::OK,
        questions: (0, 0),
        of: Some(TIDEGATE),
    },
    Row {
        name: "MISS",
        begin: "/stored/1024/miss-",
        is_new: true,
        length: 1024,
        status: StatusCode::OK,
        questions: (1, 1),
        of: None,
    },
    Row {
        name: "bypass",
        begin: "/passed/1024/",
        is_new: false,
        length: 1024,
        status: StatusCode::OK,
        questions: (1, 0),
        of: None,
    },
    Row {
        name: "429",
        begin: "/limited/1024/",
        is_new: false,
        length: 0,
        status: StatusCode::TOO_MANY_REQUESTS,
        questions: (0, 0),
        of: None,
    },
    Row {
        name: "nothing but an answer",
        begin: "/stored/1024/",
        is_new: false,
        length: 1024,
        status: StatusCode::OK,
        questions: (0, 0),
        of: Some(CONSTANT),
    },
];

impl Row {
    pub(crate) fn target(&self, turn: u64) -> String {
        format!("{}{}", self.begin, if self.is_new { turn } else { turn % URLS })
    }

    /// An error unless it took the questions that it should, but for the few after which the
    /// worker looks anew for what it has in memory.
    pub(crate) fn judge(
        &self,
        worker: &Worker,
        requests: u64,
        origin: u64,
        cache: u64,
    ) -> io::Result<()> {
        let (from_origin, from_cache) = self.questions;
        let is_so = |asked: u64, each: u64| asked.abs_diff(requests * each) <= 2 * URLS;
        if is_so(origin, from_origin) && is_so(cache, from_cache) {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{}, {}: {requests} requests, {origin} questions to the origin and {cache} to the cache",
            self.name, worker.name
        )))
    }

    pub(crate) fn is_of(&self, worker: &Worker) -> bool {
        self.of.map_or(worker.name != CONSTANT, |of| of == worker.name)
    }
}

impl Worker {
    /// Those that `cargo xtask bench edge` has laid out.
    pub(crate) fn all() -> io::Result<Vec<Self>> {
        let place = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| not_called(name));
        let (home, workerd) = (place("TIDEGATE_BENCH_EDGE")?, place("TIDEGATE_WORKERD")?);
        let worker = |name, modules| Self {
            name,
            folder: home.join(name),
            modules,
            workerd: workerd.clone(),
        };
        Ok(vec![
            worker(TIDEGATE, vec!["index.js", "index_bg.wasm"]),
            worker(BY_HAND, vec!["index.js"]),
            worker(HONO, vec!["index.js"]),
            worker(CONSTANT, vec!["index.js"]),
        ])
    }

    /// The bytes of its modules, as they are and gzipped.
    pub(crate) fn size(&self) -> io::Result<(usize, usize)> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut plain = 0;
        for module in &self.modules {
            let bytes = fs::read(self.folder.join(Path::new(module)))?;
            plain += bytes.len();
            encoder.write_all(&bytes)?;
        }
        Ok((plain, encoder.finish()?.len()))
    }
}

fn not_called(name: &str) -> io::Error {
    io::Error::other(format!("{name} is not set: call it by `cargo xtask bench edge`"))
}
