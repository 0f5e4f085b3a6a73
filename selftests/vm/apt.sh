# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Package lists of our own beside this machine's: more than it has chosen to see,
# from where its apt gets its packages, and nothing of it is changed.  Sourced,
# not run; after common.sh.

APT=$VMDIR/apt
NEXT=trixie # Debian 13
# shellcheck disable=SC2034 # selftests/corpus/root wants it
PREVIOUS=bullseye # Debian 11
from=       # this machine's apt; or backports, next, or sources

# apt COMMAND... - with the package lists of $from
apt() {
	command=$1
	shift
	set -- -q "$@"
	[ -z "$from" ] || set -- -o "Dir::Etc::SourceList=$APT/$from/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$APT/$from/lists" \
		-o "Dir::Cache=$APT/$from/cache" "$@"
	# what is installed here counts only for this release's packages
	case $from in
	backports | next) set -- -o "Dir::State::Status=$APT/$from/status" "$@" ;;
	esac
	"$command" "$@"
}

# use '' | backports | next | sources - have its package lists; sources: those of
# this release with the source packages
use() {
	from=$1
	[ -n "$from" ] && [ ! -e "$APT/$from/sources.list" ] || return 0
	mkdir -p "$APT/$from/lists/partial" "$APT/$from/cache/archives/partial"
	: >"$APT/$from/status"
	# shellcheck disable=SC2016 # apt's own words
	apt-get indextargets --format '$(SITE) $(CODENAME) $(ORIGIN)' 'Created-By: Packages' |
		awk -v from="$from" -v next_release="$NEXT" '
		$3 != "Debian" { next }
		from == "sources" { print "deb", $1, $2, "main"; print "deb-src", $1, $2, "main" }
		$2 ~ /-/ { next }
		from == "backports" { print "deb", $1, $2 "-backports main" }
		from == "next" { print "deb", $1, next_release " main"
				 print "deb", $1, next_release "-backports main" }' |
		sort -u >"$APT/$from/sources.list"
	apt apt-get update >"$APT/$from/update.log" 2>&1 || {
		cat "$APT/$from/update.log" >&2
		rm "$APT/$from/sources.list"
		die "cannot read the package lists of $from"
	}
}
