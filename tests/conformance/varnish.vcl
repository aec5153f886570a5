# Varnish as a cache before the public HTTP cache tests: its built-in rules but for grace, and
# the permission to keep cookies that policy.toml gives Tidegate. `cargo xtask conformance`
# fills in what stands between @s.
vcl 4.1;

backend suite {
    .host = "@HOST@";
    .port = "@PORT@";
}

# Out of the box Varnish serves what has been stale for less than ten seconds while it fetches
# anew (grace), also when the origin is well; the tests count that as wrong, so it is off. With
# it goes the stale answer in place of an error: Varnish has no other way to give it. What is
# stale is kept to be revalidated.
sub vcl_backend_response {
    set beresp.grace = 0s;
    set beresp.keep = 1h;
}

# An answer that sets a cookie may be kept.
sub vcl_beresp_cookie {
    return;
}
