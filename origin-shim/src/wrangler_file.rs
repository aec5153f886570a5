//! Writes into a `wrangler.toml` the rate limit bindings that a policy needs. Whatever else stands
//! there, comments too, stays as it is.

use std::fmt;

use tidegate_core::rate::colo::{Binding, PREFIX};
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TomlError, Value, value};

/// Why nothing is written.
#[derive(Debug)]
pub enum WranglerError {
    /// It is not TOML.
    NotToml(TomlError),
    /// `ratelimits` stands there in another form than as `[[ratelimits]]`.
    OtherForm,
}

/// The text with the `bindings` in it, for the worker and for each of its environments, which
/// bind for themselves. An entry that is there keeps its namespace; one of ours that no limit
/// needs is taken out.
pub fn with_bindings(text: &str, bindings: &[Binding]) -> Result<String, WranglerError> {
    let mut file: DocumentMut = text.parse().map_err(WranglerError::NotToml)?;
    let worker = file.get("name").and_then(Item::as_str).unwrap_or_default().to_owned();
    let mut changed = bind(file.as_table_mut(), &worker, bindings)?;
    if let Some(environments) = file.get_mut("env").and_then(Item::as_table_mut) {
        for (name, environment) in environments.iter_mut() {
            let environment = environment.as_table_mut().ok_or(WranglerError::OtherForm)?;
            // As wrangler calls it.
            let own = environment.get("name").and_then(Item::as_str).map(str::to_owned);
            let worker = own.unwrap_or_else(|| format!("{worker}-{name}"));
            changed |= bind(environment, &worker, bindings)?;
        }
    }
    Ok(if changed { file.to_string() } else { text.to_owned() })
}

/// Binds in one table; whether anything may be other than it was.
fn bind(table: &mut Table, worker: &str, bindings: &[Binding]) -> Result<bool, WranglerError> {
    if bindings.is_empty() && !table.contains_key("ratelimits") {
        return Ok(false);
    }
    let item = table.entry("ratelimits").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let entries = item.as_array_of_tables_mut().ok_or(WranglerError::OtherForm)?;
    let name = |entry: &Table| entry.get("name").and_then(Item::as_str).map(str::to_owned);
    entries.retain(|entry| {
        let is_ours = |name: &String| name.starts_with(PREFIX);
        let is_wanted = |name: &String| bindings.iter().any(|binding| binding.name == *name);
        name(entry).is_none_or(|name| !is_ours(&name) || is_wanted(&name))
    });
    for binding in bindings {
        let known = entries.iter_mut().find(|entry| name(entry).as_ref() == Some(&binding.name));
        if let Some(entry) = known {
            update(entry, binding);
            continue;
        }
        let first = binding.namespace_id(worker);
        let id = (first..).map(|id| id.to_string()).find(|id| !is_taken(id, entries));
        entries.push(entry(binding, &id.unwrap_or_default()));
    }
    if entries.is_empty() {
        table.remove("ratelimits");
    }
    Ok(true)
}

fn is_taken(namespace: &str, entries: &ArrayOfTables) -> bool {
    let of = |entry: &Table| entry.get("namespace_id")?.as_str().map(str::to_owned);
    entries.iter().any(|entry| of(entry).as_deref() == Some(namespace))
}

fn entry(binding: &Binding, namespace: &str) -> Table {
    let mut entry = Table::new();
    entry.insert("name", value(&binding.name));
    entry.insert("namespace_id", value(namespace));
    entry.insert("simple", value(simple(binding)));
    entry.decor_mut().set_prefix("\n");
    entry
}

fn simple(binding: &Binding) -> InlineTable {
    let numbers = [("limit", binding.limit), ("period", binding.period)];
    numbers.into_iter().map(|(key, number)| (key, Value::from(i64::from(number)))).collect()
}

/// Sets the numbers, where they are others.
fn update(entry: &mut Table, binding: &Binding) {
    let number = |key| entry.get("simple")?.as_table_like()?.get(key)?.as_integer();
    let numbers = (number("limit"), number("period").or(Some(60)));
    if numbers != (Some(binding.limit.into()), Some(binding.period.into())) {
        entry.insert("simple", value(simple(binding)));
    }
}

impl fmt::Display for WranglerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotToml(error) => write!(f, "it is not TOML: {error}"),
            Self::OtherForm => f.write_str("write its `ratelimits` as `[[ratelimits]]` first"),
        }
    }
}

impl std::error::Error for WranglerError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(name: &str, limit: u32) -> Binding {
        Binding { name: format!("{PREFIX}{name}"), limit, period: 10 }
    }

    const FILE: &str = r#"# Where it runs.
name = "shop" # ours

[[ratelimits]] # by hand
name = "MINE"
namespace_id = "1001"
simple = { limit = 5, period = 60 }

# For the search.
[[ratelimits]]
name = "RATELIMIT_SEARCH"
namespace_id = "1002" # as ever
simple = { limit = 20, period = 10 }

[vars]
A = 1
"#;

    #[test]
    fn what_is_as_it_should_be_stays_byte_by_byte() {
        assert_eq!(with_bindings(FILE, &[binding("SEARCH", 20)]).unwrap(), FILE);
        assert_eq!(with_bindings("a = 1 # b\n", &[]).unwrap(), "a = 1 # b\n");
    }

    #[test]
    fn numbers_are_changed_and_namespaces_and_comments_kept() {
        let changed = with_bindings(FILE, &[binding("SEARCH", 30)]).unwrap();
        assert_eq!(changed, FILE.replace("limit = 20", "limit = 30"));
    }

    #[test]
    fn a_new_limit_is_bound_and_one_that_is_gone_is_not() {
        let changed = with_bindings(FILE, &[binding("LOGIN", 3)]).unwrap();
        assert!(!changed.contains("RATELIMIT_SEARCH") && changed.contains("\"MINE\""), "{changed}");
        let id = binding("LOGIN", 3).namespace_id("shop");
        let entry = format!(
            "\n[[ratelimits]]\nname = \"RATELIMIT_LOGIN\"\nnamespace_id = \"{id}\"\n\
             simple = {{ limit = 3, period = 10 }}\n"
        );
        assert!(changed.contains(&entry), "{changed}");
        assert_eq!(with_bindings(&changed, &[binding("LOGIN", 3)]).unwrap(), changed);
        // The entries of others stand where they stood.
        assert!(with_bindings(&changed, &[]).unwrap().contains("[[ratelimits]] # by hand"));
    }

    #[test]
    fn a_namespace_that_is_taken_is_given_to_nobody_else() {
        let id = binding("LOGIN", 3).namespace_id("shop");
        let file = FILE.replace("1001", &id.to_string());
        let changed = with_bindings(&file, &[binding("LOGIN", 3), binding("SEARCH", 20)]).unwrap();
        assert!(changed.contains(&format!("namespace_id = \"{}\"", id + 1)), "{changed}");
    }

    #[test]
    fn each_environment_has_bindings_and_namespaces_of_its_own() {
        let file = format!("{FILE}\n[env.staging]\nvars = {{ A = 2 }} # other\n");
        let changed = with_bindings(&file, &[binding("SEARCH", 20)]).unwrap();
        let id = binding("SEARCH", 20).namespace_id("shop-staging");
        let entry = format!(
            "[[env.staging.ratelimits]]\nname = \"RATELIMIT_SEARCH\"\nnamespace_id = \"{id}\"\n"
        );
        assert!(changed.starts_with(FILE) && changed.contains(&entry), "{changed}");
        assert_eq!(with_bindings(&changed, &[binding("SEARCH", 20)]).unwrap(), changed);
        assert!(!with_bindings(&changed, &[]).unwrap().contains("env.staging.ratelimits"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_left_alone() {
        let bindings = [binding("SEARCH", 20)];
        assert!(matches!(with_bindings("a = [", &bindings), Err(WranglerError::NotToml(_))));
        let other = with_bindings("ratelimits = []", &bindings);
        assert!(matches!(other, Err(WranglerError::OtherForm)));
    }
}
