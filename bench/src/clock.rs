//! Processor time of this thread: what others do on the machine hardly counts.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this thread has been running.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
