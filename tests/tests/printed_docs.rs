//! What stands under docs/ is what the program says itself.

use std::{fs, path::Path};

use tidegate_tests::{policy_file::PolicyFile, process, shim::check_with};

#[test]
fn the_committed_schema_and_reference_are_current() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").join("docs");
    for (file, arguments) in [
        ("policy.schema.json", &["schema"][..]),
        ("policy-reference.md", &["schema", "--reference"]),
    ] {
        let printed = process::run(process::tidegate(), arguments);
        assert!(printed.status.success(), "{}", printed.stderr);
        let path = docs.join(file);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == printed.stdout,
            "docs/{file} is not current: write it anew by `cargo run --bin tidegate -- {} > docs/{file}`",
            arguments.join(" ")
        );
    }
}

#[test]
fn the_policies_in_the_guides_are_good_and_without_a_warning() {
    let folder = PolicyFile::in_the_repository("docs/guides");
    let mut checked = 0;
    for guide in fs::read_dir(folder.path()).expect("docs/guides") {
        let path = guide.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a text");
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for policy in blocks.filter(|block| block.starts_with("schema = ")) {
            let policy = with_folders_beside(policy);
            let ended = check_with(&policy, &["--deny-warnings"]);
            assert!(ended.status.success(), "{}: {}", path.display(), ended.stderr);
            checked += 1;
        }
    }
    assert!(checked > 0, "no guide has a policy");
}

/// The policy with a folder of files that is there, in place of the one that it names.
fn with_folders_beside(policy: &str) -> PolicyFile {
    let line = |line: &str| match line.starts_with("files = ") {
        true => "files = \"there\"".to_owned(),
        false => line.to_owned(),
    };
    let lines: Vec<String> = policy.lines().map(line).collect();
    let policy = PolicyFile::with_text(&lines.join("\n"));
    fs::create_dir(policy.path().with_file_name("there")).expect("a temporary folder");
    policy
}
