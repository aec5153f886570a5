//! What a person or a program reads.

use serde::Serialize;
use tidegate_bench::measure::Cost;

/// Everything that was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) sizes: Vec<Sized>,
    pub(crate) beside_peer: Vec<Cost>,
}

/// What decisions cost with so many routes.
#[derive(Serialize)]
pub(crate) struct Sized {
    pub(crate) routes: usize,
    pub(crate) costs: Vec<Cost>,
}

impl Sized {
    pub(crate) fn cost(&self, name: &str) -> &Cost {
        find(&self.costs, name)
    }
}

impl Report {
    pub(crate) fn cost(&self, routes: usize, name: &str) -> &Cost {
        self.sizes.iter().find(|size| size.routes == routes).unwrap().cost(name)
    }

    pub(crate) fn beside_peer(&self, name: &str) -> &Cost {
        find(&self.beside_peer, name)
    }

    pub(crate) fn print(&self) {
        println!("Nanoseconds of one core for each call: median, quickest; allocations.\n");
        for Sized { routes, costs } in &self.sizes {
            println!("{routes} {}", if *routes == 1 { "route" } else { "routes" });
            costs.iter().for_each(print_cost);
            println!();
        }
        println!("beside the crate http-cache-semantics");
        self.beside_peer.iter().for_each(print_cost);
    }
}

fn print_cost(cost: &Cost) {
    let Cost { name, median_ns, fastest_ns, allocations } = cost;
    println!("  {name:<58}{median_ns:>9.1}{fastest_ns:>9.1}{allocations:>5}");
}

fn find<'a>(costs: &'a [Cost], name: &str) -> &'a Cost {
    costs.iter().find(|cost| cost.name == name).unwrap()
}
