# SPDX-License-Identifier: LGPL-2.1-or-later
# ulp-tool: a static program, with libulp and all libraries in it.  Its start is most
# of what a change of one process takes, and loading libraries was most of that.
# And it works whatever the libraries of the machine are being exchanged for.

# $(call archives,-lNAME...): lib*.a where the compiler finds them; when it links
archives = $(shell for lib in $(patsubst -l%,%,$(1)); do \
		file=$$($(CC) -print-file-name=lib$$lib.a); \
		[ -e "$$file" ] && echo "$$file" || echo "-l$$lib"; done)

# Where there is an archive of the C library, and no sanitizer.  The linker warns of
# name services, which libnl could use and we do not (user.c).
ULP_TOOL_STATIC = $(if $(findstring -fsanitize,$(CFLAGS) $(LDFLAGS)),,$(if $(filter /%,\
		$(call archives,-lc)),-static-pie -Wl$(comma)--no-warnings))
ULP_TOOL_LIBS = $(call archives,$(LIBULP_LIBS) -ljson-c)
comma	:= ,

ULP_TOOL_O := $(call objects,ulp-tool)

ifneq ($(ULP_TOOL_O),)
ULP_TOOL := $(O)/ulp-tool/ulp-tool
ALL	+= $(ULP_TOOL)

$(ULP_TOOL): $(ULP_TOOL_O) $(LIBULP)
	$(say) LINK $(@F)
	$(Q)$(CC) -pthread $(ULP_TOOL_STATIC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(ULP_TOOL_LIBS)

.PHONY: install-ulp-tool
install: install-ulp-tool
install-ulp-tool: $(ULP_TOOL)
	install -D -m 755 $< $(DESTDIR)$(PREFIX)/sbin/ulp-tool
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' $(TOP)/ulp-tool/systemd/ulp.service.in \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/ulp.service
	install -m 644 $(TOP)/ulp-tool/systemd/ulp.path $(DESTDIR)$(PREFIX)/lib/systemd/system
endif
