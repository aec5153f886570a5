//! `[upstreams]`: a folder of files in place of servers.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// A folder whose files are the answers (C7). What a request means there is
/// [`files`](crate::files)' to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Where it is; beside the policy file unless it is absolute.
    pub path: String,
    /// The name of the file that stands for a folder.
    #[serde(default = "index", skip_serializing_if = "is_default_index")]
    pub index: String,
    /// The path of what people get for pages that are no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Whether files have coded ones beside them.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub precompressed: bool,
}

/// Where the policy says nothing.
pub const INDEX: &str = "index.html";

fn index() -> String {
    INDEX.into()
}

fn is_default_index(name: &str) -> bool {
    name == INDEX
}
