// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The clients of the demo's upload service (server.py).
 *
 *	client ask PORT PATH [BODY]	one request; prints the answer
 *	client load PORT CONNECTIONS	load, see below
 *
 * Load keeps all connections busy with POST /checksum and checks every answer
 * against checksums of its own: it must be right, and wholly what the unpatched
 * ("old") or wholly what the patched ("new") library says.  Commands come line
 * by line on standard input:
 *
 *	phase old|new|any	from now on only such answers are right
 *	end			done
 *
 * Each command ends the phase before it: when no request of that phase is under
 * way any more its figures are printed in one line, and then the next phase
 * begins.  Exit status: 0 if no request of any phase failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define OLD_VERSION	"1.2.13"
#define NEW_VERSION	"1.2.13+CVE-2026-27171"
#define NR_BODIES	6
#define MAX_BODY	20000
#define MAX_CONNECTIONS	64
#define ASK_LIMIT	3	/* seconds */
#define LOAD_LIMIT	60

enum expect { EXPECT_OLD, EXPECT_NEW, EXPECT_ANY };

struct body {
	char request[MAX_BODY + 256];
	size_t request_size;
	char old[128];
	char new[128];
};

struct figures {
	unsigned long requests, failed, old, new;
	uint64_t longest_ns, total_ns;
};

static struct body bodies[NR_BODIES];
static uint16_t port;

/* The phase, and how many connections work on it: all under the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static enum expect expect;
static bool running, ended;
static int under_way;
static struct figures figures;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("client: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* ---- HTTP ---- */

static int connect_server(int limit)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct timeval timeout = { .tv_sec = limit };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		data += n;
		size -= n;
	}
	return true;
}

/* Reads one whole answer; its text, NUL terminated, ends up at @text. */
static const char *receive(int fd, char *text, size_t size)
{
	char buffer[4096];
	size_t have = 0, length;
	char *end, *field;

	do {
		ssize_t n = recv(fd, buffer + have, sizeof(buffer) - 1 - have, 0);

		if (n == 0)
			return "connection closed by the server";
		if (n < 0)
			return errno == EAGAIN ? "no answer in time" : strerror(errno);
		have += n;
		buffer[have] = 0;
		end = strstr(buffer, "\r\n\r\n");
		field = strcasestr(buffer, "\r\nContent-Length:");
		if (!end && have == sizeof(buffer) - 1)
			return "answer too long";
		if (!end || !field || field > end)
			continue;
		length = strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
		end += strlen("\r\n\r\n");
		if (length >= size || length > sizeof(buffer) - 1 - (size_t)(end - buffer))
			return "answer too long";
		if (have - (size_t)(end - buffer) < length)
			continue;
		if (strncmp(buffer, "HTTP/1.1 200 ", 13)) {
			buffer[strcspn(buffer, "\r")] = 0;
			snprintf(text, size, "%.200s\n", buffer);
			return "not status 200";
		}
		memcpy(text, end, length);
		text[length] = 0;
		return NULL;
	} while (1);
}

/* Returns NULL or what went wrong; on a failure the connection is closed. */
static const char *exchange(int *fd, int limit, const char *request, size_t size, char *text,
			    size_t text_size)
{
	const char *problem;

	*text = 0;
	if (*fd < 0)
		*fd = connect_server(limit);
	if (*fd < 0)
		return "cannot connect";
	problem = send_all(*fd, request, size) ? receive(*fd, text, text_size) : "cannot send";
	if (problem) {
		close(*fd);
		*fd = -1;
	}
	return problem;
}

static size_t make_request(char *buffer, size_t size, const char *path, const char *body,
			   size_t body_size)
{
	int head;

	if (body)
		head = snprintf(buffer, size,
				"POST %s HTTP/1.1\r\nHost: demo\r\nContent-Length: %zu\r\n\r\n",
				path, body_size);
	else
		head = snprintf(buffer, size, "GET %s HTTP/1.1\r\nHost: demo\r\n\r\n", path);
	if (head < 0 || (size_t)head + body_size >= size)
		die("request too long");
	memcpy(buffer + head, body ? body : "", body_size);
	return head + body_size;
}

static int ask(const char *path, const char *body)
{
	char request[4096], text[1024];
	size_t size = make_request(request, sizeof(request), path, body, body ? strlen(body) : 0);
	int fd = -1;
	const char *problem = exchange(&fd, ASK_LIMIT, request, size, text, sizeof(text));

	fputs(text, stdout);
	if (problem) {
		printf("%s (waited up to %d s)\n", problem, ASK_LIMIT);
		return 1;
	}
	return 0;
}

/* ---- load ---- */

static uint32_t crc32(const unsigned char *data, size_t size)
{
	uint32_t crc = ~0u;

	while (size--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

static uint32_t adler32(const unsigned char *data, size_t size)
{
	uint32_t a = 1, b = 0;

	while (size--) {
		a = (a + *data++) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static void make_bodies(void)
{
	static const size_t sizes[NR_BODIES] = { 1, 64, 1000, 4096, 9001, MAX_BODY };
	static unsigned char data[MAX_BODY];
	uint32_t seed = 1;

	for (int i = 0; i < NR_BODIES; i++) {
		struct body *body = &bodies[i];
		uint32_t crc;

		for (size_t at = 0; at < sizes[i]; at++) {
			seed = seed * 1103515245 + 12345;
			data[at] = "ulp patches processes\n"[seed >> 16 & 15];
		}
		crc = crc32(data, sizes[i]);
		body->request_size = make_request(body->request, sizeof(body->request), "/checksum",
						  (char *)data, sizes[i]);
		snprintf(body->old, sizeof(body->old),
			 "crc32=%08x combined=%08x adler32=%08x zlib=%s\n", crc, crc,
			 adler32(data, sizes[i]), OLD_VERSION);
		snprintf(body->new, sizeof(body->new),
			 "crc32=%08x combined=%08x adler32=%08x zlib=%s\n", crc, crc,
			 adler32(data, sizes[i]), NEW_VERSION);
	}
}

/* One answer, under the lock. */
static void count(const struct body *body, const char *problem, const char *text, uint64_t ns)
{
	bool old = !problem && !strcmp(text, body->old);
	bool new = !problem && !strcmp(text, body->new);

	figures.requests++;
	figures.old += old;
	figures.new += new;
	figures.total_ns += ns;
	if (ns > figures.longest_ns)
		figures.longest_ns = ns;
	if ((old && expect != EXPECT_NEW) || (new && expect != EXPECT_OLD))
		return;
	if (++figures.failed <= 5)
		fprintf(stderr, "client: failed request: %s\n  answer:   %s  expected: %s",
			problem ? problem : "wrong answer", *text ? text : "none\n",
			expect == EXPECT_NEW ? body->new : body->old);
}

static void *connection(void *arg)
{
	unsigned int turn = (uintptr_t)arg;
	int fd = -1;

	pthread_mutex_lock(&lock);
	for (;;) {
		const struct body *body = &bodies[turn++ % NR_BODIES];
		const char *problem;
		char text[1024];
		uint64_t start;

		while (!running && !ended)
			pthread_cond_wait(&changed, &lock);
		if (ended)
			break;
		under_way++;
		pthread_mutex_unlock(&lock);

		start = now_ns();
		problem = exchange(&fd, LOAD_LIMIT, body->request, body->request_size, text,
				   sizeof(text));
		start = now_ns() - start;

		pthread_mutex_lock(&lock);
		count(body, problem, text, start);
		if (!--under_way)
			pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Ends the phase under way and prints its figures; under the lock. */
static unsigned long end_phase(void)
{
	unsigned long failed;

	running = false;
	while (under_way)
		pthread_cond_wait(&changed, &lock);
	printf("requests=%lu failed=%lu old=%lu new=%lu longest_us=%llu mean_us=%llu\n",
	       figures.requests, figures.failed, figures.old, figures.new,
	       (unsigned long long)figures.longest_ns / 1000,
	       (unsigned long long)(figures.requests ?
				    figures.total_ns / figures.requests / 1000 : 0));
	fflush(stdout);
	failed = figures.failed;
	figures = (struct figures){ 0 };
	return failed;
}

static int load(int connections)
{
	static const char *const names[] = { "old", "new", "any" };
	unsigned long failed = 0;
	char line[64], word[16];
	pthread_t threads[MAX_CONNECTIONS];

	make_bodies();
	for (int i = 0; i < connections; i++)
		if (pthread_create(&threads[i], NULL, connection, (void *)(uintptr_t)i))
			die("cannot create a thread");
	while (fgets(line, sizeof(line), stdin) && sscanf(line, "phase %15s", word) == 1) {
		int i = 0;

		while (i < 3 && strcmp(word, names[i]))
			i++;
		if (i == 3)
			die("no such phase: %s", word);
		pthread_mutex_lock(&lock);
		if (running)
			failed += end_phase();
		expect = i;
		running = true;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_lock(&lock);
	if (running)
		failed += end_phase();
	ended = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < connections; i++)
		pthread_join(threads[i], NULL);
	return failed != 0;
}

int main(int argc, char **argv)
{
	int connections;

	if (argc >= 3)
		port = strtoul(argv[2], NULL, 10);
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "ask"))
		return ask(argv[3], argv[4]);
	if (argc == 4 && !strcmp(argv[1], "load")) {
		connections = atoi(argv[3]);
		if (connections >= 1 && connections <= MAX_CONNECTIONS)
			return load(connections);
	}
	fprintf(stderr, "Usage: client ask PORT PATH [BODY]\n"
			"       client load PORT CONNECTIONS (1 to %d)\n", MAX_CONNECTIONS);
	return 2;
}
