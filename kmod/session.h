/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A session: one address space, one file descriptor.
 */
#ifndef ULP_SESSION_H
#define ULP_SESSION_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>
#include "fault.h"
#include "hold.h"

struct ulp_target;

/**
 * struct ulp_session - state behind a session file descriptor
 * @mm: the target's address space; the struct is held, the memory is not
 * @cred: who opened it
 * @lock: one ioctl at a time
 * @worker: thread of the session: runs the window with real-time priority, and
 *	adopts the address space to map into it
 * @active: in the list of address spaces being worked on; once closed, in that of
 *	sessions that wait for their turn
 * @open: in the list of all open sessions
 * @overtaken: another session has written to @mm since; with the claim on it
 * @last_turn: takes back what was not committed when that comes
 * @maps: mappings that no transaction has committed
 * @nr_maps: of @maps
 * @holds: threads that outlast a transaction in the gate
 * @faults: armed fault point
 * @frozen: what ULP_DEBUG_FREEZE holds, or NULL
 * @thaw: ends it
 */
struct ulp_session {
	struct mm_struct *mm;
	const struct cred *cred;
	struct mutex lock;	/* all below but the fault point */
	struct kthread_worker *worker;
	struct list_head active;
	struct list_head open;
	bool overtaken;
	struct work_struct last_turn;
	struct list_head maps;
	u32 nr_maps;
	struct ulp_holds holds;
	struct ulp_faults faults;
#ifdef ULP_DEBUG_BUILD
	struct ulp_target *frozen;
	struct kthread_delayed_work thaw;
#endif
};

int ulp_session_init(void);
void ulp_session_exit(void);
int ulp_session_open(int mem_fd, const struct file_operations *fops);
void ulp_session_release(struct ulp_session *session);
bool ulp_session_may_use(struct ulp_session *session);
int ulp_session_claim(struct ulp_session *session, struct mm_struct **mm);
void ulp_session_unclaim(struct ulp_session *session, struct mm_struct *mm);
void ulp_session_wrote(struct ulp_session *session);
void ulp_session_run(struct ulp_session *session, void (*fn)(void *data), void *data);

#endif /* ULP_SESSION_H */
