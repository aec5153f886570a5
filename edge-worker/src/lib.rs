//! The request loop at the CDN edge.
