//! Who answers what no stored answer can: servers behind the shim, a folder of files, or the service
//! in this process that the gate stands before.

mod body;
mod folder;
mod service;

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use tidegate_core::Plan;

use crate::in_force::InForce;
use crate::upstream::{self, Group, Question, UpstreamClient, UpstreamError};

pub use body::AnswerBody;
pub use folder::{FileBody, Folder, Folders};
pub use service::{Answering, Service, ServiceBody, ServiceError};

/// Whom a gate can ask.
#[derive(Debug, Default)]
pub struct Origins {
    servers: UpstreamClient,
    /// Answers routes that name no upstream.
    service: Option<Arc<dyn Service>>,
}

/// The one of them that a route is for.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// Servers, asked over the connections of this client.
    Servers(&'a UpstreamClient, &'a Arc<Group>),
    /// A folder of files.
    Folder(&'a Arc<Folder>),
    /// A service in this process.
    Service(&'a Arc<dyn Service>),
}

impl Origins {
    /// What policies name; nobody is connected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same over the connections of `servers`, and a service for routes that name no upstream.
    pub fn with_service(servers: UpstreamClient, service: Arc<dyn Service>) -> Self {
        Self { servers, service: Some(service) }
    }

    /// Whether there is a service, and middleware before it that may have read requests.
    pub const fn has_service(&self) -> bool {
        self.service.is_some()
    }

    /// Who answers what `plan` is for; nobody where its route names no upstream, and there is no
    /// service.
    pub fn of<'a>(&'a self, in_force: &'a InForce, plan: &Plan<'_>) -> Option<Origin<'a>> {
        let Some(name) = plan.route.and_then(|route| route.upstream.as_ref()) else {
            return self.service.as_ref().map(Origin::Service);
        };
        match in_force.upstreams.of(name) {
            Some(group) => Some(Origin::Servers(&self.servers, group)),
            None => in_force.folders.of(name).map(Origin::Folder),
        }
    }
}

impl Origin<'_> {
    /// Has it hear that the client would change to another protocol, if it could.
    pub fn ask_to_upgrade(self, question: &mut Question, parts: &Parts) {
        match self {
            Self::Servers(..) => upstream::ask_to_upgrade(question, parts),
            Self::Folder(_) => {}
            Self::Service(_) => service::ask_to_upgrade(question, parts),
        }
    }

    /// Asks. `parts` are the request as its client made it.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn ask(
        self,
        parts: &Parts,
        question: Question,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        match self {
            Self::Servers(client, group) => {
                let answered = client.ask(group, question).await;
                answered.map(|response| response.map(AnswerBody::Server))
            }
            Self::Folder(folder) => folder.ask(question).await,
            Self::Service(service) => service::ask(&**service, parts, question).await,
        }
    }
}
