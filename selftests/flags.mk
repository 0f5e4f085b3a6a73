# SPDX-License-Identifier: LGPL-2.1-or-later
LDLIBS_json_get := -ljson-c
