#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# A daemon of Debian under load, with several processes of several threads and of
# another user, while a library of it is patched and reverted: Apache's httpd and
# the Apache Portable Runtime.
. "$(dirname "$0")/../lib.sh"
. "$SELFTESTS/httpd.sh"

# Keeps connections busy.  Each line it is asked is a phase that ends, when there
# were 40 requests of it; the answer counts those that began in it.
CLIENT='
import http.client, sys, threading
lock = threading.Condition()
phase, begun, counts = 0, {}, {}

def work(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while True:
        with lock:
            mine = phase
            begun[threading.get_ident()] = mine
            lock.notify_all()
        try:
            connection.request("GET", "/file")
            answer = connection.getresponse()
            good = answer.status == 200 and answer.read() == b"content\n"
            date = answer.getheader("Last-Modified")
            kind = {sys.argv[2]: "old", sys.argv[3]: "new"}.get(date, "failed") if good else "failed"
        except Exception as error:
            print(error, file=sys.stderr)
            connection.close()
            kind = "failed"
        with lock:
            count = counts.setdefault(mine, {"old": 0, "new": 0, "failed": 0})
            count[kind] += 1
            lock.notify_all()

threads = [threading.Thread(target=work, args=(int(sys.argv[1]),), daemon=True)
           for _ in range(4)]
for thread in threads:
    thread.start()
print("ready", flush=True)
for line in iter(sys.stdin.readline, "quit\n"):
    with lock:
        lock.wait_for(lambda: sum(counts.get(phase, {}).values()) >= 40)
        ended, phase = phase, phase + 1
        lock.wait_for(lambda: all(begun[thread.ident] == phase for thread in threads))
        print(*("%s=%d" % pair for pair in counts[ended].items()), flush=True)
print("EXIT-SUCCESS", flush=True)
'

# phase old|new|any - the one that ends here had only such answers
phase() {
	local old new failed
	ask next
	note "$1: $REPLY"
	old=${REPLY#old=} old=${old%% *} new=${REPLY#*new=} new=${new%% *} failed=${REPLY##*=}
	[ "$failed" -eq 0 ] || fail "$failed requests failed: $(cat "$WORK/client.err")"
	[ "$1" != old ] || [ "$new" -eq 0 ] || fail "patched answers: $REPLY"
	[ "$1" != new ] || [ "$old" -eq 0 ] || fail "unpatched answers: $REPLY"
}

start_httpd() {
	chmod 755 "$RUN"
	httpd_site "$WORK"
	env ${PRELOAD:+LD_PRELOAD="$PRELOAD"} $HTTPD -f "$WORK/conf" -D FOREGROUND >"$WORK/httpd" 2>&1 &
	STARTED+=($!)
	HTTPD_PID=$!
	loop_until answers
}

answers() {
	alive "$HTTPD_PID" || fail "httpd: $(cat "$WORK/httpd" "$WORK/log")"
	httpd_answers
}

# httpd ROUNDS
httpd() {
	need_httpd
	apr_patch "$WORK"
	start_httpd
	start_victim client /usr/bin/python3 -c "$CLIENT" $PORT "$OLD_DATE" "$NEW_DATE"
	phase old
	for _ in $(seq "$1"); do
		tool 0 apply --json -p apache2 --timeout "$LIMIT" --retries 500 "$WORK/apr.so"
		# the parent and two children at least
		[ "$(json_value summary.success)" -ge 3 ] || fail "not all: $(cat "$WORK/out")"
		json summary.skipped=0
		phase any
		phase new
		tool 0 revert --json -p apache2 --timeout "$LIMIT" --retries 500 "$WORK/apr.so"
		json summary.skipped=0
		phase any
		phase old
	done
	end_victim
	kill -TERM "$HTTPD_PID"
	wait "$HTTPD_PID" || fail "httpd: status $?, $(cat "$WORK/log")"
	! grep -E 'exit signal|AH00052' "$WORK/log" || fail "a child of httpd died"
}

test_httpd() {
	httpd 3
}

# Restarted while the patch is enabled, it is new from the first answer on.
test_httpd_started() {
	need_httpd
	apr_patch "$WORK"
	enable "$WORK/apr.so"
	start_daemon
	start_httpd
	kill -TERM "$HTTPD_PID"
	wait "$HTTPD_PID"
	rm -r "$WORK/www"
	start_httpd
	start_victim client /usr/bin/python3 -c "$CLIENT" $PORT "$OLD_DATE" "$NEW_DATE"
	phase new
	tool 0 check --json -p apache2 "$WORK/apr.so"
	phase new
	end_victim
	end_daemon
	kill -TERM "$HTTPD_PID"
	wait "$HTTPD_PID"
}

# With the preload library; httpd closes its modules once while it starts.
test_httpd_preloaded() {
	PRELOAD=$O/preload/libulp-preload.so
	httpd 1
}

run_tests test_httpd test_httpd_started test_httpd_preloaded
