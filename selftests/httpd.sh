# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
#
# A daemon of Debian for the tests that want one: Apache's httpd, and a patch for the
# Apache Portable Runtime, a library of it.  The date of a file, which an answer of
# httpd brings, says which code it runs.  Sourced behind lib.sh.

HTTPD=/usr/sbin/apache2
APR=/usr/lib/x86_64-linux-gnu/libapr-1.so.0
PORT=8123
OLD_DATE="Fri, 13 Feb 2009 23:31:30 GMT"
NEW_DATE=patched

need_httpd() {
	[ -x $HTTPD ] && [ -e $APR ] || skip "no $HTTPD"
}

# apr_patch DIRECTORY - makes apr.so there
apr_patch() {
	cat >"$1/apr.c" <<-END
	#include <string.h>

	int new_date(char *date, long long time)
	{
		(void)time;
		strcpy(date, "$NEW_DATE");
		return 0;
	}
	END
	printf '%s\n' apr.so "@$APR" apr_rfc822_date:new_date >"$1/apr.dsc"
	gcc -O2 -shared -fPIC -o "$1/apr.so" "$1/apr.c" || fail gcc
	"$ULP_PACKER" pack -q "$1/apr.dsc" || fail ulp-packer
}

# httpd_site DIRECTORY [NAME] - a file to ask for, and the configuration "conf"; NAME is
# the directory as httpd sees it
httpd_site() {
	local seen=${2:-$1}
	mkdir "$1/www"
	# others than root must be able to come here
	chmod 755 "$1" "$1/www"
	echo content >"$1/www/file"
	touch -d @1234567890 "$1/www/file"
	cat >"$1/conf" <<-END
	ServerRoot $seen
	ServerName localhost
	DefaultRuntimeDir $seen
	PidFile $seen/pid
	ErrorLog $seen/log
	Listen 127.0.0.1:$PORT
	LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
	LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
	User nobody
	Group nogroup
	DocumentRoot $seen/www
	StartServers 2
	ServerLimit 2
	ThreadsPerChild 8
	MaxRequestWorkers 16
	MinSpareThreads 1
	MaxSpareThreads 16
	MaxKeepAliveRequests 0
	END
}

httpd_answers() {
	(exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null
}
