//! `deploy/compose.yaml`, by a validator of the Compose specification.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use tidegate_tests::{policy_file::PolicyFile, redis::RedisServer, shim::check_with};

use crate::validators::{documents, in_the_repository, judged, passes, validator};

const FILE: &str = "deploy/compose.yaml";

/// Values from the environment are filled in first, as Compose does.
const VALIDATE: &str = r"
import re, sys, compose_spec
text = re.sub(r'\$\{\w+:-([^}]*)\}', r'\1', open(sys.argv[1]).read())
text = re.sub(r'\$\{\w+:\?[^}]*\}', 'given', text)
assert '${' not in text, text
compose_spec.PyCompose.from_yaml(text).validate()
";

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_the_compose_file_is_by_its_specification() {
    passes(validator("python").args(["-c", VALIDATE, FILE]));
    let text = fs::read_to_string(in_the_repository(FILE)).expect("a compose file");
    let misspelt = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&misspelt, text.replacen("cap_drop", "cap_dorp", 1)).expect("a file");
    let (success, said) = judged(validator("python").args(["-c", VALIDATE]).arg(misspelt.path()));
    assert!(!success && said.contains("cap_dorp"), "the validator sees what is wrong: {said}");
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_what_the_services_name_is_there() {
    let compose = compose();
    let services = compose["services"].as_object().expect("services");
    for (name, service) in services {
        let image = service["image"].as_str().expect("an image");
        let is_pinned = image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest");
        assert!(is_pinned || service["build"].is_object(), "{name}: {image}");
        for needed in service["depends_on"].as_object().into_iter().flatten() {
            assert!(services.contains_key(needed.0), "{name} waits for {}", needed.0);
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().expect("a volume");
            let source = volume.split(':').next().expect("a source");
            let is_there = match source.starts_with('.') {
                true => in_the_repository("deploy").join(source).exists(),
                false => compose["volumes"].get(source).is_some(),
            };
            assert!(is_there, "{name} mounts {volume}");
        }
    }
    let dockerfile = compose["services"]["tidegate"]["build"]["dockerfile"].as_str();
    assert!(in_the_repository(dockerfile.expect("a Dockerfile")).is_file());
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_the_policy_of_the_compose_file_is_good_and_its_variables_are_given() {
    let policy = PolicyFile::in_the_repository("deploy/policy/tidegate.toml");
    let ended = check_with(&policy, &["--deny-warnings"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let given = compose()["services"]["tidegate"]["environment"].clone();
    for name in needed_variables(&policy.text()) {
        assert!(given.get(&name).is_some(), "{name} is not in the environment of the container");
    }
}

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn p7_compose_waits_longer_than_the_program_takes_to_end() {
    assert_eq!(compose()["services"]["tidegate"]["stop_grace_period"], "45s");
}

/// The Redis of the limits, started as the file says, keeps what it is told.
#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn r8_the_redis_that_limits_are_counted_in_evicts_nothing() {
    let command = compose()["services"]["limits"]["command"].clone();
    let words: Vec<&str> =
        command.as_array().expect("words").iter().filter_map(Value::as_str).collect();
    assert_eq!(words[0], "redis-server");
    let redis = RedisServer::start_with(&words[1..]);
    assert_eq!(
        redis.command(&["CONFIG", "GET", "maxmemory-policy"]),
        "maxmemory-policy\nnoeviction"
    );
}

fn compose() -> Value {
    documents(FILE).swap_remove(0)
}

/// The variables that a policy takes values from and has no others for.
pub(crate) fn needed_variables(policy: &str) -> BTreeSet<String> {
    let lines = policy.lines().filter(|line| !line.trim_start().starts_with('#'));
    let names = lines.flat_map(|line| line.split("${").skip(1));
    let names = names.filter_map(|rest| Some(rest.split_once('}')?.0));
    names.filter(|name| !name.contains(":-")).map(str::to_owned).collect()
}
