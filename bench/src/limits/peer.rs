//! The crate `governor` by itself, as one uses it: GCRA over its keyed stores. It has one
//! algorithm, no block and no bound on the number of clients.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::{DashMapStateStore, HashMapStateStore, KeyedStateStore};
use governor::{Quota, RateLimiter};
use tidegate_bench::allocations;
use tidegate_bench::measure::Work;

use crate::world::{Arrivals, Make, Measured};

/// The same clients, in both of its stores.
pub(crate) fn all(known: u32) -> Vec<Make> {
    let mut all: Vec<Make> = Vec::new();
    for is_blocked in [false, true] {
        let refused = if is_blocked { ", refused" } else { "" };
        let name = format!("governor: DashMap{refused}");
        let make = {
            let name = name.clone();
            move || measured(name, DashMapStateStore::<IpAddr>::default(), known, is_blocked)
        };
        all.push((name, Box::new(make)));
        let name = format!("governor: HashMap{refused}");
        let make = {
            let name = name.clone();
            move || measured(name, HashMapStateStore::<IpAddr>::default(), known, is_blocked)
        };
        all.push((name, Box::new(make)));
    }
    all
}

fn measured<S>(name: String, store: S, known: u32, is_blocked: bool) -> Measured
where
    S: KeyedStateStore<IpAddr> + 'static,
{
    let burst = NonZeroU32::new(if is_blocked { 1 } else { 1_000_000 }).unwrap();
    let quota = Quota::with_period(Duration::from_secs(86_400) / burst.get()).unwrap();
    // A clock that costs nothing: ours is told the time.
    let clock = FakeRelativeClock::default();
    let limiter: RateLimiter<_, _, _, NoOpMiddleware<Nanos>> =
        RateLimiter::new(quota.allow_burst(burst), store, clock);
    let (_, held) = allocations::held(|| {
        for (address, _) in Arrivals::each(known) {
            let _ = limiter.check_key(&address.into());
        }
    });
    let mut arrivals = Arrivals::of(known);
    let work = Work::new(name, move |_| limiter.check_key(&arrivals.next().0.into()).is_ok());
    Measured { work, held }
}
