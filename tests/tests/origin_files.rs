//! A folder of files in place of servers (C7).

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use tidegate_tests::{
    cache_status::CacheStatus,
    policy_file::PolicyFile,
    shim::{Shim, check},
    wire::{Request, Response},
};

const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// A small single-page app behind a shim.
struct App {
    folder: TempDir,
    _policy: PolicyFile,
    shim: Shim,
}

impl App {
    /// With these lines in its upstream, and these routes.
    fn with(upstream: &str, rest: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path();
        fs::create_dir_all(at.join("assets")).expect("a temporary folder");
        fs::create_dir_all(at.join("docs")).expect("a temporary folder");
        fs::create_dir_all(at.join("empty")).expect("a temporary folder");
        fs::create_dir_all(at.join(".well-known")).expect("a temporary folder");
        fs::write(at.join("index.html"), "<h1>app</h1>").expect("a temporary folder");
        fs::write(at.join("assets/app.js"), "const answer = 42;\n".repeat(100))
            .expect("a temporary folder");
        fs::write(at.join("docs/index.html"), "<h1>docs</h1>").expect("a temporary folder");
        fs::write(at.join("a b.txt"), "spaces").expect("a temporary folder");
        fs::write(at.join(".env"), "secret").expect("a temporary folder");
        fs::write(at.join(".well-known/security.txt"), "Contact: us").expect("a temporary folder");
        let policy = PolicyFile::with_text(&format!(
            "schema = 1\n[upstreams.app]\nfiles = \"{}\"\n{upstream}\n{rest}\n\
             [[routes]]\nname = \"app\"\nmatch = \"/*\"\nupstream = \"app\"\n",
            at.display()
        ));
        let shim = Shim::serve_policy(&policy);
        Self { folder, _policy: policy, shim }
    }

    fn plain() -> Self {
        Self::with("", "")
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn get(&self, target: &str) -> Response {
        self.shim.client().get(target)
    }

    fn ask(&self, target: &str, fields: &[(&str, &str)]) -> Response {
        self.send("GET", target, fields)
    }

    fn send(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Response {
        let request = Request::new(method, target);
        let with = |request: Request, (name, value): &(&str, &str)| request.header(name, value);
        self.shim.client().send(&fields.iter().fold(request, with))
    }
}

#[test]
fn c7_files_are_answers_with_types_and_validators() {
    let app = App::plain();
    let script = app.get("/assets/app.js");
    assert_eq!(script.status, 200);
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(script.header("content-length"), Some("1900"));
    assert_eq!(script.header("accept-ranges"), Some("bytes"));
    assert_eq!(script.body, "const answer = 42;\n".repeat(100).as_bytes());
    assert!(script.header("etag").is_some_and(|tag| tag.starts_with('"')), "a strong one");
    assert!(script.header("last-modified").is_some());
    assert_eq!(app.get("/").body, b"<h1>app</h1>");
    assert_eq!(app.get("/").header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(app.get("/a%20b.txt").body, b"spaces");
    let head = app.send("HEAD", "/assets/app.js", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("1900"));
    assert_eq!(head.header("etag"), script.header("etag"));
}

#[test]
fn c7_folders_are_their_index_and_are_not_listed() {
    let app = App::plain();
    assert_eq!(app.get("/docs/").body, b"<h1>docs</h1>");
    let redirect = app.get("/docs?v=1");
    assert_eq!(redirect.status, 301);
    assert_eq!(redirect.header("location"), Some("/docs/?v=1"));
    for path in ["/empty", "/empty/", "/assets", "/assets/"] {
        assert_eq!(app.get(path).status, 404, "{path}");
    }
}

#[test]
fn c7_nothing_hidden_and_nothing_outside_is_given() {
    let app = App::with("fallback = \"/index.html\"", "");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.txt"), "secret").unwrap();
    symlink(outside.path().join("secret.txt"), app.path("out.txt")).unwrap();
    symlink(outside.path(), app.path("out")).unwrap();
    symlink("assets/app.js", app.path("latest.js")).unwrap();
    assert_eq!(app.get("/latest.js").status, 200, "a link within");
    assert_eq!(app.get("/.well-known/security.txt").body, b"Contact: us");
    for path in [
        "/.env",
        "/%2eenv",
        "/assets/.hidden",
        "/out.txt",
        "/out/secret.txt",
        "/..%2f..%2fetc%2fpasswd",
        "/assets%2fapp.js",
        "/assets%5capp.js",
        "/assets//app.js",
        "/assets/app.js/",
        "/index.html%00.txt",
    ] {
        let answer = app.ask(path, &[("accept", HTML)]);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
    for path in ["/../../etc/passwd", "/assets/../../etc/passwd", "/%2e%2e/etc/passwd"] {
        assert_eq!(app.get(path).status, 400, "{path}");
    }
    assert_eq!(app.get("/assets/../a%20b.txt").body, b"spaces", "dots that stay within");
    let secret = outside.path().join("secret.txt");
    assert!(secret.is_file(), "there was something to find");
}

#[test]
fn c7_pages_fall_back_and_assets_do_not() {
    let app = App::with("fallback = \"/index.html\"", "");
    for path in ["/teams/7", "/teams/", "/nowhere?x=1.js"] {
        let page = app.ask(path, &[("accept", HTML)]);
        assert_eq!((page.status, &*page.body), (200, &b"<h1>app</h1>"[..]), "{path}");
        assert_eq!(page.header("vary"), Some("Accept"));
        let script = app.ask(path, &[("accept", "*/*")]);
        assert_eq!(script.status, 404, "{path} by a script");
        assert_eq!(script.header("vary"), Some("Accept"));
    }
    assert_eq!(app.ask("/assets/old.js", &[("accept", HTML)]).status, 404);
    assert_eq!(app.send("HEAD", "/teams/7", &[("accept", HTML)]).status, 200);
    assert_eq!(app.send("POST", "/teams/7", &[("accept", HTML)]).status, 405);
    let plain = App::plain();
    assert_eq!(plain.ask("/teams/7", &[("accept", HTML)]).status, 404);
}

#[test]
fn c7_files_are_only_read() {
    let app = App::plain();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let refused = app.send(method, "/index.html", &[]);
        assert_eq!(refused.status, 405, "{method}");
        assert_eq!(refused.header("allow"), Some("GET, HEAD"));
    }
    assert_eq!(fs::read(app.path("index.html")).unwrap(), b"<h1>app</h1>");
}

#[test]
fn c7_conditions_are_met() {
    let app = App::plain();
    let first = app.get("/index.html");
    let (tag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let long_ago = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (name, value, status) in [
        ("if-none-match", tag, 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"other\"", 200),
        ("if-modified-since", modified, 304),
        ("if-modified-since", long_ago, 200),
        ("if-match", tag, 200),
        ("if-match", "*", 200),
        ("if-match", "\"other\"", 412),
        ("if-unmodified-since", modified, 200),
        ("if-unmodified-since", long_ago, 412),
    ] {
        let answer = app.ask("/index.html", &[(name, value)]);
        assert_eq!(answer.status, status, "{name}: {value}");
        if status == 304 {
            assert_eq!(answer.header("etag"), Some(tag));
            assert_eq!(answer.header("content-type"), None);
            assert!(answer.body.is_empty());
        }
    }
    let both = [("if-none-match", "\"other\""), ("if-modified-since", modified)];
    assert_eq!(app.ask("/index.html", &both).status, 200, "the tag decides alone");
}

#[test]
fn c7_a_tag_tells_of_what_is_there_not_of_when() {
    let app = App::plain();
    let page = app.path("index.html");
    // As a build does that sets every file to the same time.
    let same = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let set = |text: &str| {
        fs::write(&page, text).unwrap();
        File::options().write(true).open(&page).unwrap().set_modified(same).unwrap();
    };
    set("<p>one</p>");
    let one = app.get("/");
    assert_eq!(one.header("last-modified"), None, "that time says nothing");
    set("<p>two</p>");
    let tag = one.header("etag").unwrap();
    let two = app.ask("/", &[("if-none-match", tag)]);
    assert_eq!((two.status, &*two.body), (200, &b"<p>two</p>"[..]));
    set("<p>one</p>");
    assert_eq!(app.ask("/", &[("if-none-match", tag)]).status, 304);
}

#[test]
fn c7_parts_of_small_and_long_files() {
    let app = App::plain();
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
    fs::write(app.path("long.bin"), &bytes).unwrap();
    fs::write(app.path("small.bin"), &bytes[..1000]).unwrap();
    for (path, all) in [("/long.bin", &bytes[..]), ("/small.bin", &bytes[..1000])] {
        let whole = app.get(path);
        assert!(whole.status == 200 && whole.body == all, "{path}");
        let length = all.len();
        for (range, from, to) in [
            ("bytes=0-9", 0, 10),
            ("bytes=500-", 500, length),
            ("bytes=-7", length - 7, length),
            ("bytes=990-99999999", 990, length),
        ] {
            let part = app.ask(path, &[("range", range)]);
            assert_eq!(part.status, 206, "{path} {range}");
            let expected = format!("bytes {from}-{}/{length}", to - 1);
            assert_eq!(part.header("content-range"), Some(&*expected));
            assert!(part.body == all[from..to], "{path} {range}");
        }
        let beyond = app.ask(path, &[("range", "bytes=99999999-")]);
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), Some(&*format!("bytes */{length}")));
        let tag = whole.header("etag").unwrap();
        let of = |tag: &str| app.ask(path, &[("range", "bytes=0-9"), ("if-range", tag)]).status;
        assert_eq!((of(tag), of("\"other\"")), (206, 200), "{path}");
        assert_eq!(app.ask(path, &[("range", "lines=1-2")]).status, 200);
        assert_eq!(app.send("HEAD", path, &[("range", "bytes=0-9")]).status, 200);
    }
    let several = app.ask("/small.bin", &[("range", "bytes=0-1, 4-5")]);
    assert_eq!(several.status, 206);
    assert!(several.header("content-type").unwrap().starts_with("multipart/byteranges"));
}

#[test]
fn c7_files_beside_a_file_go_out_by_what_the_client_likes() {
    let app = App::with("precompressed = true", "");
    for (suffix, content) in [("br", "BR"), ("gz", "GZ"), ("zst", "ZST")] {
        fs::write(app.path(&format!("assets/app.js.{suffix}")), content).unwrap();
    }
    let plain = app.get("/assets/app.js");
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("Accept-Encoding"));
    let mut tags = vec![plain.header("etag").unwrap().to_owned()];
    for (accepted, coding, body) in [
        ("gzip, deflate, br, zstd", "br", "BR"),
        ("gzip;q=1, br;q=0.2", "gzip", "GZ"),
        ("zstd", "zstd", "ZST"),
    ] {
        let coded = app.ask("/assets/app.js", &[("accept-encoding", accepted)]);
        assert_eq!(coded.header("content-encoding"), Some(coding), "{accepted}");
        assert_eq!(coded.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(coded.header("vary"), Some("Accept-Encoding"));
        assert_eq!(coded.body, body.as_bytes());
        tags.push(coded.header("etag").unwrap().to_owned());
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "each has a tag of its own");
    for accepted in ["identity", "br;q=0, gzip;q=0, zstd;q=0"] {
        let answer = app.ask("/assets/app.js", &[("accept-encoding", accepted)]);
        assert_eq!(answer.header("content-encoding"), None, "{accepted}");
    }
    // Where there is none, it is as it is.
    let page = app.ask("/index.html", &[("accept-encoding", "br")]);
    assert_eq!(page.header("content-encoding"), None);
}

#[test]
fn c7_p3_what_is_not_compressed_beforehand_is_on_its_way() {
    let compression = "[compression]\ncodings = [\"br\", \"gzip\"]\nmin_bytes = 100\n";
    let app = App::with("precompressed = true", compression);
    fs::write(app.path("assets/app.js.gz"), "GZ").unwrap();
    fs::write(app.path("assets/other.js"), "const other = 1;\n".repeat(100)).unwrap();
    let gzip = [("accept-encoding", "gzip")];
    assert_eq!(app.ask("/assets/app.js", &gzip).body, b"GZ", "as it lies there");
    let other = app.ask("/assets/other.js", &gzip);
    assert_eq!(other.header("content-encoding"), Some("gzip"));
    assert!(other.body.len() < 200, "{} bytes", other.body.len());
    let opted_out = [("accept-encoding", "gzip"), ("x-no-compression", "1")];
    assert_eq!(app.ask("/assets/app.js", &opted_out).header("content-encoding"), None);
}

#[test]
fn c7_each_coding_is_kept_for_who_takes_it() {
    let rest = "[compression]\n[[routes]]\nname = \"assets\"\nmatch = \"/assets/*\"\n\
        upstream = \"app\"\norigin = { mode = \"override\", ttl = \"1h\" }\n";
    let app = App::with("precompressed = true", rest);
    fs::write(app.path("assets/app.js.br"), "BR").unwrap();
    for hit in [false, true] {
        let plain = app.get("/assets/app.js");
        assert_eq!((plain.header("content-encoding"), plain.body.len()), (None, 1900));
        let coded = app.ask("/assets/app.js", &[("accept-encoding", "br")]);
        assert_eq!((coded.header("content-encoding"), &*coded.body), (Some("br"), &b"BR"[..]));
        for answer in [plain, coded] {
            assert_eq!(CacheStatus::of(&answer).hop("tidegate-origin").hit(), hit);
        }
    }
}

#[test]
fn c7_assets_are_kept_for_a_year_and_the_page_is_not() {
    let assets = "[[routes]]\nname = \"assets\"\n\
        match = \"/*.{js,css,png,jpg,jpeg,gif,ico,svg,woff,woff2}\"\nupstream = \"app\"\n\
        browser = \"immutable\"\norigin = { mode = \"override\", ttl = \"1h\" }\n";
    let app = App::with("fallback = \"/index.html\"", assets);
    let first = app.get("/assets/app.js");
    assert_eq!(first.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let second = app.get("/assets/app.js");
    assert!(CacheStatus::of(&second).hop("tidegate-origin").hit());
    assert_eq!(second.body, first.body);
    // It is in memory by now.
    fs::remove_file(app.path("assets/app.js")).unwrap();
    assert_eq!(app.get("/assets/app.js").status, 200);
    for _ in 0..2 {
        let page = app.ask("/teams/7", &[("accept", HTML)]);
        assert!(!CacheStatus::of(&page).hop("tidegate-origin").hit());
        assert_eq!(page.header("cache-control"), None);
    }
    let missing = app.get("/assets/none.js");
    assert_eq!(missing.status, 404);
}

#[test]
fn c7_limits_and_headers_count_for_files_too() {
    let rest = "[headers]\nx-frame-options = \"SAMEORIGIN\"\n\
        [limits.few]\nlimit = \"2 per 1h\"\nkey = \"client-ip\"\n\
        [[routes]]\nname = \"docs\"\nmatch = \"/docs/*\"\nupstream = \"app\"\nlimit = \"few\"\n";
    let app = App::with("", rest);
    let statuses: Vec<u16> = (0..3).map(|_| app.get("/docs/").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(app.get("/none.js").header("x-frame-options"), Some("SAMEORIGIN"));
}

#[test]
fn c7_a_folder_beside_the_policy_file_and_another_one_after_a_reload() {
    let text = |files: &str| {
        format!(
            "schema = 1\n[upstreams.app]\nfiles = \"{files}\"\n\
             [[routes]]\nname = \"app\"\nmatch = \"/*\"\nupstream = \"app\"\n"
        )
    };
    let policy = PolicyFile::with_text(&text("dist"));
    let beside = policy.path().parent().unwrap();
    for name in ["dist", "next"] {
        fs::create_dir(beside.join(name)).unwrap();
        fs::write(beside.join(name).join("index.html"), name).unwrap();
    }
    let mut shim = Shim::serve_policy(&policy);
    assert_eq!(shim.client().get("/").body, b"dist");
    assert_eq!(ready(&shim).0, 200);
    policy.rewrite(&text("next"));
    drop(shim.reload());
    assert_eq!(shim.client().get("/").body, b"next");
    // A release that is put into its place.
    fs::rename(beside.join("dist"), beside.join("old")).unwrap();
    fs::remove_dir_all(beside.join("next")).unwrap();
    assert_eq!(shim.client().get("/").status, 502);
    let (status, text) = ready(&shim);
    assert_eq!(status, 503);
    assert!(text.contains("The folder cannot be read."), "{text}");
    symlink(Path::new("old"), beside.join("next")).unwrap();
    assert_eq!(shim.client().get("/").body, b"dist");
}

fn ready(shim: &Shim) -> (u16, String) {
    let answer = shim.client().get("/ready");
    (answer.status, String::from_utf8(answer.body).expect("a text"))
}

#[test]
fn c7_a_folder_that_is_not_there_is_said_with_its_line() {
    let policy = PolicyFile::with_text(
        "schema = 1\n[upstreams.app]\nfiles = \"dist\"\n\
         [[routes]]\nname = \"app\"\nmatch = \"/*\"\nupstream = \"app\"\n",
    );
    let checked = check(&policy);
    assert!(checked.status.success(), "a warning: it may come with the deployment");
    assert!(checked.stderr.contains(":3:9: warning TG403"), "{}", checked.stderr);
    fs::create_dir(policy.path().with_file_name("dist")).unwrap();
    assert_eq!(check(&policy).stderr, "");
}
