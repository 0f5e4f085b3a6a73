/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The sensor of ulp.ko: ioctl interface, a part of ulp.h, whose general rules hold.
 */
#ifndef _UAPI_ULP_SENSOR_H
#define _UAPI_ULP_SENSOR_H

#include "ulp.h"

/**
 * DOC: The sensor
 *
 * It stops threads where code has been mapped and has not run yet, so that the
 * holder of its descriptor can patch it first:
 *
 *   %ULP_PLACE_EXEC  a program was started and has not executed an instruction.
 *                    Not if its dynamic linker is armed: its libraries are yet
 *                    to come, and the next place is reached instead
 *   %ULP_PLACE_LINK  a thread came to the place in a dynamic linker that
 *                    %ULP_SENSOR_ARM has named
 *
 * read() gives a struct ulp_load for each thread that is held, once: the oldest one of
 * the user (uid) that has the fewest given out and not done; poll() says when there
 * is one.  The thread goes on with %ULP_SENSOR_DONE, when the time of
 * ulp_sensor_open is up, when the descriptor is closed (also by the death of its
 * owner), and it dies when it is killed.  Held threads are asleep in the kernel:
 * sessions work on their processes as on any other.
 *
 * The machine never waits for a holder that does not answer: the first time that
 * is up makes the sensor hold nobody until the next read(), and each
 * thread that passed is counted in a struct ulp_load of %ULP_PLACE_MISSED.
 * A thread that was held in vain is an event too (ulp_netlink.h).
 *
 * Threads of the process that opened the sensor are never held.
 */

/**
 * struct ulp_sensor_open - ioctl(ULP_SENSOR_OPEN): the sensor
 * @size: sizeof(struct ulp_sensor_open)
 * @flags: must be 0
 * @timeout_ns: longest time that a thread is held, at most 600 s; 0 is the
 *	module's default (2 s)
 *
 * There is one in the whole machine.  This and all calls of its descriptor need
 * CAP_SYS_ADMIN.
 *
 * Return: a new file descriptor (close-on-exec), or one of EPERM, EBUSY (another
 * process has it), EINVAL, EOPNOTSUPP (no uprobes, or no gate), ENOMEM.
 */
struct ulp_sensor_open {
	__u32 size;
	__u32 flags;
	__aligned_u64 timeout_ns;
};

#define ULP_SENSOR_OPEN \
	_IOW(ULP_IOC_TYPE, ULP_IOC_NR_SENSOR_OPEN, struct ulp_sensor_open)

/**
 * enum ulp_place - where a thread is held
 * @ULP_PLACE_MISSED: nobody is held; threads have passed that should have been
 * @ULP_PLACE_EXEC: before the first instruction of a program
 * @ULP_PLACE_LINK: at an armed place of its dynamic linker
 */
enum ulp_place {
	ULP_PLACE_MISSED	= 0,
	ULP_PLACE_EXEC		= 1,
	ULP_PLACE_LINK		= 2,
};

/**
 * struct ulp_load - what read() of the sensor gives
 * @size: of this struct: the next one is so many bytes behind it
 * @place: enum ulp_place
 * @ticket: names the hold; %ULP_PLACE_MISSED: how many threads have passed
 * @pid: process, in the reader's pid namespace; 0 if it is not in it
 * @tid: thread, likewise
 *
 * read() stores as many whole ones as fit; EINVAL if none would.
 */
struct ulp_load {
	__u32 size;
	__u32 place;
	__aligned_u64 ticket;
	__u32 pid;
	__u32 tid;
};

/**
 * struct ulp_sensor_arm - ioctl(ULP_SENSOR_ARM): hold who comes to this place
 * @size: sizeof(struct ulp_sensor_arm)
 * @flags: must be 0
 * @fd: file, open for reading
 * @__reserved: must be 0
 * @offset: of an instruction in it
 *
 * A breakpoint (uprobe) in the file: processes that have it mapped get it now,
 * others when they map it.  One place for each file.  The file stays open, and
 * its file system in use, until the end of the sensor: to disarm some, close it,
 * and arm the others anew.  There is room for 1024; when it is used up, those that
 * nobody has mapped any more are disarmed.
 *
 * Errors: EBADF, EINVAL, EEXIST, E2BIG (1024 that are mapped), ENOMEM, and what the kernel
 * says of an instruction that cannot be probed (EINVAL, EOPNOTSUPP, EIO).
 */
struct ulp_sensor_arm {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 __reserved;
	__aligned_u64 offset;
};

#define ULP_SENSOR_ARM \
	_IOW(ULP_IOC_TYPE, ULP_IOC_NR_SENSOR_ARM, struct ulp_sensor_arm)

/**
 * struct ulp_sensor_done - ioctl(ULP_SENSOR_DONE): the thread may go on
 * @size: sizeof(struct ulp_sensor_done)
 * @flags: must be 0
 * @ticket: ulp_load.ticket
 *
 * Errors: ENOENT: it is not held any more.
 */
struct ulp_sensor_done {
	__u32 size;
	__u32 flags;
	__aligned_u64 ticket;
};

#define ULP_SENSOR_DONE \
	_IOW(ULP_IOC_TYPE, ULP_IOC_NR_SENSOR_DONE, struct ulp_sensor_done)

#endif /* _UAPI_ULP_SENSOR_H */
