//! Processor time of this thread or process: what others do on the machine hardly counts.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this thread has been running.
pub fn thread_time() -> Duration {
    of(ClockId::ThreadCPUTime)
}

/// How long all threads of this process have been running, added up.
pub fn process_time() -> Duration {
    of(ClockId::ProcessCPUTime)
}

fn of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
