# Builds the served folder build/web: the WebAssembly modules, the scripts and the list of files kept offline.

# A script directly in web/ is an address: it becomes a file of that name in build/web, with all that it imports from the
# folders. esbuild puts what several of them share, and what is loaded when it is needed, into chunks beside them.
# Workers are files by themselves, as are the script for pages without modules and what portals alone use.
WORKERS  := web/worker.js web/sw.js
APART    := web/cornerstone.js
GLOBAL   := web/cxrlens.global.js
DOORS    := $(filter-out $(WORKERS) $(APART) $(GLOBAL),$(wildcard web/*.js)) $(wildcard web/strings/*.js)
SCRIPTS  := $(BUILD)/obj/web/scripts
STATIC   := $(shell find web -type f ! -name '*.js' ! -name '*.mk' ! -name 'tsconfig*' ! -name '.*' ! -path 'web/screenshots/*' ! -path 'web/element/*') $(shell find web/examples -name '*.js')

# Three modules from one source; web/engine/loader.js takes the best that the browser can run. Debian's Emscripten knows
# an old relaxed SIMD only, so that module is made by clang 19 and linked with Emscripten's C library.
MODULES  := scalar simd relaxed
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
# what the page's foot links to
LINKED   := $(addprefix $(BUILD)/web/,licence.txt card.txt source.tar.gz)
PAGE     := $(STATIC:web/%=$(BUILD)/web/%) $(LINKED) $(ASSETS) $(BUILD)/web/evaluation.json $(SCRIPTS) \
            $(BUILD)/web/dicom-jpegls.wasm $(BUILD)/web/dicom-jpeg2000.wasm

# The headers that keep the page's promises, for hosts that read them from the folder, and for the others' settings.
HEADERS  := $(BUILD)/web/_headers $(BUILD)/web/.htaccess $(BUILD)/headers/nginx.conf $(BUILD)/headers/Caddyfile

wasm: $(PAGE) $(HEADERS) $(BUILD)/web/precache.js $(BUILD)/web/custom-elements.json ## build the page and the WebAssembly modules into build/web/

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
	$(call say,LINK)
	$(call link-$*,,$@)

SOURCE := $(wildcard *.md LICENSE Makefile package*.json src web model tests)
$(BUILD)/web/source.tar.gz: $(shell find $(SOURCE) -type f ! -path '*/node_modules/*' ! -name '*.pyc')
	$(call say,TAR)
	$(Q)tar -cf - --mode=u=rwX,go=rX --exclude=node_modules --exclude=__pycache__ --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner $(SOURCE) | gzip -9n >$@

$(BUILD)/obj/web/sha256.json: $(ASSETS)
	$(call say,SHA256)
	$(Q)cd $(BUILD)/web && sha256sum $(^F) | sed '1s/^/{/; s/\(\w*\)  \(.*\)/"\2": "\1",/; $$s/,$$/}/' >../obj/web/$(@F)

# What web/sw.js keeps for use without a network. embed.html is left to the network: its host writes origins into it;
# dicomweb.js, cornerstone.js and cxrlens.global.js are for portals.
kept = find . -type f ! -name '.*' ! -name _headers ! -name sw.js ! -name precache.js ! -name embed.html ! -name '*.d.ts' \
    ! -name '*.schema.json' ! -name custom-elements.json ! -name '*.md' ! -name dicomweb.js ! -name cornerstone.js ! -name '*.global.js' ! -name source.tar.gz \
    ! -path './examples/*' | LC_ALL=C sort

$(BUILD)/web/precache.js: $(PAGE)
	$(call say,SHA256)
	$(Q)cd $(@D) && { printf "self.cxrPrecache = {\n  version: '%s',\n  files: {\n" "$$($(kept) | xargs cat sw.js | sha256sum | cut -c 1-16)"; \
	    $(kept) | xargs sha256sum | sed "s/\([0-9a-f]*\)  \(.*\)/  '\2': '\1',/"; echo '}};'; } >$(@F)

$(HEADERS): web/server/serve.js
	@mkdir -p $(@D)
	$(Q)node $< --headers $(@F) >$@

esbuild   = node_modules/.bin/esbuild --bundle --format=esm --target=es2022 --minify --charset=utf8 --legal-comments=none \
    --log-level=warning
# with the packages, the weights' SHA-256 and the element's style
parts     = $(foreach p,$(PACKAGES),--alias:$(p)=./$(call bundled,$(p)).js) \
    --define:CXRLENS_SHA256="$$(node -p 'JSON.stringify(fs.readFileSync("$(BUILD)/obj/web/sha256.json", "utf8"))')" \
    --define:CXRLENS_STYLES="$$(node_modules/.bin/esbuild --minify web/element/styles.css | node -p 'JSON.stringify(fs.readFileSync(0, "utf8"))')"

# Packages are CommonJS: each is bundled by itself first, otherwise every script would load esbuild's helpers for them.
# The codecs' glue would read files where it finds Node, but web/dicom/codecs/wasm-codec.js hands it the module: so no Node
# is found.
PACKAGES := $(shell grep -rhoP "from '\K[a-z@][^']*" web/dicom)
bundled   = $(BUILD)/obj/npm/$(subst /,-,$(1))
no_node   = $(addprefix --define:,process=undefined __dirname=undefined __filename=undefined require=Object)

$(SCRIPTS): $(shell find web -name '*.js') web/element/styles.css $(BUILD)/obj/web/sha256.json web/web.mk node_modules/.package-lock.json
	$(call say,BUNDLE)
	$(Q)rm -f $(BUILD)/web/*.js # chunks are named by their content
	$(Q)$(esbuild) $(no_node) $(foreach p,$(PACKAGES),$(call bundled,$(p))=$(p)) --outdir=.
	$(Q)$(esbuild) $(DOORS) --splitting --outdir=$(BUILD)/web --outbase=web $(parts)
	$(Q)$(esbuild) $(GLOBAL) --format=iife --global-name=cxrlens --outdir=$(BUILD)/web $(parts) \
	    --inject:web/shared/script-address.js --define:import.meta.url=scriptAddress
	$(Q)$(esbuild) $(WORKERS) $(APART) --outdir=$(BUILD)/web
	$(Q)touch $@

# What a release holds of others' work, to be attached to it.
sbom: $(BUILD)/cxrlens.cdx.json ## write the bill of materials (CycloneDX) to build/cxrlens.cdx.json

$(BUILD)/cxrlens.cdx.json: package.json package-lock.json web/server/sbom.js $(STB_HEADERS)
	$(call say,SBOM)
	$(Q)npm sbom --sbom-format=cyclonedx --sbom-type=library --package-lock-only | node web/server/sbom.js \
	    "$$(sed -n '1s/.* - v\([0-9.]*\).*/\1/p' $(STB)/stb_image.h)" "$$(emcc --version | sed -n '1s/.* \([0-9][0-9.]*\).*/\1/p')" >$@

# What editors know of the element.
$(BUILD)/web/custom-elements.json: web/element.js web/define.js web/element/attributes.js web/.cem.mjs node_modules/.package-lock.json
	$(call say,MANIFEST)
	$(Q)node_modules/.bin/cem analyze --config web/.cem.mjs --outdir $(@D) --quiet

# Its scripts are asked for at once: a page's start must wait for no chain of requests.
$(BUILD)/web/index.html: web/index.html $(SCRIPTS)
	$(Q)sed "s|^  <script|$$(grep -oE 'chunk-\w+\.js' $(@D)/app.js | sort -u | sed 's|.*|  <link rel="modulepreload" href="&">\\n|' | tr -d '\n')&|" $< >$@

# Copies: those of another name first. npm brings the codecs.
CODECS := node_modules/@cornerstonejs
$(BUILD)/web/cxrlens.cxrm: model/cxrlens.cxrm
$(BUILD)/web/evaluation.json: model/reports/evaluation.json # what "About the model" shows
$(BUILD)/web/licence.txt: LICENSE
$(BUILD)/web/card.txt: model/CARD.md
$(BUILD)/web/dicom-jpegls.wasm: $(CODECS)/codec-charls/dist/charlswasm_decode.wasm
$(BUILD)/web/dicom-jpeg2000.wasm: $(CODECS)/codec-openjpeg/dist/openjpegwasm_decode.wasm
$(CODECS)/%: node_modules/.package-lock.json ;

$(addprefix $(BUILD)/web/,cxrlens.cxrm evaluation.json licence.txt card.txt dicom-jpegls.wasm dicom-jpeg2000.wasm):
	$(Q)install -D -m 644 $< $@

$(BUILD)/web/%: web/%
	$(Q)install -D -m 644 $< $@
