#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# Programs of Debian as they are: stripped, unprepared, not ours.
. "$(dirname "$0")/../lib.sh"

test_python_zlib() {
	[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
	# shellcheck disable=SC2016
	start_victim python /usr/bin/python3 -S -c '
import sys, zlib
print("ready", flush=True)
for line in iter(sys.stdin.readline, ""):
    line = line.strip()
    if line == "quit":
        break
    raw = zlib.compressobj(wbits=-15)
    data = raw.compress(b"x" * 10000) + raw.flush()
    print(zlib.crc32(line.encode()), zlib.adler32(line.encode()),
          len(zlib.decompress(data, wbits=-15)), flush=True)
print("EXIT-SUCCESS", flush=True)
'
	expect "907060870 103547413 10000" hello
	apply zlib
	expect "4716 103547414 10000" hello
	revert zlib
	expect "907060870 103547413 10000" hello
	apply zlib
	expect "4716 103547414 10000" hello
	end_victim
}

test_perl_crypt() {
	[ -x /usr/bin/perl ] || skip "no /usr/bin/perl"
	grep -q libcrypt < <(ldd /usr/bin/perl) || skip "perl without libcrypt"
	start_victim perl /usr/bin/perl -e '
$| = 1;
print "ready\n";
while (<STDIN>) {
	chomp;
	last if $_ eq "quit";
	print crypt($_, "\$6\$ab"), "\n";
}
print "EXIT-SUCCESS\n";
'
	ask hello
	original=$REPLY
	# shellcheck disable=SC2016
	case $original in '$6$ab$'*) ;; *) fail "crypt says $original" ;; esac
	apply crypt
	# shellcheck disable=SC2016
	expect 'patched hello $6$ab' hello
	revert crypt
	expect "$original" hello
	end_victim
}

run_tests test_python_zlib test_perl_crypt
