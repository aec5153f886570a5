//! What cargo says while it compiles the worker, without the wrapping it puts
//! around the words of a build script.
//!
//! The worker's build script compiles the policy. When the policy has errors,
//! cargo reports "failed to run custom build command", the command's path, its
//! standard output and, at last, the errors; only they help.

const FAILED_BUILD_SCRIPT: &str = "failed to run custom build command for `tidegate-edge ";

/// Passes cargo's lines on until the worker's build script fails.
#[derive(Default)]
pub(super) struct CompilerOutput {
    failure: Option<Vec<String>>,
}

impl CompilerOutput {
    /// The line as it should be shown, or `None` if it is wrapping.
    pub(super) fn pass_on<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        if let Some(failure) = &mut self.failure {
            failure.push(line.to_owned());
            return None;
        }
        if line.contains(FAILED_BUILD_SCRIPT) {
            self.failure = Some(Vec::new());
            return None;
        }
        Some(line)
    }

    /// What the build script wrote to standard error before it failed.
    pub(super) fn build_script_error(&self) -> Option<String> {
        let lines = self.failure.as_ref()?.iter();
        let section = lines.skip_while(|line| line.trim() != "--- stderr").skip(1);
        // Cargo indents the script's words; its own next words stand at the margin.
        let words = section
            .take_while(|line| line.is_empty() || line.starts_with("  "))
            .map(|line| line.strip_prefix("  ").unwrap_or(line));
        let error = words.collect::<Vec<_>>().join("\n");
        Some(error.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "   Compiling tidegate-edge v0.1.0 (/home/me/tidegate/edge-worker)
error: failed to run custom build command for `tidegate-edge v0.1.0 (/home/me/tidegate/edge-worker)`

Caused by:
  process didn't exit successfully: `/home/me/tidegate/target/…/build-script-build` (exit status: 1)
  --- stdout
  cargo::rerun-if-changed=../tidegate.toml

  --- stderr
  error: unknown field `tll`
    --> tidegate.toml:12:8

    hint: did you mean `ttl`?
warning: build failed, waiting for other jobs to finish...";

    #[test]
    fn a_policy_error_is_taken_out_of_its_wrapping() {
        let mut output = CompilerOutput::default();
        let shown: Vec<&str> = FAILED.lines().filter_map(|line| output.pass_on(line)).collect();
        assert_eq!(shown, ["   Compiling tidegate-edge v0.1.0 (/home/me/tidegate/edge-worker)"]);
        assert_eq!(
            output.build_script_error().unwrap(),
            "error: unknown field `tll`\n  --> tidegate.toml:12:8\n\n  hint: did you mean `ttl`?"
        );
    }

    #[test]
    fn an_error_of_the_compiler_is_passed_on_whole() {
        let mut output = CompilerOutput::default();
        for line in ["error[E0308]: mismatched types", " --> edge-worker/src/lib.rs:3:5"] {
            assert_eq!(output.pass_on(line), Some(line));
        }
        assert_eq!(output.build_script_error(), None);
    }
}
