//! Processes that are measured from outside.

use std::fs;
use std::io;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// One core for what is measured and the others for what measures it, if there are two.
#[derive(Debug)]
pub struct Cores {
    measured: CpuSet,
    others: CpuSet,
}

impl Cores {
    /// Of those that this process may use, the first is for what is measured.
    pub fn share() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut mine = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let Some(first) = mine.next() else { return Ok(Self { measured: all, others: all }) };
        let (mut measured, mut others) = (CpuSet::new(), all);
        measured.set(first);
        others.unset(first);
        if others.count() == 0 {
            others = all;
        }
        sched_setaffinity(None, &others)?;
        Ok(Self { measured, others })
    }

    /// Starts what is measured. A process begins on the cores of the thread that starts it.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        sched_setaffinity(None, &self.measured)?;
        let started = command.spawn();
        sched_setaffinity(None, &self.others)?;
        started
    }
}

/// How long the threads of a process and of its children have been running, added up.
pub fn cpu(process: u32) -> io::Result<Duration> {
    let mut nanos = 0;
    for process in family(process)? {
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            let times = fs::read_to_string(task?.path().join("schedstat"))?;
            let running = times.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok());
            nanos += running.ok_or_else(|| io::Error::other("no schedstat"))?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// Bytes of memory that a process and its children have to themselves, or as their share.
pub fn memory(process: u32) -> io::Result<u64> {
    let mut kilobytes = 0;
    for process in family(process)? {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let share = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let share = share.and_then(|share| share.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes += share.ok_or_else(|| io::Error::other("no Pss"))?;
    }
    Ok(kilobytes * 1024)
}

fn family(process: u32) -> io::Result<Vec<u32>> {
    let mut family = vec![process];
    let mut next = 0;
    while let Some(&process) = family.get(next) {
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            let children = fs::read_to_string(task?.path().join("children"))?;
            family.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        next += 1;
    }
    Ok(family)
}
