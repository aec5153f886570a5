//! The stores of this process: one for each zone of the policy, and one for the other routes.

use std::sync::Arc;

use tidegate_core::policy::Zone;
use tidegate_core::{Plan, Policy};

use crate::answer_store::{AnswerStore, Bounds};
use crate::invalidations::{Invalidations, Moment, Void};

/// Memory for the answers of routes without a zone, in bytes.
const BYTES: u64 = 256 << 20;
/// The largest stored body, in bytes.
const OBJECT_MAX: usize = 8 << 20;

/// Stored answers by zone, so that no kind of answer pushes out another, with one memory of
/// what was invalidated.
#[derive(Debug)]
pub struct Zones {
    /// At the positions of the policy's zones.
    named: Vec<(String, Arc<AnswerStore>)>,
    rest: Arc<AnswerStore>,
    invalidations: Arc<Invalidations>,
}

impl Zones {
    /// Empty stores for the zones of `policy`.
    pub fn new(policy: &Policy) -> Self {
        let invalidations = Arc::<Invalidations>::default();
        let bounds = Bounds { bytes: BYTES, answers: None, object: OBJECT_MAX };
        let rest = Arc::new(AnswerStore::new(bounds, Arc::clone(&invalidations)));
        let nothing = Self { named: Vec::new(), rest, invalidations };
        nothing.succeed(policy)
    }

    /// The stores for the zones of `policy`: those of zones that were there, resized where they
    /// were, and empty ones for new zones.
    pub fn succeed(&self, policy: &Policy) -> Self {
        let store = |zone: &Zone| {
            let answers = zone.capacity.map(|capacity| capacity.get().into());
            let bounds = Bounds { bytes: zone.bytes, answers, object: OBJECT_MAX };
            match self.named.iter().find(|(name, _)| *name == zone.name) {
                Some((_, store)) if store.bounds() == bounds => Arc::clone(store),
                Some((_, store)) => Arc::new(store.resized(bounds)),
                None => Arc::new(AnswerStore::new(bounds, Arc::clone(&self.invalidations))),
            }
        };
        let zones = policy.model().zones.iter();
        let named = zones.map(|zone| (zone.name.clone(), store(zone))).collect();
        Self { named, rest: Arc::clone(&self.rest), invalidations: Arc::clone(&self.invalidations) }
    }

    /// The store for answers of this plan's route.
    pub fn of(&self, plan: &Plan<'_>) -> &Arc<AnswerStore> {
        let zone = plan.route.and_then(|route| route.zone);
        zone.and_then(|at| self.named.get(at)).map_or(&self.rest, |(_, store)| store)
    }

    /// All stores by the names of their zones; that of routes without one comes last, as `default`.
    pub fn all(&self) -> impl Iterator<Item = (&str, &AnswerStore)> {
        let named = self.named.iter().map(|(name, store)| (&**name, &**store));
        let is_named = self.named.iter().any(|(name, _)| name == "default");
        let rest = (!is_named).then_some(("default", &*self.rest));
        named.chain(rest)
    }

    /// The stores of zones by their names, and that of routes without one.
    pub fn by_name(&self) -> impl Iterator<Item = (Option<&str>, &Arc<AnswerStore>)> {
        let named = self.named.iter().map(|(name, store)| (Some(&**name), store));
        named.chain([(None, &self.rest)])
    }

    /// The store of this zone; that of routes without one where there is none.
    pub fn named(&self, name: Option<&str>) -> &Arc<AnswerStore> {
        let named = self.named.iter().find(|(zone, _)| name == Some(zone));
        named.map_or(&self.rest, |(_, store)| store)
    }

    /// When an answer begins: take it before asking upstream.
    pub fn begin(&self) -> Moment {
        self.invalidations.begin()
    }

    /// Invalidates what has begun, that included which is still on its way.
    pub fn invalidate(&self, voids: &[Void]) {
        self.invalidations.invalidate(voids);
        if voids.contains(&Void::Everything) {
            self.by_name().for_each(|(_, store)| store.clear());
        }
    }

    /// What is remembered of all that was invalidated.
    pub fn invalidations(&self) -> &Arc<Invalidations> {
        &self.invalidations
    }
}
