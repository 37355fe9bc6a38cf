# CXR Lens. `make help` names every target; all that is made goes to build/.
#
#   V=1            print the commands
#   SETUP=no       install no packages
#   DICOM=no       do without npm: leaves out the DICOM reader and serves the scripts as they are written
#   STB=DIR        use the stb_image.h and stb_image_write.h in DIR
#   PREFIX, DESTDIR, PORT, FUZZ_SECONDS, DATA, INIT, TEACHERS, MODEL_VERSION, NOTICE, RESTART   as their targets say

BUILD   := build
PREFIX  ?= /usr/local
PORT    ?= 8080
FUZZ_SECONDS ?= 60
VERSION := $(shell sed -n 's/^.define CXR_VERSION_STRING "\(.*\)"/\1/p' src/cxr.h)
PYTHON  ?= /usr/bin/python3
Q       := $(if $(V),,@)
say      = @printf '  %-8s %s\n' '$(1)' '$(2)'

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all run test check-quick test-programs bench train evaluate samples screenshots fuzz install uninstall clean distclean help
.PHONY: setup-native setup-wasm setup-train setup-test setup-node setup-npm

# ---- targets for people --------------------------------------------------------------------------

all: native wasm ## build everything into build/

run: wasm ## set up, build, and serve the page on http://localhost:8080 (or PORT)
	@PORT=$(PORT) node web/serve.js $(BUILD)/web

test: setup-test setup-node setup-npm ## set up, build and run every test (about 15 minutes)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) MAKE='$(MAKE)' PYTHON='$(PYTHON)' node tests/run.js

check-quick: setup-test setup-node setup-npm ## the tests that take seconds
	@MAKE='$(MAKE)' PYTHON='$(PYTHON)' node tests/run.js quick

bench: setup-node setup-npm native wasm bench-files ## measure speed here, natively and in WebAssembly, beside the peers
	$(BUILD)/cxrlens bench
	node tests/bench/run.js

train: setup-train ## train, quantise and export model/cxrlens.cxrm from DATA=DIR, starting from INIT or what ships; TEACHERS, MODEL_VERSION, NOTICE, RESTART=1
	$(call need_data)
	$(PYTHON) model/train.py --data '$(DATA)' $(if $(INIT),--init '$(INIT)') $(if $(RESTART),--restart) \
	    $(foreach teacher,$(TEACHERS),--teacher '$(teacher)')
	$(PYTHON) model/quantise.py --data '$(DATA)' $(if $(RESTART),--restart)
	$(PYTHON) model/calibrate.py --data '$(DATA)'
	$(PYTHON) model/export.py $(if $(MODEL_VERSION),--model-version "$$MODEL_VERSION") $(if $(NOTICE),--notice "$$NOTICE")

evaluate: setup-train native ## write model/reports/ and model/CARD.md for the images in DATA=DIR, through the C engine
	$(call need_data)
	$(PYTHON) model/evaluate.py --data '$(DATA)'
	$(PYTHON) model/explain.py --data '$(DATA)'
	$(PYTHON) model/card.py

samples: setup-train native ## make the synthetic films in web/samples/ from the films in DATA=DIR and the present model
	$(call need_data)
	$(PYTHON) model/samples.py --data '$(DATA)'

screenshots: setup-test setup-node setup-npm wasm ## take the pictures of the page in web/screenshots/ and web/icons/
	PYTHON='$(PYTHON)' node tests/e2e/screenshots.js

fuzz: setup-test fuzzers ## fuzz the image and the model reader, FUZZ_SECONDS each
	@FUZZ_SECONDS=$(FUZZ_SECONDS) MAKE='$(MAKE)' node tests/run.js fuzz

install: native ## install command, libraries, header, man page and model under DESTDIR and PREFIX
	@case '$(PREFIX)' in [!/]* | *[!A-Za-z0-9/._+~-]*) echo "PREFIX is to be an absolute path of letters, digits and / . _ + ~ -"; exit 1;; esac
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/include' '$(DESTDIR)$(PREFIX)/lib/pkgconfig' \
	    '$(DESTDIR)$(PREFIX)/share/man/man1' '$(DESTDIR)$(PREFIX)/share/cxrlens'
	install -m 755 $(BUILD)/cxrlens '$(DESTDIR)$(PREFIX)/bin/cxrlens'
	install -m 644 src/cxr.h '$(DESTDIR)$(PREFIX)/include/cxr.h'
	install -m 644 $(BUILD)/libcxr.a '$(DESTDIR)$(PREFIX)/lib/libcxr.a'
	install -m 755 $(BUILD)/libcxr.so.0 '$(DESTDIR)$(PREFIX)/lib/libcxr.so.0'
	ln -sf libcxr.so.0 '$(DESTDIR)$(PREFIX)/lib/libcxr.so'
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' src/cxrlens.pc.in >'$(DESTDIR)$(PREFIX)/lib/pkgconfig/cxrlens.pc'
	chmod 644 '$(DESTDIR)$(PREFIX)/lib/pkgconfig/cxrlens.pc'
	install -m 644 src/cxrlens.1 '$(DESTDIR)$(PREFIX)/share/man/man1/cxrlens.1'
	install -m 644 model/cxrlens.cxrm '$(DESTDIR)$(PREFIX)/share/cxrlens/cxrlens.cxrm'
	[ -n '$(DESTDIR)' ] || ldconfig 2>/dev/null || true # so that programs find the library

uninstall: ## remove what install put there
	[ ! -d '$(DESTDIR)$(PREFIX)' ] || { cd '$(DESTDIR)$(PREFIX)' && rm -f bin/cxrlens include/cxr.h lib/libcxr.a \
	    lib/libcxr.so.0 lib/libcxr.so lib/pkgconfig/cxrlens.pc share/man/man1/cxrlens.1 share/cxrlens/cxrlens.cxrm; }
	-rmdir '$(DESTDIR)$(PREFIX)/share/cxrlens' 2>/dev/null

clean: ## remove what was built, but not checkpoints and caches of training
	@[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name train ! -name cache -exec rm -rf {} +

distclean: ## remove all that git does not hold: build/ and node_modules/
	rm -rf $(BUILD) node_modules

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

need_data = @[ -n '$(DATA)' ] || { echo 'Say where the images are: make $@ DATA=DIR' >&2; exit 2; }

# ---- set-up: named packages of Debian 12 or later; only what is missing is installed ---------------

NATIVE_PACKAGES = gcc libc6-dev libsimde-dev zlib1g-dev
WASM_PACKAGES   = emscripten clang-19 lld-19 $(if $(shell command -v node),,nodejs)
NPM_PACKAGES    = ca-certificates $(if $(shell command -v npm),,npm)
TRAIN_PACKAGES  = python3 python3-numpy python3-pil python3-torch python3-torchvision python3-onnx python3-matplotlib
TEST_PACKAGES   = libclang-rt-19-dev libcmocka-dev valgrind pkg-config chromium \
                  dcmtk libgdcm-tools python3-gdcm python3-pydicom $(NPM_PACKAGES)

# $(call need,packages): as root, or through sudo
define need
@[ '$(SETUP)' != no ] && command -v dpkg-query >/dev/null || exit 0; \
missing=; for p in $(1); do \
    dpkg-query -W -f='$${db:Status-Abbrev}\n' $$p 2>/dev/null | grep -q '^.i' || missing="$$missing $$p"; done; \
[ -n "$$missing" ] || exit 0; \
echo "Installing:$$missing"; \
root=; [ "$$(id -u)" = 0 ] || root=sudo; \
[ -z "$$root" ] || command -v sudo >/dev/null || { echo "Please install these as root: apt-get install$$missing" >&2; exit 1; }; \
$$root apt-get update -q && \
$$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing
endef

setup-native:
	$(call need,$(NATIVE_PACKAGES))

setup-wasm: | setup-native
	$(call need,$(WASM_PACKAGES))
	@node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || { echo 'Node 18 or later is needed.' >&2; exit 1; }

setup-train: | setup-wasm
	$(call need,$(TRAIN_PACKAGES))

setup-test: | setup-train
	$(call need,$(TEST_PACKAGES))

setup-npm: node_modules/.package-lock.json

node_modules/.package-lock.json: package.json package-lock.json | setup-wasm
	$(call need,$(NPM_PACKAGES))
	$(call say,NPM,node_modules)
	$(Q)npm ci --no-progress && touch $@ || { echo 'npm could not fetch the packages; DICOM=no builds without them.' >&2; exit 1; }

# The tools of the tests want a later Node than Debian 12 has; then npm, its usual source here, has one too.
TEST_NODE := node-linux-$(if $(filter aarch64,$(shell uname -m)),arm64,x64)
export PATH := $(CURDIR)/$(BUILD)/node/bin:$(PATH)

setup-node: | setup-test
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || { \
	    echo 'Installing: $(TEST_NODE) 22 into $(BUILD)/node'; \
	    npm install --no-save --prefix $(BUILD)/node $(TEST_NODE)@22 && mkdir -p $(BUILD)/node/bin && \
	    ln -sf ../node_modules/$(TEST_NODE)/bin/node $(BUILD)/node/bin/node; }

# stb_image v2.30 or later: the system's, or Debian 13's package from the mirror that apt uses. Earlier
# versions have faults that a fuzzer finds in minutes.
STB         := $(BUILD)/stb
STB_HEADERS := $(STB)/stb_image.h $(STB)/stb_image_write.h
STB_PACKAGE := libstb-dev_0.0~git20241109.5c20573+ds-1_amd64.deb
STB_SUMS    := 36fbe0c268c76daa655180ea3c9933afc41c6449ec5e53ef3d4907b516147650  libstb.deb\n$\
               594c2fe35d49488b4382dbfaec8f98366defca819d916ac95becf3e75f4200b3  stb_image.h\n$\
               cbd5f0ad7a9cf4468affb36354a1d2338034f2c12473cf1a8e32053cb6914a05  stb_image_write.h\n
stb_mirror   = apt-get --print-uris download libstb-dev 2>/dev/null | grep -o "[a-z+]*://[^']*/libs/libstb/" | head -n 1

$(BUILD)/stb/stb_image.h $(BUILD)/stb/stb_image_write.h &: | setup-native
	$(call say,STB,$(@D))
	@mkdir -p $(@D)
	@minor=$$(sed -n '1s/.* - v2\.\([0-9]*\).*/\1/p' /usr/include/stb/stb_image.h 2>/dev/null); \
	if [ "$${minor:-0}" -ge 30 ]; then cp /usr/include/stb/stb_image.h /usr/include/stb/stb_image_write.h $(@D); exit; fi; \
	mirror=$$($(stb_mirror)); \
	if [ -z "$$mirror" ]; then root=; [ "$$(id -u)" = 0 ] || root=sudo; $$root apt-get update -q; mirror=$$($(stb_mirror)); fi; \
	cd $(@D) && /usr/lib/apt/apt-helper download-file "$${mirror}$(STB_PACKAGE)" libstb.deb 2>apt.log >&2 || { cat apt.log; \
	    echo "Could not fetch $(STB_PACKAGE) from '$$mirror'; give stb_image v2.30 or later as STB=DIR." >&2; exit 1; }; \
	for f in stb_image.h stb_image_write.h; do \
	    dpkg-deb --fsys-tarfile libstb.deb | tar -xO ./usr/include/stb/$$f >$$f || exit 1; done; \
	printf '$(STB_SUMS)' | sha256sum --quiet -c && rm libstb.deb apt.log

# ---- compiling -------------------------------------------------------------------------------------

ENGINE  := $(filter-out src/wasm.c src/cli%.c,$(wildcard src/*.c))
CLI     := $(wildcard src/cli*.c)
UNIT    := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c tests/unit/*.h))
MACHINE := $(shell uname -m)

CC      := gcc
CLANG   := clang-19
AR      := ar
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
# -ffp-contract=off: the same bits everywhere; -fwrapv: stb_image counts on it
BASE    := -std=c11 $(WARN) -ffp-contract=off -Isrc -isystem $(STB)
NATIVE  := -O3 -g -fPIC -fvisibility=hidden -fstack-protector-strong $(if $(findstring FORTIFY,$(CFLAGS)),,-D_FORTIFY_SOURCE=2) -ffile-prefix-map=$(CURDIR)=. \
           -DCXR_MODEL_PATH='"$(PREFIX)/share/cxrlens/cxrlens.cxrm"'
ARCH    := $(if $(filter x86_64,$(MACHINE)),-msse4.2)
SANITISE := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=address,undefined

# $(call variant,name,compiler,flags,sources,set-up): objects and libcxr.a in build/obj/NAME
define variant
$(BUILD)/obj/$(1)/%.o: src/%.c Makefile $(STB_HEADERS) | $(5)
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$(Q)$(2) $(BASE) $(3) $$(if $$(filter image,$$*),-fwrapv) -MMD -MP -c $$< -o $$@

$(BUILD)/obj/$(1)/libcxr.a: $(4:src/%.c=$(BUILD)/obj/$(1)/%.o)
	$$(call say,AR,$$@)
	$(Q)rm -f $$@ && $(if $(filter wasm-%,$(1)),emar,$(AR)) rcD $$@ $$^

-include $(wildcard $(BUILD)/obj/$(1)/*.d)
endef

comma := ,

# $(call programs,name,compiler,flags): the command line and the unit tests of a variant
define programs
$(BUILD)/obj/$(1)/cxrlens: $(CLI:src/%.c=$(BUILD)/obj/$(1)/%.o) $(BUILD)/obj/$(1)/libcxr.a
	$$(call say,LINK,$$@)
	$(Q)$(2) $(3) $$^ -o $$@ -lz -lm

$(BUILD)/tests/$(1)/test_%: tests/unit/test_%.c $(UNIT_HELPERS) $(BUILD)/obj/$(1)/libcxr.a | setup-test
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$(Q)$(2) $(BASE) $(3) $$(filter %.c %.a,$$^) -o $$@ -lcmocka -lm
endef

# The builds whose answers must be the same to the last bit.
VARIANTS := native scalar relaxed clang asan

$(eval $(call variant,native,$(CC),$(NATIVE) $(ARCH) $(CFLAGS) -DNDEBUG,$(ENGINE),setup-native))
$(eval $(call variant,scalar,$(CC),-O3 -g -DCXR_SCALAR=1,$(ENGINE),setup-native))
$(eval $(call variant,relaxed,$(CC),-O2 -g $(ARCH) -DCXR_EMULATE_RELAXED,$(ENGINE),setup-native))
$(eval $(call variant,clang,$(CLANG),-O2 -g $(ARCH),$(ENGINE),setup-wasm))
$(eval $(call variant,asan,$(CLANG),$(SANITISE) $(ARCH),$(ENGINE),setup-test))
$(eval $(call variant,fuzz,$(CLANG),$(SANITISE) $(ARCH) -fsanitize=fuzzer-no-link,$(ENGINE),setup-test))

$(eval $(call programs,native,$(CC),$(NATIVE) $(ARCH) $(LDFLAGS) -pie -Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now))
$(eval $(call programs,scalar,$(CC),-g -DCXR_SCALAR=1))
$(eval $(call programs,relaxed,$(CC),-g $(ARCH) -DCXR_EMULATE_RELAXED))
$(eval $(call programs,clang,$(CLANG),-g $(ARCH)))
$(eval $(call programs,asan,$(CLANG),$(SANITISE) $(ARCH)))

# ---- native: the command and the libraries -------------------------------------------------------------

.PHONY: native wasm fuzzers test-programs-quick
native: $(BUILD)/cxrlens $(BUILD)/libcxr.a $(BUILD)/libcxr.so.0 ## build the command and the libraries into build/

$(BUILD)/cxrlens: $(BUILD)/obj/native/cxrlens
	$(Q)ln -f $< $@

$(BUILD)/libcxr.a: $(BUILD)/obj/native/libcxr.a
	$(Q)ln -f $< $@

$(BUILD)/libcxr.so.0: $(ENGINE:src/%.c=$(BUILD)/obj/native/%.o)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,libcxr.so.0 -Wl,-z,relro,-z,now -Wl,--no-undefined $(LDFLAGS) $^ -o $@

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

$(eval $(call variant,wasm-scalar,$(emcc),$(WASM) -DCXR_SCALAR=1,$(filter-out src/kernels_simd.c src/kernels_pairs.c,$(ENGINE)) src/wasm.c,setup-wasm))
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

# ---- tests ------------------------------------------------------------------------------------------------

FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)

$(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(UNIT_HELPERS) $(BUILD)/obj/fuzz/libcxr.a | setup-test
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BASE) -Itests/unit $(SANITISE) $(ARCH) -fsanitize=fuzzer $(filter %.c %.a,$^) -o $@ -lm

# what tests/run.js runs
test-programs: all fuzzers $(BUILD)/bench/instructions $(foreach v,$(VARIANTS),$(BUILD)/obj/$(v)/cxrlens) \
               $(foreach v,$(filter-out relaxed,$(VARIANTS)),$(UNIT:%=$(BUILD)/tests/$(v)/%)) $(BUILD)/tests/relaxed/test_kernels
test-programs-quick: native wasm $(UNIT:%=$(BUILD)/tests/native/%)

-include tests/bench/bench.mk
