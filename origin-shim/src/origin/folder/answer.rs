//! What HTTP has to say of a file.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE,
    ETAG, HeaderMap, HeaderValue, LAST_MODIFIED, LOCATION, RANGE, VARY,
};
use http::{Method, Response, StatusCode};
use tidegate_core::files::{self, Name};
use tidegate_core::headers::accept_encoding::Coding;
use tidegate_core::headers::http_date::HttpDate;
use tidegate_core::partial::{self, Selection};
use tidegate_core::respond::Problem;
use tidegate_core::{Timestamp, conditional};

use super::Folder;
use super::body::FileBody;
use super::content::{self, Content};
use super::open::{Found, Root};
use crate::multipart;
use crate::upstream::Question;

type Answer = Response<FileBody>;

impl Folder {
    /// The answer to `question`. An error is that of the folder, or of the disk.
    pub(super) fn answer(&self, question: &Question, now: Timestamp) -> io::Result<Answer> {
        if !matches!(question.method, Method::GET | Method::HEAD) {
            let mut response = refusal(&Problem::only_read(), question);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response);
        }
        let root = Root::open(&self.path)?;
        let (path, query) = match question.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*question.target, None),
        };
        let Some(name) = Name::of(&self.rule, path) else { return Ok(missing(question)) };
        match root.look(&name)? {
            Found::File(file, metadata) => self.file(&root, &name, (file, metadata), question, now),
            Found::Folder if !path.ends_with('/') && self.has_index(&root, &name)? => {
                Ok(with_slash(path, query))
            }
            Found::Folder | Found::Nothing => self.fall_back(&root, path, question, now),
        }
    }

    fn has_index(&self, root: &Root, folder: &Name) -> io::Result<bool> {
        Ok(matches!(root.look(&folder.index(&self.rule))?, Found::File(..)))
    }

    /// The answer where there is no file.
    fn fall_back(
        &self,
        root: &Root,
        path: &str,
        question: &Question,
        now: Timestamp,
    ) -> io::Result<Answer> {
        if !files::may_fall_back(&self.rule, path) {
            return Ok(missing(question));
        }
        let fallback = self.rule.fallback.as_deref().filter(|_| files::falls_back(&question.head));
        let fallback = fallback.and_then(|path| Name::of(&self.rule, path));
        let found =
            fallback.map(|name| Ok::<_, io::Error>((root.look(&name)?, name))).transpose()?;
        let mut response = match found {
            Some((Found::File(file, metadata), name)) => {
                self.file(root, &name, (file, metadata), question, now)?
            }
            _ => missing(question),
        };
        response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }

    /// The answer that is the file `name`, or one beside it.
    fn file(
        &self,
        root: &Root,
        name: &Name,
        plain: (File, Metadata),
        question: &Question,
        now: Timestamp,
    ) -> io::Result<Answer> {
        let mut coding = None;
        let (mut file, mut metadata) = plain;
        if self.rule.precompressed {
            for liked in files::codings(&question.head) {
                if let Found::File(coded, of_coded) = root.look(&name.coded(liked))? {
                    (file, metadata, coding) = (coded, of_coded, Some(liked));
                    break;
                }
            }
        }
        let content = Content::read(file, &metadata)?;
        let head = self.head(name, coding, &content, &metadata, now);
        Ok(conclude(content, head, question, now))
    }

    /// What there is to say of a file, whichever part of it goes out.
    fn head(
        &self,
        name: &Name,
        coding: Option<Coding>,
        content: &Content,
        metadata: &Metadata,
        now: Timestamp,
    ) -> HeaderMap {
        let mut head = HeaderMap::with_capacity(10);
        head.insert(CONTENT_TYPE, content_type(name));
        head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if self.rule.precompressed {
            head.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if let Some(coding) = coding {
            head.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        }
        let modified = content::modified(metadata).map(|modified| HttpDate(modified).to_string());
        let tag = content.tag(metadata);
        let date = HttpDate(now).to_string();
        for (name, value) in [(ETAG, Some(tag)), (LAST_MODIFIED, modified), (DATE, Some(date))] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                head.insert(name, value);
            }
        }
        head
    }
}

/// The file, the part of it that is asked for, or why it need not or must not be sent (RFC 9110
/// §13.2.2).
fn conclude(content: Content, mut head: HeaderMap, question: &Question, now: Timestamp) -> Answer {
    let asked = &question.head;
    if conditional::is_forbidden(asked, &head, now) {
        return refusal(&Problem::condition_failed(), question);
    }
    let is_conditional =
        ["if-none-match", "if-modified-since"].iter().any(|c| asked.contains_key(*c));
    if is_conditional && conditional::is_not_modified(asked, &head, now) {
        head.remove(CONTENT_TYPE);
        head.remove(CONTENT_ENCODING);
        return with(StatusCode::NOT_MODIFIED, head, FileBody::whole(Default::default()));
    }
    let length = content.length();
    let selection = match question.method == Method::GET && asked.contains_key(RANGE) {
        true => usize::try_from(length)
            .map_or(Selection::Whole, |length| partial::select(None, length, asked, &head, now)),
        false => Selection::Whole,
    };
    let (status, length, body) = match (selection, content) {
        (Selection::Piece { bytes, content_range }, content) => {
            insert(&mut head, CONTENT_RANGE, content_range);
            let bytes = bytes.start as u64..bytes.end as u64;
            (StatusCode::PARTIAL_CONTENT, bytes.end - bytes.start, content.part(bytes))
        }
        (Selection::Pieces(pieces), Content::Whole(whole)) => {
            let own = head.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let (content_type, body) = multipart::byteranges(&whole, &pieces, own);
            insert(&mut head, CONTENT_TYPE, content_type);
            (StatusCode::PARTIAL_CONTENT, body.len() as u64, FileBody::whole(body))
        }
        (Selection::Unsatisfiable { length }, _) => {
            insert(&mut head, CONTENT_RANGE, format_args!("bytes */{length}"));
            head.remove(CONTENT_ENCODING);
            (StatusCode::RANGE_NOT_SATISFIABLE, 0, FileBody::whole(Default::default()))
        }
        // A server may send the whole in place of several parts (RFC 9110 §14.2).
        (_, content) => (StatusCode::OK, length, content.part(0..length)),
    };
    head.insert(CONTENT_LENGTH, length.into());
    match question.method == Method::HEAD {
        true => with(status, head, FileBody::whole(Default::default())),
        false => with(status, head, body),
    }
}

fn insert(head: &mut HeaderMap, name: http::HeaderName, value: impl std::fmt::Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        head.insert(name, value);
    }
}

fn with(status: StatusCode, head: HeaderMap, body: FileBody) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = head;
    response
}

fn missing(question: &Question) -> Answer {
    refusal(&Problem::no_file(), question)
}

/// An answer that is no file. What caches make of it is the policy's to say.
fn refusal(problem: &Problem, question: &Question) -> Answer {
    let body = problem.body();
    let mut head = HeaderMap::new();
    head.insert(CONTENT_TYPE, HeaderValue::from_static(problem.content_type()));
    head.insert(CONTENT_LENGTH, (body.len() as u64).into());
    let status = StatusCode::from_u16(problem.status).unwrap_or_default();
    let body = if question.method == Method::HEAD { String::new() } else { body };
    with(status, head, FileBody::whole(body.into()))
}

/// Where the index of a folder is, so that what it refers to is found beside it.
fn with_slash(path: &str, query: Option<&str>) -> Answer {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut head = HeaderMap::new();
    insert(&mut head, LOCATION, format_args!("{path}/{query}"));
    head.insert(CONTENT_LENGTH, 0.into());
    with(StatusCode::MOVED_PERMANENTLY, head, FileBody::whole(Default::default()))
}

/// By what stands behind the last dot of its name.
fn content_type(name: &Name) -> HeaderValue {
    let extension = Path::new(OsStr::from_bytes(name.as_bytes())).extension();
    let extension = extension.and_then(OsStr::to_str).unwrap_or_default();
    let guess = mime_guess::from_ext(extension).first();
    let text = match guess {
        Some(guess) if guess.type_() == "text" => format!("{guess}; charset=utf-8"),
        Some(guess) => guess.to_string(),
        None => "application/octet-stream".into(),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
