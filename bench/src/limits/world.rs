//! Clients, and the order in which they come.

use std::net::Ipv4Addr;
use std::time::Duration;

use tidegate_bench::measure::Work;
use tidegate_core::Timestamp;

/// Something to measure, and the memory that it holds before it is.
pub(crate) struct Measured {
    pub(crate) work: Work<'static>,
    pub(crate) held: i64,
}

/// What is measured under a name, made when its turn comes: a million clients take room.
pub(crate) type Make = (String, Box<dyn FnOnce() -> Measured>);

/// Clients that come at random, one in each millisecond.
pub(crate) struct Arrivals {
    known: u32,
    count: u64,
}

/// When everything here begins.
const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

impl Arrivals {
    /// Arrivals of so many clients.
    pub(crate) fn of(known: u32) -> Self {
        Self { known, count: 0 }
    }

    /// All of them one by one, before anything is measured.
    pub(crate) fn each(known: u32) -> impl Iterator<Item = (Ipv4Addr, Timestamp)> {
        (0..known).map(|number| (address(number), NOW))
    }

    /// Who comes next, and when.
    pub(crate) fn next(&mut self) -> (Ipv4Addr, Timestamp) {
        self.count += 1;
        // SplitMix64: the same walk in every run, and nothing for a prefetcher to see.
        let mut random = self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = ((random >> 32) * u64::from(self.known)) >> 32;
        (address(number as u32), NOW + Duration::from_millis(self.count))
    }
}

/// The time in which each of so many clients comes `requests` times on average.
pub(crate) fn time_of(requests: u32, known: u32) -> Duration {
    Duration::from_millis(u64::from(requests) * u64::from(known))
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + number)
}
