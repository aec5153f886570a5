//! What is printed from the program's own declarations is what is committed under docs/.

use std::{fs, path::Path};

use tidegate_tests::process;

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
