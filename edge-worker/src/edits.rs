//! Header changes, collected in Rust and applied by the platform in one call.

use tidegate_core::headers::FieldsMut;

/// One change a line: `=name:value` puts, `+name:value` adds, `-name:` takes away.
#[derive(Default)]
pub(crate) struct Edits {
    text: String,
}

impl Edits {
    /// The changes, in the order they were made.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Adds one line behind those named `name`.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.push('+', name, value);
    }

    /// Takes all lines named `name` away.
    pub(crate) fn drop(&mut self, name: &str) {
        self.push('-', name, "");
    }

    /// Adds all these lines.
    pub(crate) fn add_all<'a>(&mut self, lines: impl Iterator<Item = (&'a str, &'a [u8])>) {
        for (name, value) in lines {
            // Every value came from the platform as text.
            if let Ok(value) = str::from_utf8(value) {
                self.add(name, value);
            }
        }
    }

    /// Makes these changes as well.
    pub(crate) fn extend(&mut self, more: &Self) {
        if !self.text.is_empty() && !more.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&more.text);
    }

    fn push(&mut self, operation: char, name: &str, value: &str) {
        // A line feed would begin another change, and no field value may hold one
        // (RFC 9110 §5.5): such a value can only come from a bug, and goes nowhere.
        debug_assert!(!value.contains(['\r', '\n', '\0']), "{name} holds a line feed");
        if value.contains(['\r', '\n', '\0']) {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push(operation);
        self.text.push_str(name);
        self.text.push(':');
        self.text.push_str(value);
    }
}

impl FieldsMut for Edits {
    fn set(&mut self, name: &'static str, value: &str) {
        self.push('=', name, value);
    }

    fn set_named(&mut self, name: &str, value: &str) {
        self.push('=', name, value);
    }

    fn append(&mut self, name: &'static str, value: &str) {
        self.push('+', name, value);
    }

    fn remove(&mut self, name: &'static str) {
        self.push('-', name, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_keep_their_order_and_their_kind() {
        let mut edits = Edits::default();
        edits.remove("age");
        edits.set("x-cache", "HIT");
        edits.append("cache-status", "tidegate-edge; hit");
        assert_eq!(edits.as_str(), "-age:\n=x-cache:HIT\n+cache-status:tidegate-edge; hit");
        let mut all = Edits::default();
        all.extend(&edits);
        all.extend(&Edits::default());
        assert_eq!(all.as_str(), edits.as_str());
        all.extend(&edits);
        assert_eq!(all.as_str(), [edits.as_str(), edits.as_str()].join("\n"));
    }
}
