# CXR Lens. `make help` names every target; all that is made goes to build/.
#
#   V=1            print the commands
#   SETUP=no       install no packages
#   STB=DIR        use the stb_image.h and stb_image_write.h in DIR
#   PREFIX, DESTDIR, PORT, FUZZ_SECONDS, DATA, INIT, MODEL_VERSION, NOTICE, RESTART   as their targets say

BUILD   := build
PREFIX  ?= /usr/local
PORT    ?= 8080
FUZZ_SECONDS ?= 20
VERSION := $(shell sed -n 's/^.define CXR_VERSION_STRING "\(.*\)"/\1/p' src/include/cxr.h)
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
	@PORT=$(PORT) node web/server/serve.js $(BUILD)/web

test: setup-test setup-node setup-npm ## set up, build and run every test (about 25 minutes on two cores)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) MAKE='$(MAKE)' PYTHON='$(PYTHON)' node tests/run.js

check-quick: setup-test setup-node setup-npm ## the tests that take seconds
	@MAKE='$(MAKE)' PYTHON='$(PYTHON)' node tests/run.js quick

bench: setup-node setup-npm native wasm bench-files ## measure speed here, natively and in WebAssembly, beside the peers
	$(BUILD)/cxrlens bench
	node tests/bench/run.js

train: setup-train ## train, quantise and export model/cxrlens.cxrm from DATA=DIR, starting from INIT or what ships; MODEL_VERSION, NOTICE, RESTART=1
	$(call need_data)
	$(PYTHON) model/train.py --data '$(DATA)' $(if $(INIT),--init '$(INIT)') $(if $(RESTART),--restart)
	$(PYTHON) model/quantise.py --data '$(DATA)' $(if $(RESTART),--restart)
	$(PYTHON) model/calibrate.py --data '$(DATA)'
	$(PYTHON) model/export.py $(if $(MODEL_VERSION),--model-version "$$MODEL_VERSION") $(if $(NOTICE),--notice "$$NOTICE")

evaluate: setup-train native ## write model/reports/ and model/CARD.md for the images in DATA=DIR, through the C engine
	$(call need_data)
	$(PYTHON) model/evaluate.py --data '$(DATA)'
	$(PYTHON) model/explain.py --data '$(DATA)'
	$(PYTHON) model/card.py

samples: setup-train native ## make the synthetic chest X-rays in web/samples/ from the images in DATA=DIR and the present model
	$(call need_data)
	$(PYTHON) model/samples.py --data '$(DATA)'

screenshots: setup-test setup-node setup-npm wasm ## take the pictures of the page in web/screenshots/ and web/icons/
	PYTHON='$(PYTHON)' node tests/web/screenshots.js

fuzz: setup-test fuzzers ## fuzz the image and the model reader, FUZZ_SECONDS each
	@FUZZ_SECONDS=$(FUZZ_SECONDS) MAKE='$(MAKE)' node tests/run.js fuzz

install: native ## install command, libraries, header, Python binding, man page and model under DESTDIR and PREFIX
	@case '$(PREFIX)' in [!/]* | *[!A-Za-z0-9/._+~-]*) echo "PREFIX is to be an absolute path of letters, digits and / . _ + ~ -"; exit 1;; esac
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/include' '$(DESTDIR)$(PREFIX)/lib/pkgconfig' \
	    '$(DESTDIR)$(PREFIX)/lib/python3/dist-packages' '$(DESTDIR)$(PREFIX)/share/man/man1' '$(DESTDIR)$(PREFIX)/share/cxrlens'
	install -m 755 $(BUILD)/cxrlens '$(DESTDIR)$(PREFIX)/bin/cxrlens'
	install -m 644 src/include/cxr.h '$(DESTDIR)$(PREFIX)/include/cxr.h'
	install -m 644 $(BUILD)/libcxr.a '$(DESTDIR)$(PREFIX)/lib/libcxr.a'
	install -m 755 $(BUILD)/libcxr.so.0 '$(DESTDIR)$(PREFIX)/lib/libcxr.so.0'
	ln -sf libcxr.so.0 '$(DESTDIR)$(PREFIX)/lib/libcxr.so'
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' src/cxrlens.pc.in >'$(DESTDIR)$(PREFIX)/lib/pkgconfig/cxrlens.pc'
	chmod 644 '$(DESTDIR)$(PREFIX)/lib/pkgconfig/cxrlens.pc'
	install -m 644 src/examples/python/cxrlens.py '$(DESTDIR)$(PREFIX)/lib/python3/dist-packages/cxrlens.py'
	install -m 644 src/cli/cxrlens.1 '$(DESTDIR)$(PREFIX)/share/man/man1/cxrlens.1'
	install -m 644 model/cxrlens.cxrm '$(DESTDIR)$(PREFIX)/share/cxrlens/cxrlens.cxrm'
	[ -n '$(DESTDIR)' ] || ldconfig 2>/dev/null || true # so that programs find the library

uninstall: ## remove what install put there
	[ ! -d '$(DESTDIR)$(PREFIX)' ] || { cd '$(DESTDIR)$(PREFIX)' && rm -f bin/cxrlens include/cxr.h lib/libcxr.a \
	    lib/libcxr.so.0 lib/libcxr.so lib/pkgconfig/cxrlens.pc lib/python3/dist-packages/cxrlens.py \
	    lib/python3/dist-packages/__pycache__/cxrlens.*.pyc share/man/man1/cxrlens.1 share/cxrlens/cxrlens.cxrm; }
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
BROWSERS        = chromium firefox-esr webkit2gtk-driver xvfb dbus
TEST_PACKAGES   = flake8 libclang-rt-19-dev libcmocka-dev valgrind pkg-config $(BROWSERS) \
                  dcmtk libgdcm-tools python3-gdcm python3-pydicom python3-distributed parallel $(PACS_PACKAGES) $(NPM_PACKAGES)
PACS_PACKAGES   = orthanc orthanc-dicomweb

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
	$(Q)npm ci --no-progress && touch $@ || { echo 'npm could not fetch the packages.' >&2; exit 1; }

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

include src/src.mk web/web.mk tests/tests.mk
