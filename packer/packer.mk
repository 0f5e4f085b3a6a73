# SPDX-License-Identifier: LGPL-2.1-or-later
# ulp-packer: makes patch containers; packer.a is for its unit tests

PACKER_O := $(call objects,packer)

ifneq ($(PACKER_O),)
PACKER	:= $(O)/packer/ulp-packer
PACKER_LIB := $(O)/packer/packer.a
ALL	+= $(PACKER)

$(PACKER_LIB): $(filter-out %/main.o,$(PACKER_O))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(PACKER): $(O)/packer/main.o $(PACKER_LIB) $(LIBULP)
	$(say) LINK $(@F)
	$(Q)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBULP_LIBS) -ldw -lelf -lZydis

.PHONY: install-packer
install: install-packer
install-packer: $(PACKER)
	install -D -m 755 $< $(DESTDIR)$(PREFIX)/bin/ulp-packer
endif
