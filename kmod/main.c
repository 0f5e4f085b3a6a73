// SPDX-License-Identifier: GPL-2.0
/*
 * Live patching of user processes: init ladder and its mirror.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/tracepoint.h>
#include "chrdev.h"
#include "compat.h"
#include "netlink.h"
#include "session.h"
#include "warm.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static int __init ulp_init(void)
{
	int err;

	err = ulp_compat_init();
	if (err)
		return err;
	err = ulp_session_init();
	if (err)
		return err;
	err = ulp_netlink_init();
	if (err)
		goto err_session;
	err = ulp_chrdev_init();
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	ulp_netlink_exit();
err_session:
	ulp_session_exit();
	return err;
}

/*
 * Open sessions and gates hold the module, so none is left.  The last instructions
 * of a gate and of the fork probe may still be running.
 */
static void __exit ulp_exit(void)
{
	ulp_chrdev_exit();
	ulp_netlink_exit();
	ulp_session_exit();
	ulp_warm_exit();
	tracepoint_synchronize_unregister();
	synchronize_rcu_tasks();
}

module_init(ulp_init);
module_exit(ulp_exit);

MODULE_DESCRIPTION("Live patching of user processes");
MODULE_LICENSE("GPL");
MODULE_VERSION(ULP_VERSION);
