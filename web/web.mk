# Builds the served folder build/web: the WebAssembly modules, the bundles and the list of files kept offline.

# ---- WebAssembly: the served folder ---------------------------------------------------------------------

# The DICOM reader: each of these becomes one file with what it imports, loaded only when a file needs it. The other
# files of web/dicom* are their parts, except the few that are served as they are.
DICOM    ?= yes
BUNDLES  := dicom dicom-jpeg dicom-jpegls dicom-jpeg2000
DICOM_SERVED := $(addprefix web/dicom-,sniff.js error.js sr.js notices.txt)
DICOM_PARTS  := $(filter-out $(DICOM_SERVED),$(wildcard web/dicom*))
DICOM_BUILT  := $(if $(filter yes,$(DICOM)),$(BUNDLES:%=$(BUILD)/web/%.js) $(BUILD)/web/dicom-jpegls.wasm $(BUILD)/web/dicom-jpeg2000.wasm)

# What nothing but the element imports becomes one file with it; other scripts are made smaller one by one.
NPM           := $(filter yes,$(DICOM))
ELEMENT_PARTS := $(if $(NPM),$(patsubst %,web/%.js,element-css lease queue intake layout scenes viewer table))

# Each of these becomes one file with what it imports, so that a page's start waits for no chain of requests. What is
# then part of them only is built for the tests.
CORE       := $(if $(NPM),classifier worker wasm)
PARTS      := loader input pool channel platform dicom-sniff
CORE_PARTS := $(patsubst %,web/%.js,classifier worker wasm $(PARTS))
UNSERVED   := $(if $(NPM),$(PARTS:%=%.js) assets.js)

# Three modules from one source; web/loader.js takes the best that the browser can run. Debian's Emscripten knows
# an old relaxed SIMD only, so that module is made by clang 19 and linked with Emscripten's C library.
MODULES  := scalar simd relaxed
WEB      := $(filter-out $(DICOM_PARTS) $(ELEMENT_PARTS),$(shell find web -type f ! -name serve.js ! -name 'tsconfig*' ! -name '.*' ! -path 'web/screenshots/*' ! -path 'web/bin/*' 2>/dev/null))
SYSROOT  := /usr/share/emscripten/cache/sysroot
WASM_LIB := $(SYSROOT)/lib/wasm32-emscripten
WASM     := -O3 -DNDEBUG
STACK    := 262144
MEMORY   := 2147483648
emcc     := NODE_PATH=/usr/share/nodejs emcc

$(eval $(call variant,wasm-scalar,$(emcc),$(WASM) -DCXR_SCALAR=1,$(filter-out src/kernels/simd.c src/kernels/maddubs.c,$(ENGINE)) src/wasm.c,setup-wasm))
$(eval $(call variant,wasm-simd,$(emcc),$(WASM) -msimd128 -msse2,$(ENGINE) src/wasm.c,setup-wasm))
# __SSE2__ and the folder: what emcc makes of -msse2, which gives stb_image its vectors.
$(eval $(call variant,wasm-relaxed,$(CLANG),--target=wasm32-unknown-emscripten --sysroot=$(SYSROOT) $(WASM) \
    -msimd128 -mrelaxed-simd -D__SSE__ -D__SSE2__ -isystem $(SYSROOT)/include/compat,$(ENGINE) src/wasm.c,setup-wasm))

ASSETS   := $(MODULES:%=$(BUILD)/web/cxrlens-%.wasm) $(BUILD)/web/cxrlens.cxrm

PAGE     := $(WEB:web/%=$(BUILD)/web/%) $(ASSETS) $(BUILD)/web/evaluation.json $(BUILD)/web/assets.js $(DICOM_BUILT)
# embed.html is left to the network: its host writes origins into it.
STORED   := $(sort $(filter-out $(UNSERVED:%=$(BUILD)/web/%) %/sw.js %/embed.html %.d.ts %.schema.json %.map %.md $(BUILD)/web/examples/%,$(PAGE)))

# The headers that keep the page's promises, for hosts that read them from the folder, and for the others' settings.
HEADERS  := $(BUILD)/web/_headers $(BUILD)/web/.htaccess $(BUILD)/headers/nginx.conf $(BUILD)/headers/Caddyfile

wasm: $(PAGE) $(HEADERS) $(BUILD)/web/precache.js ## build the page and the WebAssembly modules into build/web/

# $(call size,file): bytes, and bytes over the wire
size = @printf '  %-8s %s: %d bytes, %d by gzip\n' SIZE '$(1)' $$(wc -c <$(1)) $$(gzip -9c $(1) | wc -c)

# $(call link-NAME,objects,module): links objects with all of a build. Emscripten takes the clock, which the page
# gives, for a missing symbol, so its check is off; the third link refuses whatever is missing.
link-emcc = $(Q)$(emcc) -O3 -sSTANDALONE_WASM=1 --no-entry -sFILESYSTEM=0 -sALLOW_MEMORY_GROWTH=1 \
    -sMAXIMUM_MEMORY=$(MEMORY) -sTOTAL_STACK=$(STACK) -sERROR_ON_UNDEFINED_SYMBOLS=0 -sWARN_ON_UNDEFINED_SYMBOLS=0 \
    -Wl,--stack-first $(1) -Wl,--whole-archive $(BUILD)/obj/wasm-$(3)/libcxr.a -Wl,--no-whole-archive -o $(2)
link-scalar  = $(call link-emcc,$(1),$(2),scalar)
link-simd    = $(call link-emcc,$(1),$(2),simd)
link-relaxed = $(Q)wasm-ld-19 --entry=_initialize -O2 --gc-sections --strip-all --stack-first -z stack-size=$(STACK) \
    --max-memory=$(MEMORY) $(1) --whole-archive $(BUILD)/obj/wasm-relaxed/libcxr.a --no-whole-archive \
    $(WASM_LIB)/crt1_reactor.o $(WASM_LIB)/libdlmalloc.a $(WASM_LIB)/libstandalonewasm-memgrow.a \
    $(WASM_LIB)/libc.a $(WASM_LIB)/libcompiler_rt.a -o $(2)

$(MODULES:%=$(BUILD)/web/cxrlens-%.wasm): $(BUILD)/web/cxrlens-%.wasm: $(BUILD)/obj/wasm-%/libcxr.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(call link-$*,,$@)
	$(call size,$@)

$(BUILD)/web/cxrlens.cxrm: model/cxrlens.cxrm
	@mkdir -p $(@D)
	$(Q)cp $< $@
	$(call size,$@)

# the figures that "About the model" shows, if there are any
$(BUILD)/web/evaluation.json: $(wildcard model/reports/evaluation.json)
	@mkdir -p $(@D)
	$(Q)if [ -n '$<' ]; then cp $< $@; else echo null >$@; fi

# Digests of the files that web/loader.js takes, and of those that web/sw.js keeps for use without a network.
digests = cd $(BUILD)/web && sha256sum $(patsubst $(BUILD)/web/%,$(1)%,$(2)) | sed "s/\([0-9a-f]*\)  \(.*\)/  '\2': '\1',/"

$(BUILD)/web/assets.js: $(ASSETS)
	$(call say,SHA256,$@)
	$(Q){ echo 'export const assets = Object.freeze({'; $(call digests,,$^); echo '});'; } >$@

$(BUILD)/web/precache.js: $(STORED) $(BUILD)/web/sw.js
	$(call say,SHA256,$@)
	$(Q){ printf "self.cxrPrecache = {\n  version: '%s',\n  files: {\n" "$$(cat $^ | sha256sum | cut -c 1-16)"; \
	    $(call digests,./,$(STORED)); echo '}};'; } >$@

$(BUILD)/web/_headers: HOST := netlify
$(BUILD)/web/.htaccess: HOST := apache
$(BUILD)/headers/nginx.conf: HOST := nginx
$(BUILD)/headers/Caddyfile: HOST := caddy
$(HEADERS): web/serve.js
	@mkdir -p $(@D)
	$(Q)node $< --headers $(HOST) >$@

# The codecs' glue would read files where it finds Node, but dicom-codec.js hands it the module; the parser asks for
# zlib, but dicom-file.js inflates: so no Node is found, and what is asked for is an object of no use.
no_node = $(addprefix --define:,process=undefined __dirname=undefined __filename=undefined require=Object)

$(BUNDLES:%=$(BUILD)/web/%.js): $(BUILD)/web/%.js: web/%.js $(DICOM_PARTS) node_modules/.package-lock.json Makefile
	$(call say,BUNDLE,$@)
	@mkdir -p $(@D)
	$(Q)node_modules/.bin/esbuild $< --outfile=$@ --bundle --format=esm --target=es2022 --minify --legal-comments=none \
	    --log-level=warning $(no_node) $(addprefix --external:./,$(filter-out $*.js,dicom-error.js $(BUNDLES:%=%.js)))
	$(call size,$@)

$(BUILD)/web/dicom-jpegls.wasm: CODEC := codec-charls/dist/charlswasm_decode.wasm
$(BUILD)/web/dicom-jpeg2000.wasm: CODEC := codec-openjpeg/dist/openjpegwasm_decode.wasm
$(BUILD)/web/dicom-jpegls.wasm $(BUILD)/web/dicom-jpeg2000.wasm: node_modules/.package-lock.json
	@mkdir -p $(@D)
	$(Q)cp node_modules/@cornerstonejs/$(CODEC) $@
	$(call size,$@)

# No --minify-syntax where it could move `new URL('./worker.js', import.meta.url)`, which bundlers look for literally.
smaller = node_modules/.bin/esbuild --minify-whitespace --minify-identifiers --legal-comments=none --log-level=error \
    $(if $(filter classifier.js loader.js channel.js worker.js,$(<F)),,--minify-syntax)

# beside the digests, which are made by the build
$(BUILD)/obj/web/%.js: web/%.js
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(BUILD)/obj/web/assets.js: $(BUILD)/web/assets.js
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(CORE:%=$(BUILD)/web/%.js): $(BUILD)/web/%.js: $(BUILD)/obj/web/%.js $(CORE_PARTS:web/%=$(BUILD)/obj/web/%) \
    $(BUILD)/obj/web/assets.js node_modules/.package-lock.json Makefile
	$(call say,BUNDLE,$@)
	@mkdir -p $(@D)
	$(Q)$(smaller) $< --outfile=$@ --bundle --format=esm --target=es2022 --external:./dicom.js \
	    $(if $(filter classifier,$*),--external:./wasm.js)
	$(call size,$@)

$(if $(NPM),$(BUILD)/web/element.js): web/element.js $(ELEMENT_PARTS) node_modules/.package-lock.json Makefile
	$(call say,BUNDLE,$@)
	@mkdir -p $(@D)
	$(Q)$(smaller) $< --outfile=$@ --bundle --format=esm --target=es2022 \
	    $(addprefix --external:./,$(filter-out $(notdir $(ELEMENT_PARTS)),$(notdir $(wildcard web/*.js))))
	$(call size,$@)

# with the English words, which all that imports it needs
$(if $(NPM),$(BUILD)/web/i18n.js): web/i18n.js web/strings/en.js node_modules/.package-lock.json Makefile
	@mkdir -p $(@D)
	$(Q)$(smaller) $< --outfile=$@ --bundle --format=esm --target=es2022 --external:./strings/ko.js

$(BUILD)/web/%.js: web/%.js $(if $(NPM),node_modules/.package-lock.json)
	@mkdir -p $(@D)
	$(Q)$(if $(NPM),$(smaller) $< --outfile=$@,cp $< $@)

$(BUILD)/web/examples/%: web/examples/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(BUILD)/web/%: web/%
	@mkdir -p $(@D)
	$(Q)cp $< $@
