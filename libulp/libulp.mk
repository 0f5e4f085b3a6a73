# SPDX-License-Identifier: LGPL-2.1-or-later
# libulp: static library (what ulp-tool uses), shared library, pkg-config file

LIBULP	:= $(O)/libulp/libulp.a
LIBULP_SO := $(O)/libulp/libulp.so.0
LIBULP_O := $(call objects,libulp)
# the shell asks, when it compiles: make deps may just have brought it
$(O)/libulp/event.o: BASE += $$(pkg-config --cflags libnl-genl-3.0)
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
