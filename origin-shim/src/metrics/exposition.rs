//! Numbers in the text format of Prometheus (version 0.0.4).
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Display, Write};

use tidegate_core::policy::health::CheckState;

use super::histogram::{BOUNDS, Measured};
use super::snapshot::Snapshot;

/// What `/metrics` is served as.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels of a sample.
type Labels<'a> = &'a [(&'a str, &'a str)];

struct Text(String);

/// The text for these numbers.
pub fn expose(snapshot: &Snapshot) -> String {
    let mut text = Text(String::with_capacity(16 * 1024));
    text.requests(snapshot);
    text.limits(snapshot);
    text.upstreams(snapshot);
    text.stores(snapshot);
    text.process(snapshot);
    text.0
}

impl Text {
    fn requests(&mut self, snapshot: &Snapshot) {
        self.family("http_requests_total", "counter", "Requests, by what became of them.");
        for (route, told) in &snapshot.routes {
            for ((method, status, cache), count) in &told.answers {
                let labels =
                    [("route", &**route), ("method", method), ("status", status), ("cache", cache)];
                self.sample("http_requests_total", &labels, count);
            }
        }
        let name = "http_request_duration_seconds";
        self.family(name, "histogram", "Time until the head of the answer was made.");
        for (route, told) in &snapshot.routes {
            self.histogram(name, ("route", route), &told.durations);
        }
        let name = "tidegate_cache_reasons_total";
        self.family(name, "counter", "Requests that no stored answer just served, by why.");
        for (route, told) in &snapshot.routes {
            for ((cache, reason), count) in &told.reasons {
                let labels = [("route", &**route), ("cache", cache), ("reason", reason)];
                self.sample(name, &labels, count);
            }
        }
        let name = "tidegate_collapsed_requests_total";
        self.family(name, "counter", "Requests served by the answer to another one like them.");
        for (route, told) in &snapshot.routes {
            self.sample(name, &[("route", route)], told.collapsed);
        }
        let name = "tidegate_requests_waiting";
        self.family(name, "gauge", "Requests that wait for the answer to another one like them.");
        self.sample(name, &[], snapshot.waiting);
    }

    fn limits(&mut self, snapshot: &Snapshot) {
        let name = "tidegate_limit_verdicts_total";
        self.family(name, "counter", "What limits said to requests.");
        for limit in &snapshot.limits {
            let told = limit.told;
            for (verdict, count) in [
                ("allowed", told.allowed),
                ("refused", told.refused),
                ("would-refuse", told.would_refuse),
                ("uncounted", told.uncounted),
            ] {
                self.sample(name, &[("limit", &limit.name), ("verdict", verdict)], count);
            }
        }
        let name = "tidegate_limit_store_failures_total";
        self.family(name, "counter", "Failures of the store that limits are counted in.");
        for limit in &snapshot.limits {
            self.sample(name, &[("limit", &limit.name)], limit.told.store_failed);
        }
        let name = "tidegate_limit_clients";
        self.family(name, "gauge", "Clients of a limit that are remembered in memory.");
        for limit in &snapshot.limits {
            self.sample(name, &[("limit", &limit.name)], limit.clients);
        }
    }

    fn upstreams(&mut self, snapshot: &Snapshot) {
        let name = "tidegate_upstream_requests_total";
        self.family(name, "counter", "Requests that upstreams answered, by status.");
        for (upstream, told) in &snapshot.upstreams {
            for (status, count) in &told.answers {
                self.sample(name, &[("upstream", upstream), ("status", status)], count);
            }
        }
        let name = "tidegate_upstream_errors_total";
        self.family(name, "counter", "Requests that upstreams did not answer, by why.");
        for (upstream, told) in &snapshot.upstreams {
            for (error, count) in &told.errors {
                self.sample(name, &[("upstream", upstream), ("error", error)], count);
            }
        }
        let name = "tidegate_upstream_requests_in_flight";
        self.family(name, "gauge", "Requests that wait for the head of an upstream's answer.");
        for (upstream, told) in &snapshot.upstreams {
            self.sample(name, &[("upstream", upstream)], told.in_flight);
        }
        let name = "tidegate_upstream_duration_seconds";
        self.family(name, "histogram", "Time until the head of an upstream's answer was there.");
        for (upstream, told) in &snapshot.upstreams {
            self.histogram(name, ("upstream", upstream), &told.durations);
        }
        let name = "tidegate_upstream_servers";
        self.family(name, "gauge", "Servers of an upstream, and what may be asked of them.");
        for (upstream, seen) in &snapshot.servers {
            let states = [("up", seen.up), ("left-out", seen.left_out), ("down", seen.down())];
            for (state, count) in states {
                self.sample(name, &[("upstream", upstream), ("state", state)], count);
            }
        }
        let name = "tidegate_upstream_breaker_open";
        self.family(name, "gauge", "Whether nobody is asked, since too much has failed.");
        for (upstream, seen) in &snapshot.servers {
            self.sample(name, &[("upstream", upstream)], u8::from(seen.breaker_open));
        }
        let name = "tidegate_check_state";
        self.family(name, "gauge", "What /ready finds: 0 ok, 1 degraded, 2 failing.");
        for check in &snapshot.checks {
            let labels = [("check", check.kind), ("name", check.name.as_deref().unwrap_or(""))];
            self.sample(name, &labels, state(check.state));
        }
        let name = "tidegate_ready";
        self.family(name, "gauge", "Whether /ready says that requests should come here.");
        let all = CheckState::of_all(&snapshot.checks);
        self.sample(name, &[], u8::from(all.status() == 200));
    }

    fn stores(&mut self, snapshot: &Snapshot) {
        let name = "tidegate_zone_entries";
        self.family(name, "gauge", "URLs whose answers a zone of the memory holds.");
        for zone in &snapshot.zones {
            self.sample(name, &[("zone", &zone.name)], zone.entries);
        }
        let name = "tidegate_zone_bytes";
        self.family(name, "gauge", "What these answers take, heads and bookkeeping included.");
        for zone in &snapshot.zones {
            self.sample(name, &[("zone", &zone.name)], zone.bytes);
        }
        let name = "tidegate_zone_capacity_bytes";
        self.family(name, "gauge", "What they may take.");
        for zone in &snapshot.zones {
            self.sample(name, &[("zone", &zone.name)], zone.bytes_max);
        }
        self.redis(snapshot);
    }

    fn redis(&mut self, snapshot: &Snapshot) {
        if snapshot.redis.is_empty() {
            return;
        }
        let name = "tidegate_redis_up";
        self.family(name, "gauge", "Whether Redis is asked, by what it is used for.");
        for (what, counted) in &snapshot.redis {
            self.sample(name, &[("use", what)], u8::from(!counted.is_open));
        }
        let name = "tidegate_redis_requests_total";
        self.family(name, "counter", "Questions to Redis.");
        for (what, counted) in &snapshot.redis {
            self.sample(name, &[("use", what)], counted.round_trips);
        }
        let name = "tidegate_redis_failures_total";
        self.family(name, "counter", "Those that it did not answer.");
        for (what, counted) in &snapshot.redis {
            self.sample(name, &[("use", what)], counted.failed);
        }
        let name = "tidegate_redis_unasked_total";
        self.family(name, "counter", "Questions that it was spared, since it failed before.");
        for (what, counted) in &snapshot.redis {
            self.sample(name, &[("use", what)], counted.without);
        }
        let Some(tier) = snapshot.second_tier else { return };
        let name = "tidegate_second_tier_looks_total";
        self.family(name, "counter", "Looks for answers in Redis, by what was found.");
        for (result, count) in [
            ("hit", tier.hits),
            ("miss", tier.misses),
            ("void", tier.void),
            ("unreadable", tier.unreadable),
        ] {
            self.sample(name, &[("result", result)], count);
        }
        let name = "tidegate_second_tier_writes_total";
        self.family(name, "counter", "Answers for Redis: written, or dropped as too many.");
        self.sample(name, &[("result", "stored")], tier.stored);
        self.sample(name, &[("result", "dropped")], tier.dropped);
        let name = "tidegate_second_tier_invalidations_heard";
        self.family(name, "gauge", "Whether what other shims invalidate is heard of.");
        self.sample(name, &[], u8::from(tier.is_heard));
    }

    fn process(&mut self, snapshot: &Snapshot) {
        if let Some((held, most)) = snapshot.connections {
            self.family("tidegate_connections", "gauge", "Connections of clients.");
            self.sample("tidegate_connections", &[], held);
            self.family("tidegate_connections_max", "gauge", "How many there may be.");
            self.sample("tidegate_connections_max", &[], most);
        }
        let help = "Connections of clients in which another protocol is spoken with an upstream.";
        self.family("tidegate_tunnels", "gauge", help);
        self.sample("tidegate_tunnels", &[], snapshot.tunnels);
        self.family("tidegate_build_info", "gauge", "1, with the version as a label.");
        self.sample("tidegate_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.family("tidegate_policy_info", "gauge", "1, with the policy's hash as a label.");
        self.sample("tidegate_policy_info", &[("hash", &snapshot.policy)], 1);
        let name = "tidegate_policy_read_timestamp_seconds";
        self.family(name, "gauge", "When the policy's file was read.");
        self.sample(name, &[], snapshot.read.as_secs());
        let name = "tidegate_reloads_total";
        self.family(name, "counter", "How often the policy's file was read again, and how it was.");
        self.sample(name, &[("result", "good")], snapshot.reloads.good);
        self.sample(name, &[("result", "refused")], snapshot.reloads.refused);
        self.family("tidegate_maintenance", "gauge", "Whether maintenance is on.");
        self.sample("tidegate_maintenance", &[], u8::from(snapshot.maintenance));

        if !snapshot.certificates.is_empty() {
            let name = "tidegate_certificate_expiry_timestamp_seconds";
            self.family(name, "gauge", "Until when a certificate, or one that it needs, is valid.");
            for expiry in &snapshot.certificates {
                self.sample(name, &[("chain", &expiry.chain)], expiry.at.as_secs());
            }
        }
        let name = "tidegate_log_lines_dropped_total";
        self.family(name, "counter", "Lines of the request log that were too many to write.");
        self.sample(name, &[], snapshot.log_dropped);

        let name = "process_start_time_seconds";
        self.family(name, "gauge", "When the process began.");
        self.sample(name, &[], snapshot.started.as_secs());
        let process = snapshot.process;
        let name = "process_resident_memory_bytes";
        self.optional(name, "gauge", "Memory in use.", process.resident);
        let name = "tidegate_memory_limit_bytes";
        let help = "Memory that may be used: the control group's, else the machine's.";
        self.optional(name, "gauge", help, process.memory_limit);
        let name = "process_cpu_seconds_total";
        self.optional(name, "counter", "Processor time used.", process.cpu);
        self.optional("process_open_fds", "gauge", "Open files.", process.files);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn optional(&mut self, name: &str, kind: &str, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.family(name, kind, help);
            self.sample(name, &[], value);
        }
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.0.push(if at == 0 { '{' } else { ',' });
            self.line(format_args!("{label}=\""));
            text.chars().for_each(|c| match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            });
            self.0.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.line(format_args!("{end} {value}\n"));
    }

    fn histogram(&mut self, name: &str, label: (&str, &str), measured: &Measured) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in BOUNDS.iter().zip(measured.cumulated()) {
            self.sample(&bucket, &[label, ("le", &bound.to_string())], count);
        }
        self.sample(&bucket, &[label, ("le", "+Inf")], measured.count());
        self.sample(&format!("{name}_sum"), &[label], measured.sum());
        self.sample(&format!("{name}_count"), &[label], measured.count());
    }

    fn line(&mut self, arguments: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.0.write_fmt(arguments);
    }
}

const fn state(state: CheckState) -> u8 {
    match state {
        CheckState::Ok => 0,
        CheckState::Degraded => 1,
        CheckState::Failing => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_labels_are_escaped() {
        let mut text = Text(String::new());
        text.sample("a", &[("b", "c\\d\"e\nf"), ("g", "")], 1);
        text.sample("h", &[], 0.5);
        assert_eq!(text.0, "a{b=\"c\\\\d\\\"e\\nf\",g=\"\"} 1\nh 0.5\n");
    }
}
