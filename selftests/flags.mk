LDLIBS_json_get := -ljson-c
