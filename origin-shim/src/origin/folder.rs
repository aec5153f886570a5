//! A folder of files, asked as servers are (C7). What a request means there is the core's to say
//! (`tidegate_core::files`); here are the files, and what HTTP has to say of one.

mod answer;
mod body;
mod content;
mod open;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Response;
use tidegate_core::{Policy, policy};

use super::AnswerBody;
use crate::clock;
use crate::upstream::{Question, UpstreamError};

pub use body::FileBody;

/// The folders of a policy, by name.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// What they are beside whose paths are not absolute.
    beside: PathBuf,
    by_name: BTreeMap<String, Arc<Folder>>,
}

/// A folder whose files are answers.
#[derive(Debug)]
pub struct Folder {
    name: String,
    rule: policy::Folder,
    path: PathBuf,
}

impl Folders {
    /// Those of `policy`, whose file is in the folder `beside`.
    pub fn new(policy: &Policy, beside: &Path) -> Self {
        let folders = policy.model().folders.iter();
        let by_name = folders.map(|(name, rule)| {
            let path = beside.join(&rule.path);
            (name.clone(), Arc::new(Folder { name: name.clone(), rule: rule.clone(), path }))
        });
        Self { beside: beside.into(), by_name: by_name.collect() }
    }

    /// Those of another policy in the same place.
    #[must_use]
    pub fn succeed(&self, policy: &Policy) -> Self {
        Self::new(policy, &self.beside)
    }

    /// The folder of this name.
    pub fn of(&self, name: &str) -> Option<&Arc<Folder>> {
        self.by_name.get(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Folder>> {
        self.by_name.values()
    }
}

impl Folder {
    /// Its name in the policy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it can be read at this moment.
    pub fn is_there(&self) -> bool {
        self.path.is_dir()
    }

    /// Whether files in it have coded ones beside them.
    pub(crate) const fn is_precompressed(&self) -> bool {
        self.rule.precompressed
    }

    /// Asks for a file, on a thread where waiting for a disk holds nobody up.
    pub(super) async fn ask(
        self: &Arc<Self>,
        question: Question,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        let folder = Arc::clone(self);
        let answering = tokio::task::spawn_blocking(move || folder.answer(&question, clock::now()));
        let answered = answering.await.map_err(io::Error::other).flatten();
        answered.map(|response| response.map(AnswerBody::File)).map_err(UpstreamError::Files)
    }
}
