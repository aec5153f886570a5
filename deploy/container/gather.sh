#!/bin/sh
# Gathers what an image of Tidegate consists of: the program, the libraries that it is linked
# with, root certificates, and a user. Nothing else is in it: no shell, no package manager.
#
#     gather.sh PROGRAM FOLDER
set -eu
program=$1
image=$2

mkdir -p "$image/usr/bin" "$image/etc/ssl/certs" "$image/etc/tidegate" "$image/var/lib/tidegate"
cp "$program" "$image/usr/bin/tidegate"
strip --strip-debug "$image/usr/bin/tidegate"

# Each under the name by which the program asks for it, the loader among them.
ldd "$program" | awk '{ for (i = 1; i <= NF; i++) if ($i ~ "^/") print $i }' | sort -u |
    while read -r library; do
        mkdir -p "$image${library%/*}"
        cp --dereference "$library" "$image$library"
    done

cp --dereference /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
echo 'hosts: files dns' >"$image/etc/nsswitch.conf"
echo 'tidegate:x:65532:65532:Tidegate:/var/lib/tidegate:/sbin/nologin' >"$image/etc/passwd"
echo 'tidegate:x:65532:' >"$image/etc/group"
chown 65532:65532 "$image/var/lib/tidegate"
