#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 600
#
# The life of the daemon under systemd, from make install on: a systemd of its own, in
# namespaces, over the file system of this machine; and a daemon of Debian beside it.
. "$(dirname "$0")/../lib.sh"
. "$SELFTESTS/httpd.sh"

SYSTEMD=/lib/systemd/systemd
CGROUP=/sys/fs/cgroup

# What process 1 of the machine does first: a file system of its own, and cgroups.
# shellcheck disable=SC2016 # variables of that shell
BOOT='
set -e
cd "$1"
mount -t overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" root root
cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
pivot_root . .
umount -l .
exec env -i container=ulp PATH=/usr/sbin:/usr/bin "$2" --unit=ulp-test.target \
	--show-status=no --log-target=journal'

# put_down - what the machine has other than this one
put_down() {
	local upper=$MACHINE/upper
	mkdir -p "$upper/etc/systemd/system/ulp.service.d" "$upper/etc/tmpfiles.d" "$upper/srv/httpd" \
		"$upper/usr/lib/modules/$(uname -r)" "$MACHINE/work" "$MACHINE/root"
	cp -r "$O/selftests/installed/." "$upper" || fail "make installed nothing"
	# all that modprobe needs of make modules_install
	cp "$ULP_KO" "$upper/usr/lib/modules/$(uname -r)"
	depmod -b "$upper/usr" "$(uname -r)" 2>/dev/null || fail depmod
	apr_patch "$WORK"
	cp "$WORK/apr.so" "$upper/srv/httpd"
	httpd_site "$upper/srv/httpd" /srv/httpd
	cat >"$upper/etc/systemd/system/httpd.service" <<-END
	[Service]
	ExecStart=$HTTPD -f /srv/httpd/conf -D FOREGROUND
	END
	cat >"$upper/etc/systemd/system/ulp-test.target" <<-END
	[Unit]
	Requires=basic.target
	After=basic.target
	Wants=httpd.service
	END
	# the machine may be emulated: time to patch, and less of it to see that it hangs
	cat >"$upper/etc/systemd/system/ulp.service.d/test.conf" <<-END
	[Service]
	ExecStart=
	ExecStart=/usr/sbin/ulp-tool daemon --hold 60
	WatchdogSec=$((5 * ${TIMES:-1}))
	RestartSec=100ms
	END
	: >"$upper/etc/fstab"
	ln -s /dev/null "$upper/etc/tmpfiles.d/tmp.conf"
	systemctl --root="$upper" --quiet enable ulp.path ulp.service || fail "systemctl enable"
}

boot() {
	mkdir -p $CGROUP/ulp-test
	(
		echo $BASHPID >$CGROUP/ulp-test/cgroup.procs
		exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child \
			sh -c "$BOOT" sh "$MACHINE" $SYSTEMD
	) >"$WORK/boot" 2>&1 </dev/null &
	UNSHARE=$!
	STARTED+=($!)
	loop_until is_up
}

is_up() {
	alive $UNSHARE || fail "systemd: $(cat "$WORK/boot")"
	INIT=$(cat "/proc/$UNSHARE/task/$UNSHARE/children")
	INIT=${INIT% }
	# that is on its way already: this waits for it
	[ "$(cat "/proc/$INIT/comm" 2>/dev/null)" = systemd ] &&
		there systemctl start ulp-test.target 2>/dev/null
}

there() {
	nsenter -t "$INIT" --all "$@"
}

# property UNIT NAME
property() {
	there systemctl show --value -p "$2" "$1"
}

unit_is() {
	[ "$(property "$1" ActiveState 2>/dev/null)" = "$2" ]
}

date_is() {
	local line date=
	exec {http}<>"/dev/tcp/127.0.0.1/$PORT" || return
	printf 'GET /file HTTP/1.0\r\n\r\n' >&"$http"
	while read -r -t $LIMIT -u "$http" line; do
		case $line in Last-Modified:*) date=${line#*: } ;; esac
	done
	exec {http}>&-
	[ "${date%$'\r'}" = "$1" ]
} 2>/dev/null

dates_are() {
	date_is "$1" || fail "the answer has another date than $1"
}

# since_boot UNIT - microseconds until it was up
since_boot() {
	property "$1" ActiveEnterTimestampMonotonic
}

restart_httpd() {
	there systemctl restart httpd || fail "systemctl restart httpd"
	loop_until httpd_answers
}

# shut_down - as it is done; none of it may hang
shut_down() {
	there systemctl poweroff || fail "systemctl poweroff"
	wait $UNSHARE
	[ ! -e "/proc/$INIT" ] || fail "process 1 of the machine is left"
}

# restarted N - as often as that, or more often
restarted() {
	[ "$(property ulp.service NRestarts)" -ge "$1" ]
}

another_daemon() {
	[ "$(property ulp.service MainPID)" != "$1" ] && unit_is ulp.service active
}

# What the machine has to say, if it is still there when the test ends.
journal() {
	[ ! -e "/proc/${INIT:-none}" ] || there journalctl -b -n 40 --no-pager | sed 's/^/# /'
}

test_life() {
	local daemon
	[ -n "${ULP_VM:-}" ] || skip "systemd would load the module on this machine"
	[ -x $SYSTEMD ] && command -v systemctl >/dev/null || skip "no systemd"
	[ -e $CGROUP/cgroup.procs ] || skip "no cgroups, version 2"
	need_httpd
	trap 'journal; end_all' EXIT
	MACHINE=$(mktemp -d /run/ulp-machine.XXXXXX)
	put_down
	# nothing is enabled: no daemon, no module
	boot
	loop_until httpd_answers
	dates_are "$OLD_DATE"
	unit_is ulp.path active || fail "ulp.path is not active"
	unit_is ulp.service inactive || fail "ulp.service is not inactive"
	[ ! -e /sys/module/ulp ] || fail "the module is loaded for nothing"
	# the first enabled patch starts the daemon, which finds no module, again and again
	there mv "/usr/lib/modules/$(uname -r)/ulp.ko" /srv || fail "mv ulp.ko"
	there ulp-tool enable /srv/httpd/apr.so >"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
	loop_until restarted 8
	unit_is ulp.path active || fail "ulp.path is not active"
	restart_httpd
	dates_are "$OLD_DATE"
	# and when there is one patches what is running
	there mv /srv/ulp.ko "/usr/lib/modules/$(uname -r)" || fail "mv ulp.ko"
	loop_until unit_is ulp.service active
	dates_are "$NEW_DATE"
	restart_httpd
	dates_are "$NEW_DATE"
	# it hangs: systemd starts another
	daemon=$(property ulp.service MainPID)
	there kill -STOP "$daemon"
	loop_until another_daemon "$daemon"
	dates_are "$NEW_DATE"
	restart_httpd
	dates_are "$NEW_DATE"
	# stopped: what is patched stays so, what is started is as without it
	there systemctl stop ulp.path ulp.service || fail "systemctl stop"
	unit_is ulp.service inactive || fail "ulp.service is not inactive"
	dates_are "$NEW_DATE"
	restart_httpd
	dates_are "$OLD_DATE"
	shut_down
	rmmod ulp || fail rmmod
	# with an enabled patch: it is ready before anything is started
	boot
	loop_until httpd_answers
	dates_are "$NEW_DATE"
	unit_is ulp.service active || fail "ulp.service is not active"
	[ "$(since_boot ulp.service)" -lt "$(since_boot sysinit.target)" ] || fail "after sysinit.target"
	[ "$(since_boot ulp.path)" -lt "$(since_boot sysinit.target)" ] || fail "ulp.path is late"
	shut_down
	rmmod ulp || fail rmmod
	rm -rf "$MACHINE"
}

run_tests test_life
