//! The programs that judge, and the files that are judged.

use std::{
    env,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The folder of the validators from PyPI.
const VALIDATORS: &str = "VALIDATORS";

/// Reads all documents of a file of YAML, aliases resolved.
const AS_JSON: &str = "
import json, sys, yaml
json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)
";

/// A file of the repository.
pub(crate) fn in_the_repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").join(file)
}

/// One of the programs from PyPI, to be run in the repository.
pub(crate) fn validator(name: &str) -> Command {
    let folder = PathBuf::from(env::var_os(VALIDATORS).expect("VALIDATORS names a folder"));
    let mut command = Command::new(folder.join(name));
    command.current_dir(in_the_repository(""));
    command
}

/// The documents of a file of YAML.
pub(crate) fn documents(file: &str) -> Vec<Value> {
    let mut python = validator("python");
    python.args(["-c", AS_JSON, file]);
    serde_json::from_str(&passes(&mut python)).expect("what Python wrote")
}

/// What a program says on standard output, all being well.
#[track_caller]
pub(crate) fn passes(command: &mut Command) -> String {
    let (success, said) = judged(command);
    assert!(success, "{command:?}: {said}");
    said
}

/// Whether a program ends well, and all that it says.
#[track_caller]
pub(crate) fn judged(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A port that nobody listens at.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
