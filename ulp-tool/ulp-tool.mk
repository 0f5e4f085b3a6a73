# SPDX-License-Identifier: LGPL-2.1-or-later
# ulp-tool: has libulp inside, so that it runs where it was built

ULP_TOOL_O := $(call objects,ulp-tool)

ifneq ($(ULP_TOOL_O),)
ULP_TOOL := $(O)/ulp-tool/ulp-tool
ALL	+= $(ULP_TOOL)

$(ULP_TOOL): $(ULP_TOOL_O) $(LIBULP)
	$(say) LINK $(@F)
	$(Q)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBULP_LIBS) -ljson-c

.PHONY: install-ulp-tool
install: install-ulp-tool
install-ulp-tool: $(ULP_TOOL)
	install -D -m 755 $< $(DESTDIR)$(PREFIX)/sbin/ulp-tool
endif
