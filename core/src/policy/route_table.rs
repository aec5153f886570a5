//! Finds the most specific route for a path in time that grows with the path, and with the
//! logarithm of the routes; the order of the policy file does not matter.
//!
//! Segment by segment a literal wins over a parameter, and what is written out over a tail;
//! of tails, `*.js` wins over `*`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::by_text::ByText;
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
    /// By segment.
    literals: ByText<usize>,
    parameter: Option<usize>,
    /// Routes whose path ends here.
    end: Sharing,
    /// Routes that take what follows, by the extension in lower case that it must have;
    /// sorted by it.
    extensions: Vec<(Box<str>, Sharing)>,
    /// Routes that take all that follows.
    anything: Sharing,
}

/// Routes that share a pattern, and so are told apart by host.
#[derive(Clone, Debug, Default)]
struct Sharing {
    hosts: ByText<RouteIndex>,
    any_host: Option<RouteIndex>,
}

impl RouteTable {
    /// Builds the table. Of routes that share a pattern, those that name the host are the more
    /// particular ones; of those with equal right the first counts.
    pub(super) fn build<'a>(
        routes: impl Iterator<Item = (RouteIndex, &'a Pattern, &'a [String])>,
    ) -> Self {
        let mut table = Self { nodes: alloc::vec![Node::default()] };
        for (route, pattern, hosts) in routes {
            let node =
                pattern.segments().iter().fold(0, |node, segment| table.child(node, segment));
            let node = &mut table.nodes[node];
            match pattern.tail() {
                Tail::End => node.end.add(route, hosts),
                Tail::Anything => node.anything.add(route, hosts),
                Tail::Extensions(list) => {
                    for extension in list {
                        let extension = extension.to_ascii_lowercase().into_boxed_str();
                        sorted_entry(&mut node.extensions, &extension).add(route, hosts);
                    }
                }
            }
        }
        table
    }

    /// The most specific route for `path` on `host`.
    pub(super) fn find(&self, path: &str, host: &str) -> Option<RouteIndex> {
        self.descend(0, path.strip_prefix('/')?, host)
    }

    /// Each node is visited once at most, so a lookup is bounded by the size of the policy.
    fn descend(&self, node: usize, rest: &str, host: &str) -> Option<RouteIndex> {
        let node = self.nodes.get(node)?;
        // By hand: a segment is too short for the machinery of `split_once`.
        let end = rest.bytes().position(|b| b == b'/');
        let (segment, behind) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        let literal = node.literals.get(segment).copied();
        let parameter = node.parameter.filter(|_| !segment.is_empty());
        literal
            .into_iter()
            .chain(parameter)
            .find_map(|child| match behind {
                Some(behind) => self.descend(child, behind, host),
                None => self.nodes[child].end.on(host),
            })
            .or_else(|| node.by_extension(rest)?.on(host))
            .or_else(|| node.anything.on(host))
    }

    fn child(&mut self, node: usize, segment: &Segment) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[node];
        let child = match segment {
            Segment::Parameter(_) => *node.parameter.get_or_insert(next),
            Segment::Literal(text) => *node.literals.entry(text, || next),
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }
}

impl Node {
    /// The routes that take what follows for its extension.
    fn by_extension(&self, rest: &str) -> Option<&Sharing> {
        if self.extensions.is_empty() {
            return None;
        }
        let wanted = extension(rest)?;
        let lower_case = || wanted.bytes().map(|b| b.to_ascii_lowercase());
        let at = self.extensions.binary_search_by(|(e, _)| e.bytes().cmp(lower_case())).ok()?;
        Some(&self.extensions[at].1)
    }
}

impl Sharing {
    fn add(&mut self, route: RouteIndex, hosts: &[String]) {
        if hosts.is_empty() {
            self.any_host.get_or_insert(route);
        }
        for host in hosts {
            self.hosts.entry(host, || route);
        }
    }

    fn on(&self, host: &str) -> Option<RouteIndex> {
        self.hosts.get(host).copied().or(self.any_host)
    }
}

/// What stands under `key`, made if it is not there.
fn sorted_entry<'a, T: Default>(list: &'a mut Vec<(Box<str>, T)>, key: &str) -> &'a mut T {
    let at = match list.binary_search_by(|(k, _)| (**k).cmp(key)) {
        Ok(at) => at,
        Err(at) => {
            list.insert(at, (key.into(), T::default()));
            at
        }
    };
    &mut list[at].1
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
        let routes = patterns.iter().enumerate().map(|(at, pattern)| (at, pattern, &[][..]));
        RouteTable::build(routes).find(path, "h")
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
    fn a_route_that_names_the_host_goes_before_one_for_all_and_a_longer_pattern_before_both() {
        let pattern = |text: &str| Pattern::parse(text).unwrap();
        let (all, deep, script) = (pattern("/*"), pattern("/a/*"), pattern("/*.js"));
        let hosts = ["b.example", "a.example"].map(String::from);
        let routes: [(_, _, &[String]); 5] = [
            (0, &all, &[]),
            (1, &all, &hosts),
            (2, &all, &hosts[1..]),
            (3, &deep, &hosts[..1]),
            (4, &script, &hosts[..1]),
        ];
        let table = RouteTable::build(routes.into_iter());
        for (path, host, route) in [
            ("/x", "c.example", 0),
            ("/x", "a.example", 1),
            ("/a/x", "a.example", 1),
            ("/a/x", "b.example", 3),
            ("/x.JS", "b.example", 4),
            ("/x.js", "a.example", 1),
        ] {
            assert_eq!(table.find(path, host), Some(route), "{path} on {host}");
        }
    }

    #[test]
    fn a_parameter_is_never_empty() {
        assert_eq!(found(&["/a/:x"], "/a/"), None);
    }
}
