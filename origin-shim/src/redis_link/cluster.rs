//! The masters of a cluster, each with a connection of its own, so that the loss of one costs its
//! own clients and no others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisResult, ServerErrorKind, Value};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::PATIENCE;
use super::digest::SLOTS;
use super::link::{connect, refused};

/// Who serves which slot, as most of the nodes say.
pub(crate) struct Masters {
    /// Positions in `nodes`; `None` where nobody serves.
    by_slot: Box<[Option<u16>]>,
    nodes: Vec<Node>,
    /// A master has sent a question elsewhere: somebody should look who serves what.
    has_moved: AtomicBool,
}

struct Node {
    name: Name,
    /// `None` while it cannot be reached.
    connection: Option<MultiplexedConnection>,
}

/// Host and port.
type Name = (String, u16);

/// Ranges of slots and who serves them, as one node says.
type View = Vec<(usize, usize, Name)>;

impl Masters {
    /// Asks `seeds`, and all masters that were known `before`, who serves what, and connects to
    /// those. Each that does not answer costs no more than [`PATIENCE`], all at once.
    ///
    /// # Errors
    /// Why nobody answers.
    pub(super) async fn find(seeds: &[ConnectionInfo], before: Option<&Self>) -> RedisResult<Self> {
        let [pattern, ..] = seeds else { return Err(nobody()) };
        let mut known: HashMap<Name, Option<MultiplexedConnection>> =
            seeds.iter().filter_map(|seed| Some((name(seed)?, None))).collect();
        for node in before.iter().flat_map(|masters| &masters.nodes) {
            known.insert(node.name.clone(), node.connection.clone());
        }
        let mut asked = JoinSet::new();
        for (name, connection) in known {
            let node = at(pattern, &name);
            asked.spawn(async move { (view(&node, connection).await, name) });
        }
        let mut connections = HashMap::new();
        let mut views: Vec<(View, usize)> = Vec::new();
        let mut last = nobody();
        for (answer, name) in asked.join_all().await {
            match answer {
                Ok((connection, view)) => {
                    connections.insert(name, connection);
                    match views.iter_mut().find(|(known, _)| *known == view) {
                        Some((_, votes)) => *votes += 1,
                        None => views.push((view, 1)),
                    }
                }
                Err(error) => last = error,
            }
        }
        // A node that was cut off holds on to what was.
        let most = views.into_iter().max_by_key(|(_, votes)| *votes);
        let (view, _) = most.ok_or(last)?;
        Ok(Self::connected(pattern, view, connections).await)
    }

    async fn connected(
        pattern: &ConnectionInfo,
        view: View,
        mut connections: HashMap<Name, MultiplexedConnection>,
    ) -> Self {
        let mut by_slot = vec![None; SLOTS].into_boxed_slice();
        let mut nodes: Vec<Node> = Vec::new();
        for (first, last, name) in view {
            let known = nodes.iter().position(|node| node.name == name);
            let position = known.unwrap_or_else(|| {
                nodes.push(Node { connection: connections.remove(&name), name });
                nodes.len() - 1
            });
            let position = u16::try_from(position).ok();
            let range = by_slot.iter_mut().take(last.saturating_add(1)).skip(first);
            range.for_each(|slot| *slot = position);
        }
        let mut connecting = JoinSet::new();
        for (position, node) in nodes.iter().enumerate() {
            if node.connection.is_none() {
                let node = at(pattern, &node.name);
                connecting.spawn(async move { (position, connect(&node).await.ok()) });
            }
        }
        for (position, connection) in connecting.join_all().await {
            nodes[position].connection = connection;
        }
        Self { by_slot, nodes, has_moved: AtomicBool::new(false) }
    }

    /// Asks the master of `slot`; once more where that one sends the question elsewhere.
    pub(super) async fn ask(&self, slot: u16, command: &Cmd) -> RedisResult<Value> {
        let position = self.by_slot.get(usize::from(slot)).copied().flatten();
        let node = position.and_then(|position| self.nodes.get(usize::from(position)));
        let node = node.ok_or_else(nobody)?;
        let answer = command.query_async(&mut node.connection()?).await;
        let Err(error) = &answer else { return answer };
        let Some((to, _)) = error.redirect_node() else { return answer };
        let is_moving = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
        if !is_moving {
            self.has_moved.store(true, Ordering::Relaxed);
        }
        let Some(node) = self.named(to, &node.name.0) else { return answer };
        let mut connection = node.connection()?;
        if !is_moving {
            return command.query_async(&mut connection).await;
        }
        let mut asking = redis::pipe();
        asking.cmd("ASKING").ignore().add_command(command.clone());
        let [answer]: [Value; 1] = asking.query_async(&mut connection).await?;
        Ok(answer)
    }

    /// Asks all that can be reached.
    pub(super) async fn ask_all(&self, command: &Cmd) -> Vec<Value> {
        let mut answers = Vec::new();
        for mut connection in self.nodes.iter().filter_map(|node| node.connection.clone()) {
            answers.extend(command.query_async(&mut connection).await.ok());
        }
        answers
    }

    /// Whether a master has sent a question elsewhere.
    pub(super) fn has_moved(&self) -> bool {
        self.has_moved.load(Ordering::Relaxed)
    }

    /// The master that is called `host:port`, by one at `here`.
    fn named(&self, address: &str, here: &str) -> Option<&Node> {
        let (host, port) = address.rsplit_once(':')?;
        let host = if host.is_empty() { here } else { host };
        let port: u16 = port.parse().ok()?;
        self.nodes.iter().find(|node| node.name.0 == host && node.name.1 == port)
    }
}

impl Node {
    fn connection(&self) -> RedisResult<MultiplexedConnection> {
        self.connection.clone().ok_or_else(nobody)
    }
}

/// What the node says who serves what, over this connection or, if that is of no use, another.
async fn view(
    node: &ConnectionInfo,
    connection: Option<MultiplexedConnection>,
) -> RedisResult<(MultiplexedConnection, View)> {
    if let Some(connection) = connection
        && let Ok(view) = ask_view(node, connection.clone()).await
    {
        return Ok((connection, view));
    }
    let connection = connect(node).await?;
    let view = ask_view(node, connection.clone()).await?;
    Ok((connection, view))
}

async fn ask_view(
    node: &ConnectionInfo,
    mut connection: MultiplexedConnection,
) -> RedisResult<View> {
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    let answer = timeout(PATIENCE, slots.query_async(&mut connection)).await;
    let answer: Value = answer.map_err(|_| refused("a node did not answer in time"))??;
    let here = name(node).map(|(host, _)| host).unwrap_or_default();
    read_view(&answer, &here).ok_or_else(|| refused("a node answered what means nothing"))
}

/// Reads the answer to CLUSTER SLOTS: first and last slot, then the master, then replicas. A node
/// that does not know its own address means `here`.
fn read_view(answer: &Value, here: &str) -> Option<View> {
    let Value::Array(ranges) = answer else { return None };
    let mut view = View::new();
    for range in ranges {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else {
            return None;
        };
        let [host, Value::Int(port), ..] = &master[..] else { return None };
        let host = match host {
            Value::BulkString(host) => str::from_utf8(host).ok()?,
            Value::SimpleString(host) => host,
            Value::Nil => "",
            _ => return None,
        };
        let host = if matches!(host, "" | "?") { here } else { host };
        let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
        view.push((first, last, (host.into(), u16::try_from(*port).ok()?)));
    }
    view.sort_unstable();
    Some(view)
}

/// Another node that is spoken to like `pattern`.
fn at(pattern: &ConnectionInfo, (host, port): &Name) -> ConnectionInfo {
    let address = match pattern.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host.clone(), *port),
    };
    pattern.clone().set_addr(address)
}

fn name(node: &ConnectionInfo) -> Option<Name> {
    match node.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host.clone(), *port))
        }
        _ => None,
    }
}

fn nobody() -> redis::RedisError {
    refused("no master can be reached for this slot")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let replica = Value::Array(vec![Value::BulkString(b"replica".to_vec()), Value::Int(1)]);
        let master = Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
    }

    #[test]
    fn a_node_tells_the_masters_and_means_itself_where_it_does_not_know_its_address() {
        let host = |name: &str| Value::BulkString(name.into());
        let answer = Value::Array(vec![
            range(5461, 16383, host("b.example"), 7001),
            range(0, 5460, Value::Nil, 7000),
        ]);
        let expected: View =
            vec![(0, 5460, ("a.example".into(), 7000)), (5461, 16383, ("b.example".into(), 7001))];
        assert_eq!(read_view(&answer, "a.example"), Some(expected));
        assert_eq!(read_view(&Value::Array(vec![]), "a"), Some(vec![]), "nobody serves anything");
    }

    #[test]
    fn what_is_no_view_is_none() {
        let host = || Value::BulkString(b"b".to_vec());
        for nonsense in [
            Value::Nil,
            Value::Okay,
            Value::Array(vec![Value::Int(5)]),
            Value::Array(vec![Value::Array(vec![Value::Int(5)])]),
            Value::Array(vec![range(-1, 5, host(), 7000)]),
            Value::Array(vec![range(0, 5, host(), 70000)]),
            Value::Array(vec![range(0, 5, Value::Int(5), 7000)]),
            Value::Array(vec![range(0, 5, Value::BulkString(b"\xff".to_vec()), 7000)]),
        ] {
            assert_eq!(read_view(&nonsense, "a"), None, "{nonsense:?}");
        }
    }

    #[tokio::test]
    async fn slots_beyond_the_last_and_of_nobody_are_nobodys() {
        let seed = redis::IntoConnectionInfo::into_connection_info("redis://127.0.0.1:1").unwrap();
        let view = vec![(16_000, usize::MAX, ("127.0.0.1".to_owned(), 1))];
        let masters = Masters::connected(&seed, view, HashMap::new()).await;
        assert_eq!(masters.by_slot.iter().flatten().count(), SLOTS - 16_000);
        for slot in [0, 16_000, u16::MAX] {
            assert!(masters.ask(slot, &redis::cmd("PING")).await.is_err());
        }
    }
}
