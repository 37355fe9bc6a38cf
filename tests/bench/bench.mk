# Rules for build/bench/: what the benchmark runs. Included by the Makefile; `make bench` uses them.

BENCH := $(BUILD)/bench

bench-files: $(MODULES:%=$(BENCH)/engine-%.wasm) $(BENCH)/peak-simd.wasm $(BENCH)/peak-relaxed.wasm \
             $(BENCH)/mobilenetv2.cxrm $(BENCH)/node_modules/.package-lock.json

# The shipped modules, linked in the same way from the same objects, with the exports of bench_wasm.c besides.
$(BENCH)/scalar.o $(BENCH)/simd.o $(BENCH)/relaxed.o: $(BENCH)/%.o: tests/bench/native/bench_wasm.c $(wildcard src/*.h src/*/*.h) | setup-wasm
	$(call say,CC)
	$(Q)$(emcc) $(BASE) $(WASM) $(if $(filter scalar,$*),-DCXR_SCALAR=1) -c $< -o $@

$(BENCH)/engine-%.wasm: $(BENCH)/%.o $(BUILD)/obj/wasm-%/libcxr.a
	$(call say,LINK)
	$(call link-$*,$<,$@)

$(BENCH)/peak-%.wasm: tests/bench/native/peak.c | setup-wasm
	$(call say,LINK)
	$(Q)$(CLANG) --target=wasm32 -std=c11 -Wall -Wextra -Werror -O3 -msimd128 $(if $(filter relaxed,$*),-mrelaxed-simd) \
	    -ffreestanding -nostdlib -c $< -o $(@:.wasm=.o)
	$(Q)wasm-ld-19 --no-entry --strip-all $(@:.wasm=.o) -o $@

$(BENCH)/fixtures $(BENCH)/instructions: $(BENCH)/%: tests/bench/native/%.c $(UNIT_HELPERS) $(BUILD)/obj/native/libcxr.a
	$(call say,LINK)
	$(Q)$(CC) $(BASE) -O2 -g $(filter %.c %.a,$^) -o $@ -lm

$(BENCH)/mobilenetv2.cxrm: $(BENCH)/fixtures
	$(Q)$< $(@D)

# The peers: some 250 MB that only the benchmark wants.
$(BENCH)/node_modules/.package-lock.json: tests/bench/package.json tests/bench/package-lock.json tests/bench/.npmrc | setup-test
	$(call say,NPM)
	$(Q)cp $^ $(BENCH) && npm ci --prefix $(BENCH) && touch $@
