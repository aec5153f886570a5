//! `deploy/kubernetes`, by the schemas of the oldest Kubernetes that it is for and of the newest;
//! and the numbers of D2 in it.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use tidegate_tests::{policy_file::PolicyFile, shim::check_with};

use crate::compose::needed_variables;
use crate::validators::{documents, in_the_repository, judged, passes, validator};

/// The first that waits before it stops a container without a program in it that waits.
const OLDEST: &str = "1.30";
/// How long the program takes at most to end: 30 s to drain, 10 s to tell the edge the rest.
const ENDING: u64 = 40;

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_the_manifests_are_by_the_schemas_of_kubernetes() {
    let files = files();
    for version in [&["-k", OLDEST][..], &[]] {
        let mut validate = validator("kubernetes-validate");
        let said = passes(validate.arg("--strict").args(version).args(&files));
        assert_eq!(said.matches(" passed ").count(), objects().len(), "{said}");
    }
    let text = fs::read_to_string(in_the_repository("deploy/kubernetes/deployment.yaml"));
    let misspelt = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    let text = text.expect("a manifest").replace("readinessProbe", "readynessProbe");
    fs::write(&misspelt, text).expect("a file");
    let mut validate = validator("kubernetes-validate");
    assert!(!judged(validate.arg("--strict").arg(misspelt.path())).0, "it sees what is wrong");
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_probes_and_scaling_are_as_required() {
    let container = container();
    let times = |probe: &str| {
        let probe = &container[probe];
        (probe["initialDelaySeconds"].clone(), probe["periodSeconds"].clone())
    };
    assert_eq!(times("livenessProbe"), (json!(30), json!(10)));
    assert_eq!(times("readinessProbe"), (json!(5), json!(5)));
    // /ready is 503 when an upstream is gone: then no pod at all would get a request.
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"], json!({ "path": "/healthz", "port": "http" }));
    }

    let scaling = object("HorizontalPodAutoscaler", "tidegate");
    let spec = &scaling["spec"];
    assert_eq!(spec["scaleTargetRef"]["name"], "tidegate");
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(3), &json!(20)));
    let share = |name: &str| {
        let metrics = spec["metrics"].as_array().expect("metrics").iter();
        let mut of_it = metrics.filter(|metric| metric["resource"]["name"] == name);
        of_it.next().map(|metric| metric["resource"]["target"]["averageUtilization"].clone())
    };
    assert_eq!((share("cpu"), share("memory")), (Some(json!(70)), Some(json!(80))));
    let behavior = &spec["behavior"];
    assert_eq!(behavior["scaleUp"]["stabilizationWindowSeconds"], 60);
    assert_eq!(behavior["scaleDown"]["stabilizationWindowSeconds"], 180);
    // Shares are of what is requested; without that nothing scales.
    let requests = &container["resources"]["requests"];
    assert!(requests["cpu"].is_string() && requests["memory"].is_string());
    assert!(deployment()["spec"].get("replicas").is_none(), "two would say how many there are");
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn p7_kubernetes_waits_longer_than_the_program_takes_to_end() {
    let waits = container()["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64();
    let grace = deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
    assert!(grace.expect("a grace period") > waits.expect("a wait") + ENDING);
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_the_policy_of_the_pods_is_good_and_its_variables_are_given() {
    let policy = object("ConfigMap", "tidegate")["data"]["tidegate.toml"].clone();
    let policy = PolicyFile::with_text(policy.as_str().expect("a policy"));
    let ended = check_with(&policy, &["--deny-warnings"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let container = container();
    let given: BTreeSet<&str> = container["env"]
        .as_array()
        .expect("variables")
        .iter()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    let needed = needed_variables(&policy.text());
    assert!(needed.iter().all(|name| given.contains(&**name)), "{needed:?}, {given:?}");
}

/// Names that must match by nobody's check but this: selectors, ports, volumes.
#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_the_manifests_mean_each_other() {
    let objects = objects();
    let pods: Vec<&Value> = objects
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .map(|object| &object["spec"]["template"])
        .collect();
    let is_meant = |selector: &Value| {
        pods.iter().any(|pod| {
            let labels = pod["metadata"]["labels"].as_object().expect("labels");
            selector.as_object().is_some_and(|wanted| {
                wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
            })
        })
    };
    for object in &objects {
        let spec = &object["spec"];
        let selector = match object["kind"].as_str().expect("a kind") {
            "Service" => &spec["selector"],
            "Deployment" | "PodDisruptionBudget" => &spec["selector"]["matchLabels"],
            "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
            _ => continue,
        };
        assert!(is_meant(selector), "nobody is {selector}");
    }
    let mounted = deployment()["spec"]["template"]["spec"]["volumes"][0]["configMap"].clone();
    assert_eq!(mounted["name"], "tidegate");
    let policy = object("ConfigMap", "tidegate")["data"]["tidegate.toml"].to_string();
    for port in container()["ports"].as_array().expect("ports") {
        let listens = format!("0.0.0.0:{}", port["containerPort"]);
        assert!(policy.contains(&listens), "the policy listens at {listens}");
    }
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_every_container_is_confined_and_pinned() {
    for object in objects().iter().filter(|object| object["kind"] == "Deployment") {
        let pod = &object["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in pod["containers"].as_array().expect("containers") {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
            assert!(container["resources"]["limits"]["memory"].is_string());
            let image = container["image"].as_str().expect("an image");
            assert!(image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest"), "{image}");
        }
    }
}

fn files() -> Vec<String> {
    let folder = fs::read_dir(in_the_repository("deploy/kubernetes")).expect("a folder");
    let mut files: Vec<String> =
        folder.map(|file| file.expect("a file").path().display().to_string()).collect();
    files.retain(|file| file.ends_with(".yaml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

fn objects() -> Vec<Value> {
    files().iter().flat_map(|file| documents(file)).collect()
}

fn object(kind: &str, name: &str) -> Value {
    let mut objects = objects().into_iter();
    let found = objects.find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn deployment() -> Value {
    object("Deployment", "tidegate")
}

fn container() -> Value {
    deployment()["spec"]["template"]["spec"]["containers"][0].clone()
}
