# SPDX-License-Identifier: LGPL-2.1-or-later
# libulp-preload.so: optional, for LD_PRELOAD or /etc/ld.so.preload.
#
# It must never be the reason why a program does not start.  So it needs no library and
# no version of one: what it uses of libc it refers to weakly, and does without.

PRELOAD	:= $(O)/preload/libulp-preload.so
PRELOAD_O := $(call objects,preload)
ALL	+= $(PRELOAD)

# not CFLAGS: no sanitizer, no profiling, no stack protector lives in other people's
# programs; few segments and few relocations are a quick start
PRELOAD_CFLAGS := -std=gnu11 -D_GNU_SOURCE -I$(TOP)/uapi $(WARN) -O2 -g -fPIC -ffreestanding \
	-fvisibility=hidden -fno-plt -fcf-protection=full -fno-stack-protector \
	-fno-tree-loop-distribute-patterns -MMD -MP
PRELOAD_LDFLAGS := -nostdlib -shared -Wl,-soname,libulp-preload.so -Wl,-z,defs -Wl,-z,now \
	-Wl,-z,relro -Wl,-z,noseparate-code -Wl,-z,noexecstack -Wl,--hash-style=gnu \
	-Wl,--build-id -Wl,-z,text

$(PRELOAD_O): $(O)/%.o: $(TOP)/%.c $(O)/.flags | deps-build
	$(say) CC $*.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(PRELOAD_CFLAGS) -c -o $@ $<

$(PRELOAD): $(TOP)/preload/preload.map $(PRELOAD_O)
	$(say) LINK $(@F)
	$(Q)$(CC) $(PRELOAD_LDFLAGS) -Wl,--version-script=$< -o $@ $(filter %.o,$^)

.PHONY: install-preload
install: install-preload
install-preload: $(PRELOAD)
	install -D -m 755 $< $(DESTDIR)$(PREFIX)/lib/libulp-preload.so
