#!/bin/sh
# Run by mmdebstrap on the folder $1, into which it has unpacked packages without installing them. Leaves what
# installing would have left and the choice of files needs: dpkg's lists of files, and the bundle of authorities.
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
