# Builds the programs that tests/run.js runs, and the fuzzers.

FUZZERS := $(patsubst tests/src/fuzz/%.c,%,$(wildcard tests/src/fuzz/fuzz_*.c))

fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)

$(BUILD)/fuzz/fuzz_%: tests/src/fuzz/fuzz_%.c $(UNIT_HELPERS) $(BUILD)/obj/fuzz/libcxr.a | setup-test
	$(call say,LINK)
	$(Q)$(CLANG) $(BASE) -Itests/src $(SANITISE) $(ARCH) -fsanitize=fuzzer $(filter %.c %.a,$^) -o $@ -lm

portal: setup-portal wasm ## serve an example portal with a PACS (Debian's Orthanc) on http://localhost:8080 (or PORT), to try the guide
	@PORT=$(PORT) node tests/web/portal/demo.js

# what tests/run.js runs
test-programs: all fuzzers $(BUILD)/bench/instructions $(foreach v,$(VARIANTS),$(BUILD)/obj/$(v)/cxrlens) \
               $(foreach v,$(filter-out relaxed,$(VARIANTS)),$(UNIT:%=$(BUILD)/tests/$(v)/%)) $(BUILD)/tests/relaxed/test_kernels
test-programs-quick: native wasm $(UNIT:%=$(BUILD)/tests/native/%)

-include tests/bench/bench.mk
