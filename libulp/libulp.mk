# SPDX-License-Identifier: LGPL-2.1-or-later
# libulp: static library (what ulp-tool uses), shared library, pkg-config file

LIBULP	:= $(O)/libulp/libulp.a
LIBULP_SO := $(O)/libulp/libulp.so.0
LIBULP_O := $(call objects,libulp)
# the shell asks, when it compiles: make deps may just have brought it
$(O)/libulp/event.o: BASE += $$(pkg-config --cflags libnl-genl-3.0)
# our code in targets: no library, no relocation, no symbol leaves it
RESIDENT := $(O)/libulp/resident.bin
RESIDENT_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -fPIC -ffreestanding -fvisibility=hidden \
	-fcf-protection=branch -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-tree-loop-distribute-patterns $(WARN) -Wno-missing-prototypes
$(RESIDENT): $(TOP)/libulp/resident/resident.c $(TOP)/libulp/resident/resident.h \
		$(TOP)/libulp/resident/resident.lds $(O)/.flags | deps-build
	$(say) LINK $(@F)
	@mkdir -p $(@D)
	$(Q)$(CC) $(RESIDENT_CFLAGS) -c -o $(@:.bin=.code.o) $<
	$(Q)$(LD) -T $(lastword $(filter %.lds,$^)) -o $@ $(@:.bin=.code.o)
$(O)/libulp/resident.o: $(RESIDENT)
$(O)/libulp/resident.o: BASE += -DRESIDENT_BIN='"$(RESIDENT)"'

ALL	+= $(LIBULP) $(LIBULP_SO) $(O)/libulp/libulp.pc

$(LIBULP): $(LIBULP_O)
	$(say) AR $(@F)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Each release has its node in the map: stop when they disagree.
$(LIBULP_SO): $(TOP)/libulp/libulp.map $(LIBULP_O)
	$(say) LINK $(@F)
	$(Q)grep -q '^ULP_$(basename $(VERSION)) {' $< || \
		{ echo 'libulp.map has no node ULP_$(basename $(VERSION))'; exit 1; }
	$(Q)$(CC) -shared -Wl,-soname,$(@F) -Wl,--version-script=$< -Wl,-z,defs -pthread \
		$(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBULP_LIBS)
	$(Q)ln -sf $(@F) $(@D)/libulp.so

# always made: the prefix may be another one than last time
.PHONY: $(O)/libulp/libulp.pc
$(O)/libulp/libulp.pc: $(TOP)/libulp/libulp.pc.in
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@LIBS@|$(LIBULP_LIBS)|' $< >$@

.PHONY: install-libulp
install: install-libulp
install-libulp: $(LIBULP) $(LIBULP_SO) $(O)/libulp/libulp.pc
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 $(LIBULP) $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(LIBULP_SO) $(DESTDIR)$(PREFIX)/lib/libulp.so.$(VERSION)
	ln -sf libulp.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libulp.so.0
	ln -sf libulp.so.0 $(DESTDIR)$(PREFIX)/lib/libulp.so
	install -m 644 $(O)/libulp/libulp.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/libulp.pc
