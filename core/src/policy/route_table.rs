//! Finds the most specific route for a path in time that grows with the path, and with the
//! logarithm of the routes; the order of the policy file does not matter.
//!
//! Segment by segment a literal wins over a parameter, and what is written out over a tail;
//! of tails, `*.js` wins over `*`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::pattern::{Pattern, Segment, Tail};

/// Index of a route in the policy.
pub(super) type RouteIndex = usize;

/// A tree of segments; node 0 is the root.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteTable {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Sorted by segment.
    literals: Vec<(Box<str>, usize)>,
    parameter: Option<usize>,
    /// Routes whose path ends here.
    end: Vec<RouteIndex>,
    /// Routes that take what follows, by the extension it must have.
    extensions: Vec<(Box<str>, RouteIndex)>,
    /// Routes that take all that follows.
    anything: Vec<RouteIndex>,
}

impl RouteTable {
    /// Builds the table. Routes that share a pattern are tried in the order given, so the
    /// more particular ones (with hosts, with methods) come first.
    pub(super) fn build<'a>(routes: impl Iterator<Item = (RouteIndex, &'a Pattern)>) -> Self {
        let mut table = Self { nodes: alloc::vec![Node::default()] };
        for (route, pattern) in routes {
            let node =
                pattern.segments().iter().fold(0, |node, segment| table.child(node, segment));
            let node = &mut table.nodes[node];
            match pattern.tail() {
                Tail::End => node.end.push(route),
                Tail::Anything => node.anything.push(route),
                Tail::Extensions(list) => {
                    node.extensions.extend(list.iter().map(|e| (e.clone(), route)));
                }
            }
        }
        table
    }

    /// The first route, from the most specific on, that matches `path` and that `suits`.
    pub(super) fn find(
        &self,
        path: &str,
        suits: &impl Fn(RouteIndex) -> bool,
    ) -> Option<RouteIndex> {
        self.descend(0, path.strip_prefix('/')?, suits)
    }

    /// Each node is visited once at most, so a lookup is bounded by the size of the policy.
    fn descend(
        &self,
        node: usize,
        rest: &str,
        suits: &impl Fn(RouteIndex) -> bool,
    ) -> Option<RouteIndex> {
        let node = self.nodes.get(node)?;
        let (segment, behind) = match rest.split_once('/') {
            Some((segment, behind)) => (segment, Some(behind)),
            None => (rest, None),
        };
        let literal = node.literals.binary_search_by(|(text, _)| (**text).cmp(segment)).ok();
        let literal = literal.map(|at| node.literals[at].1);
        let parameter = node.parameter.filter(|_| !segment.is_empty());
        let first = |routes: &[RouteIndex]| routes.iter().copied().find(|route| suits(*route));
        literal
            .into_iter()
            .chain(parameter)
            .find_map(|child| match behind {
                Some(behind) => self.descend(child, behind, suits),
                None => first(&self.nodes[child].end),
            })
            .or_else(|| {
                let ending = extension(rest)?;
                let mut fitting =
                    node.extensions.iter().filter(|(e, _)| e.eq_ignore_ascii_case(ending));
                fitting.find(|(_, route)| suits(*route)).map(|(_, route)| *route)
            })
            .or_else(|| first(&node.anything))
    }

    fn child(&mut self, node: usize, segment: &Segment) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[node];
        let child = match segment {
            Segment::Parameter(_) => *node.parameter.get_or_insert(next),
            Segment::Literal(text) => match node.literals.binary_search_by(|(t, _)| t.cmp(text)) {
                Ok(at) => node.literals[at].1,
                Err(at) => {
                    node.literals.insert(at, (text.clone(), next));
                    next
                }
            },
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }
}

/// What stands behind the last dot of the last segment, if something stands before it.
fn extension(path: &str) -> Option<&str> {
    let file = path.rsplit('/').next()?;
    let (stem, extension) = file.rsplit_once('.')?;
    (!stem.is_empty()).then_some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[&str], path: &str) -> Option<usize> {
        let patterns: Vec<Pattern> = patterns.iter().map(|p| Pattern::parse(p).unwrap()).collect();
        RouteTable::build(patterns.iter().enumerate()).find(path, &|_| true)
    }

    #[test]
    fn the_most_specific_pattern_wins_whatever_the_order() {
        let patterns = ["/*", "/api/*", "/api/:x/b", "/api/a/b", "/*.{js,css}", "/api/a/:y", "/"];
        for (path, pattern) in [
            ("/", 6),
            ("/x", 0),
            ("/x.js", 4),
            ("/deep/er/x.CSS", 4),
            ("/api/", 1),
            ("/api/a/b", 3),
            ("/api/a/c", 5),
            ("/api/c/b", 2),
            ("/api/c/c", 1),
            ("/api/a/b/c", 1),
            ("/api/x.js", 1),
            ("/api", 0),
            ("/.js", 0),
        ] {
            assert_eq!(found(&patterns, path), Some(pattern), "{path}");
        }
    }

    #[test]
    fn a_dead_end_behind_a_literal_falls_back_to_the_parameter() {
        assert_eq!(found(&["/a/b/c", "/:x/b/d"], "/a/b/d"), Some(1));
        assert_eq!(found(&["/a/b/c"], "/a/b"), None);
    }

    #[test]
    fn a_parameter_is_never_empty() {
        assert_eq!(found(&["/a/:x"], "/a/"), None);
    }
}
