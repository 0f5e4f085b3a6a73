# SPDX-License-Identifier: LGPL-2.1-or-later
# ulp-tool: has libulp inside, so that it runs where it was built; and the
# libraries it needs, where there are archives of them: a shared library costs
# each start of the tool more than all of it that is used

# $(call archives,-lNAME...): lib*.a where the compiler finds them; when it links
archives = $(shell for lib in $(patsubst -l%,%,$(1)); do \
		file=$$($(CC) -print-file-name=lib$$lib.a); \
		[ -e "$$file" ] && echo "$$file" || echo "-l$$lib"; done)

ULP_TOOL_O := $(call objects,ulp-tool)

ifneq ($(ULP_TOOL_O),)
ULP_TOOL := $(O)/ulp-tool/ulp-tool
ALL	+= $(ULP_TOOL)

$(ULP_TOOL): $(ULP_TOOL_O) $(LIBULP)
	$(say) LINK $(@F)
	$(Q)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^ $(call archives,$(LIBULP_LIBS) -ljson-c)

.PHONY: install-ulp-tool
install: install-ulp-tool
install-ulp-tool: $(ULP_TOOL)
	install -D -m 755 $< $(DESTDIR)$(PREFIX)/sbin/ulp-tool
endif
