//! Adapters for the header map of the `http` crate.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::headers::{Fields, FieldsMut};

impl Fields for HeaderMap {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    fn lines_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }
}

/// A value that no field may hold (a line break, say) is left out: it never gets to the wire.
impl FieldsMut for HeaderMap {
    fn set(&mut self, name: &'static str, value: &str) {
        match HeaderValue::from_str(value) {
            Ok(value) => drop(self.insert(HeaderName::from_static(name), value)),
            Err(_) => drop(HeaderMap::remove(self, name)),
        }
    }

    fn set_named(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            self.insert(name, value);
        }
    }

    fn append(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            HeaderMap::append(self, HeaderName::from_static(name), value);
        }
    }

    fn remove(&mut self, name: &'static str) {
        HeaderMap::remove(self, name);
    }
}
