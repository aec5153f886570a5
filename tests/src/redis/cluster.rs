//! A Redis Cluster of three masters with a replica each.

use std::process::Command;

use super::{RedisServer, eventually};
use crate::process::Process;

/// Six servers that are one cluster.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts one, and waits until all of its slots are served.
    ///
    /// # Panics
    /// If it does not come about.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        let node = || {
            RedisServer::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "1000",
                // A replica stands in for its master however old its data are.
                "--cluster-replica-validity-factor",
                "0",
            ])
        };
        let cluster = Self { nodes: (0..6).map(|_| node()).collect() };
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(cluster.addresses());
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let created = Process::start(&mut create).ended();
        assert!(created.status.success(), "{}{}", created.stdout, created.stderr);
        for node in &cluster.nodes {
            eventually("a cluster that is well", || {
                node.command(&["cluster", "info"]).contains("cluster_state:ok").then_some(())
            });
        }
        let replicas = eventually("three replicas", || {
            Some(cluster.replicas()).filter(|replicas| replicas.len() == 3)
        });
        for replica in replicas {
            eventually("a replica that has all", || {
                cluster.nodes[replica]
                    .command(&["info", "replication"])
                    .contains("master_link_status:up")
                    .then_some(())
            });
        }
        cluster
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis-cluster://{}", self.addresses().join(","))
    }

    /// The servers.
    #[must_use]
    pub fn nodes(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// The positions of those that replicate another.
    ///
    /// # Panics
    /// If a node does not run.
    #[must_use]
    pub fn replicas(&self) -> Vec<usize> {
        let is_replica =
            |at: &usize| self.nodes[*at].command(&["info", "replication"]).contains("role:slave");
        (0..self.nodes.len()).filter(is_replica).collect()
    }

    /// Changes a setting of all but the node at `but`.
    ///
    /// # Panics
    /// If a node refuses.
    pub fn set(&self, name: &str, value: &str, but: Option<usize>) {
        for (at, node) in self.nodes.iter().enumerate() {
            if Some(at) != but {
                assert_eq!(node.command(&["config", "set", name, value]), "OK");
            }
        }
    }

    fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect()
    }
}
