# Compiles the engine: each variant of the library, the command and the shared library.

ENGINE  := $(filter-out src/wasm.c,$(wildcard src/*.c $(patsubst %,src/%/*.c,base image network kernels)))
CLI     := $(wildcard src/cli/*.c)
UNIT    := $(patsubst tests/src/%.c,%,$(wildcard tests/src/test_*.c))
UNIT_HELPERS := $(wildcard tests/src/support/*.[ch] tests/src/support/arm/*.h)
MACHINE := $(shell uname -m)

CC      := gcc
CLANG   := clang-19
AR      := ar
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
# -ffp-contract=off: the same bits everywhere; -fwrapv: stb_image counts on it
BASE    := -std=c11 $(WARN) -ffp-contract=off -Isrc/include -Isrc -isystem $(STB)
NATIVE  := -O3 -g -fPIC -fvisibility=hidden -fstack-protector-strong $(if $(findstring FORTIFY,$(CFLAGS)),,-D_FORTIFY_SOURCE=2) -ffile-prefix-map=$(CURDIR)=. \
           -DCXR_MODEL_PATH='"$(PREFIX)/share/cxrlens/cxrlens.cxrm"'
ARCH    := $(if $(filter x86_64,$(MACHINE)),-msse4.2)
RELRO   := -Wl,-z,relro,-z,now
SANITISE := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=address,undefined

# $(call variant,name,compiler,flags,sources,set-up): objects and libcxr.a in build/obj/NAME
define variant
$(BUILD)/obj/$(1)/%.o: src/%.c src/src.mk $(STB_HEADERS) | $(5)
	$$(call say,CC)
	$(Q)$(2) $(BASE) $(3) $$(if $$(filter image/stb,$$*),-fwrapv) -MMD -MP -c $$< -o $$@

$(BUILD)/obj/$(1)/libcxr.a: $(4:src/%.c=$(BUILD)/obj/$(1)/%.o)
	$$(call say,AR)
	$(Q)rm -f $$@ && $(if $(filter wasm-%,$(1)),emar,$(AR)) rcD $$@ $$^

-include $(wildcard $(BUILD)/obj/$(1)/*.d $(BUILD)/obj/$(1)/*/*.d)
endef

# $(call programs,name,compiler,flags,cmocka): the command line and the unit tests of a variant
define programs
$(BUILD)/obj/$(1)/cxrlens: $(CLI:src/%.c=$(BUILD)/obj/$(1)/%.o) $(BUILD)/obj/$(1)/libcxr.a
	$$(call say,LINK)
	$(Q)$(2) $(3) $$^ -o $$@ -lz -lm

$(BUILD)/tests/$(1)/test_%: tests/src/test_%.c $(UNIT_HELPERS) $(BUILD)/obj/$(1)/libcxr.a | $(if $(4),setup-test)
	$$(call say,LINK)
	$(Q)$(2) $(BASE) $(3) $$(filter %.c %.a,$$^) -o $$@ $(4) -lm
endef

# The builds whose answers must be the same to the last bit.
VARIANTS := native scalar relaxed clang asan

$(eval $(call variant,native,$(CC),$(NATIVE) $(ARCH) $(CFLAGS) -DNDEBUG,$(ENGINE),setup-native))
$(eval $(call variant,scalar,$(CC),-O3 -g -DCXR_SCALAR=1,$(ENGINE),setup-native))
$(eval $(call variant,relaxed,$(CC),-O2 -g $(ARCH) -DCXR_EMULATE_RELAXED,$(ENGINE),setup-native))
$(eval $(call variant,clang,$(CLANG),-O2 -g $(ARCH),$(ENGINE),setup-wasm))
$(eval $(call variant,asan,$(CLANG),$(SANITISE) $(ARCH),$(ENGINE),setup-test))
$(eval $(call variant,fuzz,$(CLANG),$(SANITISE) $(ARCH) -fsanitize=fuzzer-no-link,$(ENGINE),setup-test))

$(eval $(call programs,native,$(CC),$(NATIVE) $(ARCH) $(LDFLAGS) -pie $(RELRO),-lcmocka))
$(eval $(call programs,scalar,$(CC),-g -DCXR_SCALAR=1,-lcmocka))
$(eval $(call programs,relaxed,$(CC),-g $(ARCH) -DCXR_EMULATE_RELAXED,-lcmocka))
$(eval $(call programs,clang,$(CLANG),-g $(ARCH),-lcmocka))
$(eval $(call programs,asan,$(CLANG),$(SANITISE) $(ARCH),-lcmocka))

# ---- native: the command and the libraries -------------------------------------------------------------

native: $(BUILD)/cxrlens $(BUILD)/libcxr.a $(BUILD)/libcxr.so.0 ## build the command and the libraries into build/

$(BUILD)/cxrlens $(BUILD)/libcxr.a: $(BUILD)/%: $(BUILD)/obj/native/%
	$(Q)ln -f $< $@

$(BUILD)/libcxr.so.0: $(ENGINE:src/%.c=$(BUILD)/obj/native/%.o)
	$(call say,LINK)
	$(Q)$(CC) -shared -Wl,-soname,libcxr.so.0 $(RELRO) -Wl,--no-undefined $(LDFLAGS) $^ -o $@

# ---- Arm: the same bits from other vectors -----------------------------------------------------------------

# SIMDe makes NEON of the vectors. A folder of its own for SIMDe, since the cross compiler must not see other headers of
# this machine; tests/src/support/arm/cmocka.h stands for cmocka.
ARM_CC    := aarch64-linux-gnu-gcc
ARM_TESTS := exp kernels golden map model evidence
ARM_FLAGS := -O2 -g -isystem $(BUILD)/arm/include

$(BUILD)/arm/include/simde: | setup-arm
	@mkdir -p $(@D) && ln -sfn /usr/include/simde $@

$(eval $(call variant,arm,$(ARM_CC),$(ARM_FLAGS),$(ENGINE),$(BUILD)/arm/include/simde))
$(eval $(call programs,arm,$(ARM_CC),$(ARM_FLAGS) -Itests/src/support/arm -static))

test-arm: $(ARM_TESTS:%=$(BUILD)/tests/arm/test_%) ## run the tests of numbers on an emulated Arm processor
	@for t in $^; do qemu-aarch64 $$t || exit 1; done
