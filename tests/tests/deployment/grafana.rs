//! `deploy/grafana`: the dashboard, by the types of Grafana's own SDK.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::validators::{documents, in_the_repository, judged, passes, validator};

const DASHBOARD: &str = "deploy/grafana/dashboard.json";

/// Reads the dashboard into the types of the SDK and writes it again: what they do not know is
/// lost on the way, which is an error.
const VALIDATE: &str = "
import json, sys
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard
plugins.register_default_plugins()
ours = json.load(open(sys.argv[1]))
theirs = json.loads(json.dumps(dashboard.Dashboard.from_json(ours), cls=JSONEncoder))
def compare(a, b, place):
    if isinstance(a, dict):
        for name, value in a.items():
            assert name in b, f'{place}.{name} means nothing to Grafana'
            compare(value, b[name], f'{place}.{name}')
    elif isinstance(a, list):
        assert len(a) == len(b), place
        for at, (x, y) in enumerate(zip(a, b)):
            compare(x, y, f'{place}[{at}]')
    else:
        assert a == b, (place, a, b)
compare(ours, theirs, 'dashboard')
";

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn p10_grafana_knows_every_field_of_the_dashboard() {
    passes(validator("python").args(["-c", VALIDATE, DASHBOARD]));
    let text = fs::read_to_string(in_the_repository(DASHBOARD)).expect("a dashboard");
    let misspelt = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&misspelt, text.replacen("legendFormat", "legendFormet", 1)).expect("a file");
    let (success, said) = judged(validator("python").args(["-c", VALIDATE]).arg(misspelt.path()));
    assert!(!success && said.contains("legendFormet"), "it sees what is wrong: {said}");
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn p10_the_panels_are_told_apart_and_lie_side_by_side() {
    let panels = panels();
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in &panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64());
        let (x, y, w, h) = (x.unwrap_or(99), y.unwrap_or(99), w.unwrap_or(99), h.unwrap_or(99));
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{} lies on another panel", panel["title"]);
        }
    }
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn p10_grafana_is_told_where_prometheus_and_the_dashboard_are() {
    let folder = "deploy/grafana/provisioning";
    let sources = documents(&format!("{folder}/datasources/prometheus.yaml"));
    assert_eq!(sources[0]["datasources"][0]["url"], "http://prometheus:9090");
    let providers = documents(&format!("{folder}/dashboards/tidegate.yaml"));
    let path = providers[0]["providers"][0]["options"]["path"].as_str().expect("a path");
    let compose = documents("deploy/compose.yaml");
    let volumes = compose[0]["services"]["grafana"]["volumes"].to_string();
    assert!(volumes.contains(&format!("./grafana/dashboard.json:{path}/")), "{volumes}");
}

/// What its panels ask Prometheus, with what stands for the labels in their legends.
pub(crate) fn questions() -> Vec<(String, String)> {
    let panels = panels();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let questions: Vec<_> =
        targets.map(|target| (text(&target["expr"]), text(&target["legendFormat"]))).collect();
    assert!(questions.len() > 30, "{questions:?}");
    questions
}

fn panels() -> Vec<Value> {
    let text = fs::read_to_string(in_the_repository(DASHBOARD)).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    dashboard["panels"].as_array().expect("panels").clone()
}
