//! KV as commands reach it: by wrangler, which knows the namespace and who is logged in.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

/// The binding in `wrangler.toml`.
const BINDING: &str = "TIDEGATE";
/// What wrangler says of a key that is not there.
const ABSENT: [&str; 2] = ["Value not found", "key not found"];
/// A longer value goes by a file: systems bound the length of an argument.
const ARGUMENT_MAX: usize = 64 * 1024;
/// When what was written is in force.
pub(super) const DELAY: &str = "The edge follows within a minute as a rule, two at most.";

/// How KV is reached.
#[derive(Args)]
pub(crate) struct KvArgument {
    /// The KV of `wrangler dev` on this machine, in place of Cloudflare's
    #[arg(long)]
    pub(super) local: bool,
    /// How wrangler is called, with options of your own if need be
    #[arg(long, value_name = "COMMAND", default_value = "npx wrangler", env = "TIDEGATE_WRANGLER")]
    pub(super) wrangler: String,
}

/// The namespace.
pub(super) struct Kv {
    wrangler: String,
    is_local: bool,
}

/// A file for one call, gone with it.
struct Passed(PathBuf);

impl KvArgument {
    pub(super) fn open(&self) -> Kv {
        Kv { wrangler: self.wrangler.clone(), is_local: self.local }
    }
}

impl Kv {
    /// What lies at `key`; every value of ours begins with `begin`.
    pub(super) fn get(&self, key: &str, begin: &str) -> Result<Option<String>, Box<dyn Error>> {
        let (is_good, told, complaint) = self.run("get", key, &["--text"])?;
        let is_absent = |text: &str| ABSENT.iter().any(|absent| text.contains(absent));
        if is_absent(&complaint) || told.trim() == ABSENT[0] {
            return Ok(None);
        }
        match is_good {
            // wrangler may say something of its own before it.
            true => Ok(Some(told[told.find(begin).unwrap_or(0)..].trim().into())),
            false => Err(self.failed("get", key, &["--text"], &told, &complaint).into()),
        }
    }

    pub(super) fn put(&self, key: &str, value: &str) -> Result<(), Box<dyn Error>> {
        if value.len() <= ARGUMENT_MAX {
            return self.do_it("put", key, &[value]);
        }
        let passed = Passed::new(value)?;
        self.do_it("put", key, &["--path", &passed.0.display().to_string()])
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), Box<dyn Error>> {
        self.do_it("delete", key, &[])
    }

    fn do_it(&self, verb: &str, key: &str, more: &[&str]) -> Result<(), Box<dyn Error>> {
        let (is_good, told, complaint) = self.run(verb, key, more)?;
        match is_good {
            true => Ok(()),
            false => Err(self.failed(verb, key, more, &told, &complaint).into()),
        }
    }

    fn arguments(&self, verb: &str, key: &str, more: &[&str]) -> Vec<String> {
        let place = if self.is_local { "--local" } else { "--remote" };
        let all = ["kv", "key", verb, key].into_iter().chain(more.iter().copied());
        all.chain(["--binding", BINDING, place]).map(String::from).collect()
    }

    /// The call as somebody would write it.
    pub(super) fn shown(&self, verb: &str, key: &str, more: &[&str]) -> String {
        let arguments = self.arguments(verb, key, more);
        let quoted = arguments.iter().map(|text| match text.contains(['{', ' ', '"']) {
            true => format!("'{}'", text.replace('\'', r"'\''")),
            false => text.clone(),
        });
        let quoted: Vec<String> = quoted.collect();
        format!("{} {}", self.wrangler, quoted.join(" "))
    }

    /// Whether wrangler was content, what it said, and what it complained of.
    fn run(
        &self,
        verb: &str,
        key: &str,
        more: &[&str],
    ) -> Result<(bool, String, String), Box<dyn Error>> {
        self.call(&self.arguments(verb, key, more))
    }

    /// The names of the secrets that the Worker has; `None` where nobody can tell.
    pub(super) fn secrets(&self) -> Option<Vec<String>> {
        if self.is_local {
            return None;
        }
        let call = ["secret", "list", "--format", "json"].map(String::from);
        let (_, told, _) = self.call(&call).ok().filter(|(is_good, ..)| *is_good)?;
        let list = serde_json::from_str(told.get(told.find('[')?..)?);
        let list: serde_json::Value = list.ok()?;
        let name = |secret: &serde_json::Value| Some(secret["name"].as_str()?.to_owned());
        Some(list.as_array()?.iter().filter_map(name).collect())
    }

    fn call(&self, arguments: &[String]) -> Result<(bool, String, String), Box<dyn Error>> {
        let mut words = self.wrangler.split_whitespace();
        let program = words.next().ok_or("--wrangler names no command")?;
        let mut command = Command::new(program);
        command.args(words).args(arguments).env("WRANGLER_HIDE_BANNER", "true");
        let output = command.env("NO_COLOR", "1").output().map_err(|error| {
            format!(
                "`{program}` cannot be run: {error}\n= hint: install Node.js, and wrangler by \
                 `npm install` beside wrangler.toml; --wrangler COMMAND names another"
            )
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
    }

    fn failed(&self, verb: &str, key: &str, more: &[&str], told: &str, complaint: &str) -> String {
        format!(
            "wrangler could not do it:\n{}{}\n= hint: run this here in the folder of wrangler.toml, \
             with its `[[kv_namespaces]]` in place and `npx wrangler login` done, or by \
             yourself: {}",
            told.trim_start(),
            complaint.trim(),
            self.shown(verb, key, more)
        )
    }
}

impl Passed {
    /// Nobody else's: it must not be there yet.
    fn new(value: &str) -> Result<Self, Box<dyn Error>> {
        let id = std::process::id();
        let names = (0..100).map(|n| std::env::temp_dir().join(format!("tidegate-{id}-{n}.json")));
        for path in names {
            let mut options = fs::OpenOptions::new();
            let Ok(mut file) = options.write(true).create_new(true).open(&path) else { continue };
            let passed = Self(path);
            file.write_all(value.as_bytes())?;
            return Ok(passed);
        }
        Err(format!("no file can be written in {}", std::env::temp_dir().display()).into())
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
