/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events, named like the steps (check: verdict): /sys/kernel/tracing/events/ulp/.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ulp

#if !defined(ULP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ULP_TRACE_H

#include <linux/mm_types.h>
#include <linux/tracepoint.h>

TRACE_EVENT(freeze,
	    TP_PROTO(struct mm_struct *mm, u32 threads),
	    TP_ARGS(mm, threads),
	    TP_STRUCT__entry(__field(void *, mm)
			     __field(u32, threads)),
	    TP_fast_assign(__entry->mm = mm;
			   __entry->threads = threads;),
	    TP_printk("mm=%p threads=%u", __entry->mm, __entry->threads)
);

/* The answer of check; Linux 7 has a section of the name that "check" would get. */
TRACE_EVENT(verdict,
	    TP_PROTO(struct mm_struct *mm, u32 threads, u32 rescanned, u32 reason),
	    TP_ARGS(mm, threads, rescanned, reason),
	    TP_STRUCT__entry(__field(void *, mm)
			     __field(u32, threads)
			     __field(u32, rescanned)
			     __field(u32, reason)),
	    TP_fast_assign(__entry->mm = mm;
			   __entry->threads = threads;
			   __entry->rescanned = rescanned;
			   __entry->reason = reason;),
	    TP_printk("mm=%p threads=%u rescanned=%u reason=%u", __entry->mm,
		      __entry->threads, __entry->rescanned, __entry->reason)
);

TRACE_EVENT(write,
	    TP_PROTO(struct mm_struct *mm, u32 writes, u32 pages),
	    TP_ARGS(mm, writes, pages),
	    TP_STRUCT__entry(__field(void *, mm)
			     __field(u32, writes)
			     __field(u32, pages)),
	    TP_fast_assign(__entry->mm = mm;
			   __entry->writes = writes;
			   __entry->pages = pages;),
	    TP_printk("mm=%p writes=%u pages=%u", __entry->mm, __entry->writes,
		      __entry->pages)
);

TRACE_EVENT(thaw,
	    TP_PROTO(struct mm_struct *mm, u64 freeze_ns, u32 reason),
	    TP_ARGS(mm, freeze_ns, reason),
	    TP_STRUCT__entry(__field(void *, mm)
			     __field(u64, freeze_ns)
			     __field(u32, reason)),
	    TP_fast_assign(__entry->mm = mm;
			   __entry->freeze_ns = freeze_ns;
			   __entry->reason = reason;),
	    TP_printk("mm=%p freeze_ns=%llu reason=%u", __entry->mm, __entry->freeze_ns,
		      __entry->reason)
);

DECLARE_EVENT_CLASS(ulp_mapping,
		    TP_PROTO(struct mm_struct *mm, unsigned long addr, unsigned long length,
			     int err),
		    TP_ARGS(mm, addr, length, err),
		    TP_STRUCT__entry(__field(void *, mm)
				     __field(unsigned long, addr)
				     __field(unsigned long, length)
				     __field(int, err)),
		    TP_fast_assign(__entry->mm = mm;
				   __entry->addr = addr;
				   __entry->length = length;
				   __entry->err = err;),
		    TP_printk("mm=%p addr=%lx length=%lx err=%d", __entry->mm, __entry->addr,
			      __entry->length, __entry->err)
);

DEFINE_EVENT(ulp_mapping, map,
	     TP_PROTO(struct mm_struct *mm, unsigned long addr, unsigned long length, int err),
	     TP_ARGS(mm, addr, length, err)
);

DEFINE_EVENT(ulp_mapping, unmap,
	     TP_PROTO(struct mm_struct *mm, unsigned long addr, unsigned long length, int err),
	     TP_ARGS(mm, addr, length, err)
);

#endif /* ULP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
