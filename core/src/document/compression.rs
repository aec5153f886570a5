//! What the shim compresses, and how.

use alloc::format;
use alloc::vec::Vec;

use toml::Spanned;
use toml::de::DeValue;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText, Located};
use super::shape::Shape;
use crate::compress::{Coding, CodingRule, CompressionRule};
use crate::headers::media_type::MediaRange;
use crate::policy::Malformed;

section! {
    /// What the shim compresses, and how. It asks the origin for answers without coding and keeps
    /// them so; beside each it keeps what has been compressed of it, once for each coding. An
    /// answer that the origin has compressed, that says `no-transform`, or that is a part leaves as
    /// it is, and so does every answer to a request with the field `x-no-compression`.
    struct CompressionSection, "`[compression]`" {
        /// The codings, the preferred one first: it decides where the client has no preference.
        /// By default `["zstd", "br", "gzip"]`.
        optional codings: Located<Vec<Coding>>,
        /// Bodies shorter than this leave as they are: 1024 by default. A body whose length is not
        /// known before its end is compressed as it comes, and never held back.
        optional min_bytes: u32,
        /// How hard to try.
        optional levels: LevelsTable,
        /// The media types that are compressed: `text/html`, `text/*`, `application/*+json`. By
        /// default `["text/*", "application/json", "application/*+json", "application/javascript",
        /// "application/x-javascript", "application/xml", "application/*+xml", "application/wasm",
        /// "image/svg+xml"]`. Server-sent events are meant by `text/event-stream` alone.
        optional types: Located<Vec<Located<MediaRange>>>,
        /// Whether answers for one person are compressed as well. By default they are not: where a
        /// page holds a secret beside something that the request said, its compressed length gives
        /// the secret away letter by letter (BREACH). For one person is what is asked for with a
        /// cookie, or with an `Authorization` that browsers send of their own accord (all but
        /// `Bearer` and `DPoP`), and what the origin calls `private`; unless it is kept for everybody
        /// or the origin says `public` or `s-maxage`.
        optional personal: bool,
    }
}

section! {
    /// How hard to try. Higher is smaller and slower.
    struct LevelsTable, "`levels`" {
        /// 1 to 9; 6 by default.
        optional gzip: Located<u32>,
        /// 0 to 11; 5 by default. From 10 on, a megabyte takes a core about a second.
        optional br: Located<u32>,
        /// 1 to 19; 3 by default.
        optional zstd: Located<u32>,
    }
}

words!(Coding, "coding", { "zstd" => Self::Zstd, "br" => Self::Br, "gzip" => Self::Gzip });

/// `compression = false`, or a table.
#[derive(Debug)]
pub(super) enum RouteCompression {
    /// All or nothing.
    Switch(bool),
    /// What differs.
    Table(CompressionSection),
}

impl Decode for RouteCompression {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Flag, CompressionSection::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        match value.get_ref().as_bool() {
            Some(switch) => Some(Self::Switch(switch)),
            None => CompressionSection::decode(value, context).map(Self::Table),
        }
    }
}

impl FromText for MediaRange {
    fn shape() -> Shape {
        Shape::Text("a media type, like `text/html`, `text/*` or `application/*+json`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        let bad = |_| {
            Malformed::new(
                format!("`{text}` is no media type"),
                "write it without parameters, like `text/html`, `text/*` or `application/*+json`",
            )
        };
        Self::parse(text).map_err(bad)
    }
}

/// The rules of compression that routes refer to, each once.
pub(super) struct Rules {
    base: Option<CompressionRule>,
    list: Vec<CompressionRule>,
}

impl Rules {
    /// With what `[compression]` says, if it is there.
    pub(super) fn new(section: Option<CompressionSection>, context: &mut Context<'_>) -> Self {
        let base = section.map(|section| resolve(section, CompressionRule::default(), context));
        Self { base, list: Vec::new() }
    }

    /// The position of the rule for a route that says this.
    pub(super) fn of(
        &mut self,
        said: Option<RouteCompression>,
        context: &mut Context<'_>,
    ) -> Option<usize> {
        let rule = match said {
            None => self.base.clone()?,
            Some(RouteCompression::Switch(false)) => return None,
            Some(RouteCompression::Switch(true)) => self.base.clone().unwrap_or_default(),
            Some(RouteCompression::Table(section)) => {
                resolve(section, self.base.clone().unwrap_or_default(), context)
            }
        };
        let known = self.list.iter().position(|other| *other == rule);
        Some(known.unwrap_or_else(|| {
            self.list.push(rule);
            self.list.len() - 1
        }))
    }

    /// All rules, by position.
    pub(super) fn into_list(self) -> Vec<CompressionRule> {
        self.list
    }
}

/// What a section says, and `base` where it says nothing.
fn resolve(
    section: CompressionSection,
    base: CompressionRule,
    context: &mut Context<'_>,
) -> CompressionRule {
    let CompressionSection { codings, min_bytes, levels, types, personal } = section;
    let levels = levels.map(|table| table.checked(context)).unwrap_or_default();
    let before = |coding| base.codings.iter().find(|rule| rule.coding == coding);
    let named = |coding: Coding| levels.iter().find(|(other, _)| *other == coding);
    let level = |coding: Coding| match named(coding) {
        Some((_, level)) => *level,
        None => before(coding).map_or_else(|| coding.default_level(), |rule| rule.level),
    };
    let codings = match codings {
        Some(codings) => once_each(codings, context),
        None => base.codings.iter().map(|rule| rule.coding).collect(),
    };
    CompressionRule {
        codings: codings
            .into_iter()
            .map(|coding| CodingRule { coding, level: level(coding) })
            .collect(),
        min_bytes: min_bytes.unwrap_or(base.min_bytes),
        types: match types {
            Some(types) => compressible(types, context),
            None => base.types.clone(),
        },
        personal: personal.unwrap_or(base.personal),
    }
}

fn once_each(codings: Located<Vec<Coding>>, context: &mut Context<'_>) -> Vec<Coding> {
    let Located { value: codings, span } = codings;
    if codings.is_empty() {
        let hint =
            "name at least one of `zstd`, `br` and `gzip`; a route says `compression = false`";
        context.report(span.clone(), "without a coding nothing is compressed", hint);
    }
    let double = (1..codings.len()).find(|at| codings[..*at].contains(&codings[*at]));
    if let Some(at) = double {
        let message = format!("`{}` stands twice", codings[at].as_str());
        context.report(span, message, "name each coding once, the preferred one first");
    }
    codings
}

fn compressible(
    types: Located<Vec<Located<MediaRange>>>,
    context: &mut Context<'_>,
) -> Vec<MediaRange> {
    let Located { value: types, span } = types;
    if types.is_empty() {
        let hint = "name at least one, like `text/*`; a route says `compression = false`";
        context.report(span, "without a media type nothing is compressed", hint);
    }
    for Located { value, span } in &types {
        if is_compressed_already(value.as_str()) {
            context.report(
                span.clone(),
                format!("`{}` is compressed already", value.as_str()),
                "leave it out: compressing it again takes time and saves nothing",
            );
        }
    }
    types.into_iter().map(|located| located.value).collect()
}

/// What gains nothing: most of images, sound, video, packed fonts and archives. All of a kind
/// would hold some of these.
fn is_compressed_already(range: &str) -> bool {
    let (kind, subtype) = range.split_once('/').unwrap_or((range, ""));
    match kind {
        "audio" | "video" => true,
        "image" => !matches!(
            subtype,
            "svg+xml" | "*+xml" | "bmp" | "x-icon" | "vnd.microsoft.icon" | "x-ms-bmp" | "tiff"
        ),
        "font" => matches!(subtype, "*" | "woff" | "woff2"),
        "application" => matches!(
            subtype,
            "*" | "zip"
                | "gzip"
                | "x-gzip"
                | "zstd"
                | "x-brotli"
                | "x-bzip2"
                | "x-xz"
                | "x-7z-compressed"
                | "vnd.rar"
                | "java-archive"
                | "font-woff"
                | "*+zip"
                | "*+gzip"
                | "*+zstd"
        ),
        _ => false,
    }
}

impl LevelsTable {
    /// The levels that are given, each within what its coding has.
    fn checked(self, context: &mut Context<'_>) -> Vec<(Coding, u32)> {
        let Self { gzip, br, zstd } = self;
        let given = [(Coding::Gzip, gzip), (Coding::Br, br), (Coding::Zstd, zstd)];
        let mut levels = Vec::new();
        for (coding, level) in given {
            let Some(Located { value, span }) = level else { continue };
            let (lowest, highest) = coding.levels();
            if !(lowest..=highest).contains(&value) {
                let message = format!("{} has no level {value}", coding.as_str());
                context.report(span, message, format!("write a number from {lowest} to {highest}"));
            }
            levels.push((coding, value));
        }
        levels
    }
}
