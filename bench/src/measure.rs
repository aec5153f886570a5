//! What one call costs: many samples of many calls each, taken in turns.

use std::hint::black_box;
use std::time::Duration;

use serde::Serialize;

use crate::allocations;
use crate::clock::thread_time;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each piece of work.
    pub samples: usize,
    /// The least time of one sample: long beside what reading the clock takes.
    pub sample: Duration,
}

/// A piece of work under a name. Call `n` does the `n`th of its variants, so that no branch
/// predictor learns a single one by heart.
pub struct Work<'a> {
    name: String,
    call: Box<dyn FnMut(usize) + 'a>,
}

/// What one call costs.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// What was measured.
    pub name: String,
    /// The median of the samples, in nanoseconds a call.
    pub median_ns: f64,
    /// The quickest sample, in nanoseconds a call.
    pub fastest_ns: f64,
    /// The most allocations of any call.
    pub allocations: u64,
}

impl<'a> Work<'a> {
    /// The loop is compiled together with `call`: what is measured has no call through a
    /// pointer for each turn.
    pub fn new<T>(name: impl Into<String>, mut call: impl FnMut(usize) -> T + 'a) -> Self {
        let call = move |calls: usize| {
            for turn in 0..calls {
                black_box(call(black_box(turn)));
            }
        };
        Self { name: name.into(), call: Box::new(call) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many calls make a sample.
    fn calls(&mut self, effort: Effort) -> usize {
        let mut calls = 64;
        loop {
            let taken = self.time(calls);
            if taken >= effort.sample || calls > 1 << 30 {
                return calls;
            }
            calls *= 2;
        }
    }

    fn time(&mut self, calls: usize) -> Duration {
        let start = thread_time();
        (self.call)(calls);
        thread_time() - start
    }
}

/// Measures all of `works` in turns, so that a busy moment of the machine hits them alike.
pub fn measure(mut works: Vec<Work<'_>>, effort: Effort) -> Vec<Cost> {
    let calls: Vec<usize> = works.iter_mut().map(|work| work.calls(effort)).collect();
    let mut samples = vec![Vec::with_capacity(effort.samples); works.len()];
    for _ in 0..effort.samples {
        for ((work, calls), samples) in works.iter_mut().zip(&calls).zip(&mut samples) {
            samples.push(work.time(*calls).as_nanos() as f64 / *calls as f64);
        }
    }
    works.into_iter().zip(samples).map(|(work, samples)| Cost::of(work, samples)).collect()
}

impl Cost {
    fn of(mut work: Work<'_>, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        // Once through the first variants: buffers that stay have been made by now.
        let allocations = (1..=VARIANTS)
            .map(|calls| allocations::count(|| (work.call)(calls)))
            .scan(0, |before, now| Some(now.saturating_sub(std::mem::replace(before, now))))
            .max();
        Self {
            name: work.name,
            median_ns: samples[samples.len() / 2],
            fastest_ns: samples[0],
            allocations: allocations.unwrap_or_default(),
        }
    }
}

/// So many variants are looked at for the most allocations of a call.
const VARIANTS: usize = 64;
