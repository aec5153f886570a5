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

    /// The changes that are left when those are taken out which a later one makes void, and what
    /// takes away a field that `is_there` says is not: each costs a call of the platform.
    pub(crate) fn settled(&self, is_there: impl Fn(&str) -> bool) -> String {
        let mut settled: Vec<&str> = Vec::with_capacity(16);
        let mut kept: Vec<&str> = Vec::with_capacity(16);
        for line in self.text.rsplit('\n').filter(|line| !line.is_empty()) {
            let (operation, rest) = line.split_at(1);
            let name = rest.split_once(':').map_or(rest, |(name, _)| name);
            if settled.contains(&name) {
                continue;
            }
            if operation != "+" {
                settled.push(name);
            }
            if operation != "-" || is_there(name) {
                kept.push(line);
            }
        }
        kept.reverse();
        kept.join("\n")
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
    fn what_a_later_change_makes_void_is_settled_and_the_rest_stays() {
        let mut edits = Edits::default();
        edits.drop("date");
        edits.drop("absent");
        edits.add("date", "now");
        edits.add("cache-control", "private");
        edits.add("x", "1");
        edits.add("x", "2");
        edits.set("cache-control", "public");
        edits.remove("expires");
        edits.append("cache-status", "tidegate-edge; hit");
        let expected = "-date:\n+date:now\n+x:1\n+x:2\n=cache-control:public\n\
                        +cache-status:tidegate-edge; hit";
        assert_eq!(edits.settled(|name| name == "date"), expected);
        assert_eq!(Edits::default().settled(|_| true), "");
    }

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
