//! What the system says of this process. Linux says it in `/proc`; elsewhere nothing is said.

use std::fs;

/// Numbers of this process, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Bytes of memory in use.
    pub resident: Option<u64>,
    /// Bytes of memory that it may use: its control group's, else the machine's.
    pub memory_limit: Option<u64>,
    /// Seconds of processor time used so far.
    pub cpu: Option<f64>,
    /// Open files.
    pub files: Option<u64>,
}

impl Process {
    /// The numbers now.
    pub fn look() -> Self {
        Self { resident: resident(), memory_limit: memory_limit(), cpu: cpu(), files: files() }
    }
}

pub(super) fn resident() -> Option<u64> {
    let pages = read("/proc/self/statm")?.split_whitespace().nth(1)?.parse::<u64>().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

fn cpu() -> Option<f64> {
    let stat = read("/proc/self/stat")?;
    // The name of the program may hold anything; it ends with the last parenthesis.
    let mut fields = stat.rsplit_once(") ")?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn files() -> Option<u64> {
    // One of them is the folder.
    u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?.checked_sub(1)
}

fn memory_limit() -> Option<u64> {
    let of_group = || {
        let groups = read("/proc/self/cgroup")?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let own = format!("/sys/fs/cgroup{path}/memory.max");
        let limit = read(&own).or_else(|| read("/sys/fs/cgroup/memory.max"))?;
        limit.trim().parse::<u64>().ok()
    };
    let of_machine = || {
        let meminfo = read("/proc/meminfo")?;
        let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    of_group().or_else(of_machine)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn p10_the_system_says_what_this_process_uses() {
        let process = Process::look();
        assert!(process.resident.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
        assert!(process.memory_limit > process.resident, "{process:?}");
        assert!(process.cpu.is_some_and(|seconds| (0.0..1e6).contains(&seconds)), "{process:?}");
        assert!(process.files.is_some_and(|files| files >= 3), "{process:?}");
    }
}
