//! The stores of this process: one for each zone of the policy, and one for the other routes.

use std::sync::Arc;

use tidegate_core::invalidate::{Resource, Tag};
use tidegate_core::{Plan, Policy};

use crate::answer_store::{AnswerStore, Bounds};
use crate::invalidations::{Invalidations, Moment};

/// Memory for the answers of routes without a zone, in bytes.
const BYTES: u64 = 256 << 20;
/// The largest stored body, in bytes.
const OBJECT_MAX: usize = 8 << 20;

/// Stored answers by zone, so that no kind of answer pushes out another, with one memory of
/// what was invalidated.
#[derive(Debug)]
pub struct Zones {
    named: Vec<Arc<AnswerStore>>,
    rest: Arc<AnswerStore>,
    invalidations: Arc<Invalidations>,
}

impl Zones {
    /// Empty stores for the zones of `policy`.
    pub fn new(policy: &Policy) -> Self {
        let invalidations = Arc::<Invalidations>::default();
        let store = |bytes, answers: Option<u64>| {
            let bounds = Bounds { bytes, answers, object: OBJECT_MAX };
            Arc::new(AnswerStore::new(bounds, Arc::clone(&invalidations)))
        };
        let zones = policy.model().zones.iter();
        let named =
            zones.map(|zone| store(zone.bytes, zone.capacity.map(|c| c.get().into()))).collect();
        Self { named, rest: store(BYTES, None), invalidations }
    }

    /// The store for answers of this plan's route.
    pub fn of(&self, plan: &Plan<'_>) -> &Arc<AnswerStore> {
        let zone = plan.route.and_then(|route| route.zone);
        zone.and_then(|at| self.named.get(at)).unwrap_or(&self.rest)
    }

    /// When an answer begins: take it before asking upstream.
    pub fn begin(&self) -> Moment {
        self.invalidations.begin()
    }

    /// Invalidates all answers for a resource, those included that are still on their way.
    pub fn invalidate(&self, resource: Resource) {
        self.invalidations.invalidate(resource);
    }

    /// The same for all answers with a tag.
    pub fn invalidate_tag(&self, tag: Tag) {
        self.invalidations.invalidate_tag(tag);
    }
}
