# Varnish as it comes. It keeps texts compressed.
vcl 4.1;
backend default { .host = "@HOST@"; .port = "@PORT@"; }
sub vcl_backend_response {
    if (beresp.http.content-type ~ "^text/plain") { set beresp.do_gzip = true; }
}
sub vcl_deliver {
    set resp.http.X-Frame-Options = "SAMEORIGIN";
    set resp.http.X-Content-Type-Options = "nosniff";
}
