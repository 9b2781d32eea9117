#!/bin/sh
# mmdebstrap runs this on the folder $1, into which it has unpacked packages without installing them. Creates what the installation
# would have left and the selection of files needs: dpkg's file lists, and the CA bundle.
set -eu
root=$1
for deb in "$root"/var/cache/apt/archives/*.deb; do
	name=$(dpkg-deb --field "$deb" Package)
	dpkg-deb --fsys-tarfile "$deb" | tar --list | sed 's,^\.,,' >"$root/var/lib/dpkg/info/$name.list"
	dpkg-deb --field "$deb" >>"$root/var/lib/dpkg/status"
	echo >>"$root/var/lib/dpkg/status"
done
if [ -d "$root/usr/share/ca-certificates/mozilla" ]; then
	mkdir -p "$root/etc/ssl/certs"
	cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
fi
