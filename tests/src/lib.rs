//! Fixtures, demo origin and end-to-end tests.
