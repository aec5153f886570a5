//! `files` in `[upstreams]`: a folder in place of servers.

use alloc::format;
use alloc::string::String;
use core::ops::Range;

use super::decode::{Context, Located};
use super::upstreams::UpstreamSection;
use crate::files::Name;
use crate::policy::Folder;
use crate::policy::folder::INDEX;

/// The folder `files`, as the rest of its section says.
pub(super) fn resolve(
    files: Located<String>,
    section: UpstreamSection,
    context: &mut Context<'_>,
) -> Folder {
    if files.value.is_empty() || files.value.contains('\0') {
        context.report(files.span, "this is no folder", "write, say, `/srv/app/dist`");
    }
    let UpstreamSection { index, fallback, precompressed, .. } = section;
    if let Some(index) = &index {
        let name = &index.value;
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            let message = format!("`{}` is no name of a file", name.escape_debug());
            context.report(index.span.clone(), message, "write, say, `index.html`");
        }
    }
    let index = index.map_or_else(|| INDEX.into(), |index| index.value);
    let precompressed = precompressed.is_some_and(|switch| switch.value);
    let mut folder = Folder { path: files.value, index, fallback: None, precompressed };
    if let Some(Located { value: path, span }) = fallback {
        if Name::of(&folder, &path).is_none() {
            let message = format!("`{}` is no path of a file", path.escape_debug());
            context.report(span, message, "write, say, `/index.html`");
        }
        folder.fallback = Some(path);
    }
    folder
}

/// What means something with `files` alone.
pub(super) fn refuse_fields_of_files(section: &UpstreamSection, context: &mut Context<'_>) {
    let UpstreamSection { index, fallback, precompressed, .. } = section;
    let span = |field: &Option<Located<String>>| field.as_ref().map(|field| field.span.clone());
    let fields: [(&str, Option<Range<usize>>); 3] = [
        ("index", span(index)),
        ("fallback", span(fallback)),
        ("precompressed", precompressed.as_ref().map(|field| field.span.clone())),
    ];
    for (name, span) in fields.into_iter().filter_map(|(name, span)| Some((name, span?))) {
        let message = format!("`{name}` means nothing beside `servers`");
        context.report(span, message, "leave it out, or name a folder in `files`");
    }
}

/// What means something with `servers` alone.
pub(super) fn refuse_fields_of_servers(
    section: &UpstreamSection,
    files: &Located<String>,
    context: &mut Context<'_>,
) {
    let fields = [
        ("balance", section.balance.is_some()),
        ("keepalive", section.keepalive.is_some()),
        ("connect_timeout", section.connect_timeout.is_some()),
        ("send_timeout", section.send_timeout.is_some()),
        ("head_timeout", section.head_timeout.is_some()),
        ("read_timeout", section.read_timeout.is_some()),
        ("tunnel_timeout", section.tunnel_timeout.is_some()),
        ("max_connections", section.max_connections.is_some()),
        ("queue", section.queue.is_some()),
        ("health", section.health.is_some()),
        ("eject", section.eject.is_some()),
        ("retry", section.retry.is_some()),
        ("breaker", section.breaker.is_some()),
    ];
    for (name, _) in fields.into_iter().filter(|(_, is_given)| *is_given) {
        let message = format!("`{name}` means nothing beside `files`");
        context.report(files.span.clone(), message, "leave it out, or name `servers`");
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::super::read;
    use super::*;

    fn read_one(section: &str) -> Result<Folder, String> {
        let source = format!("schema = 1\n[upstreams.app]\n{section}\n");
        let policy = read(&source, &|_| None).map_err(|report| report.to_string())?;
        assert!(policy.model().upstreams.is_empty());
        Ok(policy.model().folders["app"].clone())
    }

    #[test]
    fn c7_a_folder_needs_no_more_than_its_place() {
        let plain = Folder {
            path: "/srv/app".into(),
            index: "index.html".into(),
            fallback: None,
            precompressed: false,
        };
        assert_eq!(read_one("files = \"/srv/app\""), Ok(plain.clone()));
        let all = "files = \"/srv/app\"\nindex = \"main.htm\"\nfallback = \"/\"\n\
            precompressed = true";
        let expected = Folder {
            index: "main.htm".into(),
            fallback: Some("/".into()),
            precompressed: true,
            ..plain
        };
        assert_eq!(read_one(all), Ok(expected));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (section, message) in [
            ("", "neither `servers` nor `files`"),
            ("files = \"a\"\nservers = \"a:1\"", "has both `servers` and `files`"),
            ("files = \"a\"\nkeepalive = 5", "`keepalive` means nothing beside `files`"),
            ("files = \"a\"\nbreaker = true", "`breaker` means nothing beside `files`"),
            ("servers = \"a:1\"\nindex = \"a\"", "`index` means nothing beside `servers`"),
            ("servers = \"a:1\"\nprecompressed = false", "means nothing beside `servers`"),
            ("files = \"\"", "this is no folder"),
            ("files = \"a\"\nindex = \"a/b\"", "`a/b` is no name of a file"),
            ("files = \"a\"\nfallback = \"index.html\"", "`index.html` is no path of a file"),
            ("files = \"a\"\nfallback = \"/../x\"", "is no path of a file"),
        ] {
            let report = read_one(section).unwrap_err();
            assert!(report.contains(message), "{section}: {report}");
        }
        let wrong = read_one("servers = 5").unwrap_err();
        assert!(!wrong.contains("neither"), "one error, not two: {wrong}");
    }
}
