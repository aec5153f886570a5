//! From a policy file to what is in force within a service.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tidegate_core::Policy;

use crate::clock;
use crate::control::{self, Control, ReloadError, Start, StateError};
use crate::edge_signature::EdgeSignature;
use crate::gate::Shared;
use crate::in_force::InForce;
use crate::policy_file;
use crate::redis_limiter::RedisLimiter;
use crate::second_tier::SecondTier;
use crate::server::tls::Tls;
use crate::zones::Zones;

/// Why a policy does not come into force.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// It is wrong, or something that it needs cannot be had.
    Policy(ReloadError),
    /// What was said at run time before cannot be read.
    State(StateError),
    /// This machine has no certificates to tell servers by.
    Tls(io::Error),
}

/// Control of the policy at `path`, and what it says that is probably not meant.
pub(super) async fn control(path: &Path) -> Result<(Control, String), StartError> {
    let reading = policy_file::read(path).map_err(ReloadError::Policy)?;
    let warnings = reading.warnings.display(&path.display().to_string()).to_string();
    let policy = reading.policy;
    let start = Start {
        policy: path.into(),
        source: reading.source.into(),
        playground: None,
        listen: policy.model().shim.listen.clone(),
        listen_is_given: true,
        admin: policy.model().admin.clone(),
        at: clock::now(),
    };
    let in_force = in_force(policy, &start.folder()).await?;
    let tls = Arc::new(Tls::new().map_err(StartError::Tls)?);
    let control = Control::new(Arc::new(Shared::new(in_force)), tls, start);
    Ok((control.map_err(StartError::State)?, warnings))
}

async fn in_force(policy: Policy, beside: &Path) -> Result<InForce, ReloadError> {
    let edge = EdgeSignature::new(&policy, |name| std::env::var(name).ok());
    let edge = edge.map_err(ReloadError::Signature)?;
    let tokens = control::tokens(&policy).await?;
    let redis = match &policy.model().redis {
        Some(rule) => Some(RedisLimiter::from_environment(rule).await.map_err(ReloadError::Redis)?),
        None => None,
    };
    let zones = Zones::new(&policy);
    let tier = match &policy.model().cache.redis {
        Some(rule) => {
            let invalidations = Arc::clone(zones.invalidations());
            let tier = SecondTier::from_environment(rule, invalidations).await;
            Some(tier.map_err(ReloadError::Redis)?)
        }
        None => None,
    };
    Ok(InForce::new((policy, beside), edge, tokens, redis, (zones, tier)))
}

impl From<ReloadError> for StartError {
    fn from(error: ReloadError) -> Self {
        Self::Policy(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}
