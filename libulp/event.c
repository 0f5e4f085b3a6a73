// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events of the module, by generic netlink: the one file that knows libnl.
 */
#include <errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "../uapi/ulp_netlink.h"

/* Room for events that nobody reads yet. */
#define MONITOR_BUFFER	(1 << 20)

struct ulp_monitor {
	struct ulp_context *ctx;
	struct nl_sock *sock;
	int family;
	struct nl_msg *msg;		/* what info points into */
	struct ulp_event_info info;
	char id[2 * ULP_ID_SIZE + 1];
	const char **functions;
	int got;			/* by the callback: 1 an event, or a code */
};

/* The one place where codes of libnl become ours. */
static int nl_code(int err)
{
	static const struct {
		int nle, code;
	} codes[] = {
		{ NLE_NOMEM,		ENOMEM },
		{ NLE_PERM,		ULP_E_PERMISSION },
		{ NLE_NOACCESS,		ULP_E_PERMISSION },
		{ NLE_OBJ_NOTFOUND,	ULP_E_MODULE },
		{ NLE_AGAIN,		EAGAIN },
		{ NLE_INTR,		EINTR },
		{ NLE_BAD_SOCK,		EBADF },
		{ NLE_AF_NOSUPPORT,	EAFNOSUPPORT },
		{ NLE_PROTO_MISMATCH,	EPROTONOSUPPORT },
		{ NLE_INVAL,		EINVAL },
		{ NLE_ATTRSIZE,		EBADMSG },
		{ NLE_MSG_TRUNC,	EBADMSG },
		{ NLE_MSG_TOOSHORT,	EBADMSG },
	};

	for (size_t i = 0; err && i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].nle == abs(err))
			return -codes[i].code;
	return err ? -EIO : 0;
}

static const struct nla_policy policy[ULP_A_MAX + 1] = {
	[ULP_A_PID]		= { .type = NLA_U32 },
	[ULP_A_COMM]		= { .type = NLA_STRING },
	[ULP_A_ACTION]		= { .type = NLA_U32 },
	[ULP_A_PATCH_ID]	= { .minlen = ULP_ID_SIZE, .maxlen = ULP_ID_SIZE },
	[ULP_A_PATCH_NAME]	= { .type = NLA_STRING },
	[ULP_A_NR_FUNCTIONS]	= { .type = NLA_U32 },
	[ULP_A_FUNCTION]	= { .type = NLA_STRING },
	[ULP_A_BY_PID]		= { .type = NLA_U32 },
	[ULP_A_BY_UID]		= { .type = NLA_U32 },
	[ULP_A_FREEZE_NS]	= { .type = NLA_U64 },
	[ULP_A_ATTEMPTS]	= { .type = NLA_U32 },
	[ULP_A_THREADS]		= { .type = NLA_U32 },
	[ULP_A_BACKEND]		= { .type = NLA_U32 },
	[ULP_A_ERRNO]		= { .type = NLA_U32 },
	[ULP_A_REASON]		= { .type = NLA_U32 },
	[ULP_A_TID]		= { .type = NLA_U32 },
	[ULP_A_IP]		= { .type = NLA_U64 },
	[ULP_A_SLOT]		= { .type = NLA_U64 },
	[ULP_A_VALUE]		= { .type = NLA_U64 },
	[ULP_A_PLACE]		= { .type = NLA_U32 },
	[ULP_A_HELD_NS]		= { .type = NLA_U64 },
};

static const char *word(uint32_t event)
{
	switch (event) {
	case ULP_EVENT_APPLIED:
		return "applied";
	case ULP_EVENT_REVERTED:
		return "reverted";
	case ULP_EVENT_REFUSED:
		return "refused";
	case ULP_EVENT_BUSY:
		return "busy";
	case ULP_EVENT_OVERDUE:
		return "overdue";
	}
	return NULL;
}

static uint32_t number(struct nlattr **attrs, enum ulp_attr attr)
{
	return attrs[attr] ? nla_get_u32(attrs[attr]) : 0;
}

static uint64_t large(struct nlattr **attrs, enum ulp_attr attr)
{
	return attrs[attr] ? nla_get_u64(attrs[attr]) : 0;
}

static const char *text(struct nlattr **attrs, enum ulp_attr attr)
{
	return attrs[attr] ? nla_get_string(attrs[attr]) : "";
}

/* The names stay in the message. */
static int read_functions(struct ulp_monitor *monitor, struct nlmsghdr *header)
{
	struct genlmsghdr *genl = nlmsg_data(header);
	struct nlattr *attr;
	size_t nr = 0;
	int left;

	nla_for_each_attr(attr, genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), left)
		nr += nla_type(attr) == ULP_A_FUNCTION;
	free(monitor->functions);
	monitor->functions = calloc(nr + 1, sizeof(*monitor->functions));
	if (!monitor->functions)
		return -ENOMEM;
	nr = 0;
	nla_for_each_attr(attr, genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), left)
		if (nla_type(attr) == ULP_A_FUNCTION)
			monitor->functions[nr++] = nla_get_string(attr);
	monitor->info.nr_names = nr;
	monitor->info.functions = monitor->functions;
	return 0;
}

static int read_event(struct ulp_monitor *monitor, struct nlmsghdr *header)
{
	const char *kind = word(((struct genlmsghdr *)nlmsg_data(header))->cmd);
	struct ulp_event_info *info = &monitor->info;
	struct nlattr *attrs[ULP_A_MAX + 1];
	int err;

	if (!kind)
		return 0;	/* of a newer module */
	err = nl_code(genlmsg_parse(header, 0, attrs, ULP_A_MAX, policy));
	if (err)
		return ulp_err(monitor->ctx, err, "an event of ulp.ko cannot be read: %s",
			       strerror(-err));
	memset(monitor->id, '0', sizeof(monitor->id) - 1);
	if (attrs[ULP_A_PATCH_ID])
		ulp_hex(nla_data(attrs[ULP_A_PATCH_ID]), ULP_ID_SIZE, monitor->id);
	*info = (struct ulp_event_info){
		.event = ((struct genlmsghdr *)nlmsg_data(header))->cmd,
		.word = kind,
		.action = number(attrs, ULP_A_ACTION),
		.pid = (pid_t)number(attrs, ULP_A_PID),
		.name = text(attrs, ULP_A_COMM),
		.patch = text(attrs, ULP_A_PATCH_NAME),
		.id = monitor->id,
		.nr_functions = number(attrs, ULP_A_NR_FUNCTIONS),
		.by_pid = (pid_t)number(attrs, ULP_A_BY_PID),
		.by_uid = number(attrs, ULP_A_BY_UID),
		.max_freeze_ns = large(attrs, ULP_A_FREEZE_NS),
		.attempts = number(attrs, ULP_A_ATTEMPTS),
		.threads = number(attrs, ULP_A_THREADS),
		.backend = number(attrs, ULP_A_BACKEND),
		.code = -(int)number(attrs, ULP_A_ERRNO),
		.reason = number(attrs, ULP_A_REASON),
		.blocker_tid = (pid_t)number(attrs, ULP_A_TID),
		.blocker_ip = large(attrs, ULP_A_IP),
		.blocker_slot = large(attrs, ULP_A_SLOT),
		.blocker_value = large(attrs, ULP_A_VALUE),
		.place = number(attrs, ULP_A_PLACE),
		.held_ns = large(attrs, ULP_A_HELD_NS),
	};
	err = read_functions(monitor, header);
	return err ? ulp_err(monitor->ctx, err, "out of memory") : 1;
}

/* That a family comes or goes. */
static int read_notice(struct ulp_monitor *monitor, struct nlmsghdr *header)
{
	struct nlattr *attrs[CTRL_ATTR_MAX + 1];

	if (((struct genlmsghdr *)nlmsg_data(header))->cmd != CTRL_CMD_DELFAMILY ||
	    genlmsg_parse(header, 0, attrs, CTRL_ATTR_MAX, NULL) ||
	    !attrs[CTRL_ATTR_FAMILY_ID] ||
	    nla_get_u16(attrs[CTRL_ATTR_FAMILY_ID]) != monitor->family)
		return 0;
	return ulp_err(monitor->ctx, -ULP_E_MODULE, "ulp.ko was unloaded; nothing more will come");
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct ulp_monitor *monitor = arg;

	/* only the kernel is listened to */
	if (nlmsg_get_src(msg)->nl_pid || !genlmsg_valid_hdr(header, 0))
		return NL_OK;
	if (header->nlmsg_type == GENL_ID_CTRL) {
		monitor->got = read_notice(monitor, header);
	} else if (header->nlmsg_type == monitor->family) {
		nlmsg_get(msg);
		nlmsg_free(monitor->msg);
		monitor->msg = msg;
		monitor->got = read_event(monitor, header);
	}
	return NL_OK;
}

static int join(struct ulp_monitor *monitor, const char *family, const char *group)
{
	int id = genl_ctrl_resolve_grp(monitor->sock, family, group);

	return id < 0 ? id : nl_socket_add_membership(monitor->sock, id);
}

static int monitor_connect(struct ulp_monitor *monitor)
{
	struct nl_sock *sock = monitor->sock;
	int err = genl_connect(sock);

	if (!err) {
		monitor->family = genl_ctrl_resolve(sock, ULP_GENL_NAME);
		err = monitor->family < 0 ? monitor->family : 0;
	}
	if (!err)
		err = join(monitor, ULP_GENL_NAME, ULP_GENL_GROUP_EVENTS);
	if (!err)
		err = join(monitor, "nlctrl", "notify");
	if (!err)
		err = nl_socket_set_buffer_size(sock, MONITOR_BUFFER, 0);
	if (!err)
		err = nl_socket_set_nonblocking(sock);
	if (err)
		return err;
	nl_socket_disable_seq_check(sock);
	return nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, monitor);
}

int ulp_monitor_open(struct ulp_context *ctx, struct ulp_monitor **out)
{
	struct ulp_monitor *monitor = calloc(1, sizeof(*monitor));
	int err;

	ctx->error[0] = '\0';
	if (monitor)
		monitor->sock = nl_socket_alloc();
	if (!monitor || !monitor->sock) {
		free(monitor);
		return ulp_err(ctx, -ENOMEM, "out of memory");
	}
	monitor->ctx = ctx;
	err = nl_code(monitor_connect(monitor));
	if (!err) {
		*out = monitor;
		return 0;
	}
	ulp_monitor_close(monitor);
	if (err == -ULP_E_MODULE)
		return ulp_err(ctx, err,
			       "no module that sends events; load it with \"modprobe ulp\" or \"insmod ulp.ko\"");
	if (err == -ULP_E_PERMISSION)
		return ulp_err(ctx, err, "listening to events needs CAP_SYS_ADMIN; run as root");
	return ulp_err(ctx, err, "cannot listen to events: %s", strerror(-err));
}

void ulp_monitor_close(struct ulp_monitor *monitor)
{
	if (!monitor)
		return;
	nlmsg_free(monitor->msg);
	nl_socket_free(monitor->sock);
	free(monitor->functions);
	free(monitor);
}

int ulp_monitor_fd(const struct ulp_monitor *monitor)
{
	return nl_socket_get_fd(monitor->sock);
}

int ulp_monitor_next(struct ulp_monitor *monitor, const struct ulp_event_info **out)
{
	int err;

	do {
		monitor->got = 0;
		errno = 0;
		err = nl_code(nl_recvmsgs_default(monitor->sock));
	} while (!err && !monitor->got);
	*out = &monitor->info;
	if (monitor->got)
		return monitor->got;
	if (err == -EAGAIN || err == -EINTR)
		return 0;
	/* libnl has one code for both */
	if (err == -ENOMEM && errno == ENOBUFS)
		return ulp_err(monitor->ctx, -ENOBUFS, "events were lost: they came too fast");
	return ulp_err(monitor->ctx, err, "cannot read events: %s", strerror(-err));
}
