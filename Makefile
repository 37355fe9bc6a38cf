# CXR Lens. `make help` names every target; all that is made goes to build/.
#
#   V=1            print the commands
#   SETUP=no       install no packages
#   STB=DIR        use the stb_image.h and stb_image_write.h in DIR
#   PREFIX, DESTDIR, PORT, FUZZ_SECONDS, MINUTES, DATA, INIT, MODEL_VERSION, NOTICE, RESTART   as their targets say

BUILD   := build
PREFIX  ?= /usr/local
ROOT     = $(DESTDIR)$(PREFIX)
PORT    ?= 8080
FUZZ_SECONDS ?= 20
VERSION := $(shell sed -n 's/^.define CXR_VERSION_STRING "\(.*\)"/\1/p' src/include/cxr.h)
PYTHON  ?= /usr/bin/python3
Q       := $(if $(V),,@)
# $(call say,WHAT): says what is made and makes the folder for it
say      = @printf '  %-8s %s\n' '$(1)' '$@'; mkdir -p $(@D)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: $(shell sed -n 's/^\([a-z][a-z -]*\):\( .*\|$$\)/\1/p' Makefile */*.mk tests/bench/bench.mk)

# ---- targets for people --------------------------------------------------------------------------

all: native wasm ## build everything into build/

run: wasm ## set up, build, and serve the page on http://localhost:8080 (or PORT)
	@PORT=$(PORT) node web/server/serve.js $(BUILD)/web

test: setup-test setup-node setup-npm ## set up, build and run every test (about 25 minutes on two cores)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) MAKE='$(MAKE)' PYTHON='$(PYTHON)' node tests/run.js

test-frameworks: setup-test setup-node setup-npm wasm ## install Next.js (350 MB), and build and run its example
	node_modules/.bin/tsc -p web/tsconfig.json
	node --test tests/web/frameworks/*.test.js

reproducible: setup-node setup-npm wasm ## build again in another folder, and compare every byte and the package
	node_modules/.bin/tsc -p web/tsconfig.json
	ALL=1 node --test tests/web/package/reproducible.test.js

check-quick: setup-test setup-node setup-npm ## the tests that take seconds
	@MAKE='$(MAKE)' PYTHON='$(PYTHON)' node tests/run.js quick

bench: setup-node setup-npm native wasm bench-files ## measure speed here, natively and in WebAssembly, beside the peers
	$(BUILD)/cxrlens bench
	node tests/bench/run.js

train: setup-train ## train, quantise and export model/cxrlens.cxrm from DATA=DIR, starting from INIT or the published weights; TEACHER, MODEL_VERSION, NOTICE, RESTART=1
	$(call need_data)
	$(PYTHON) model/train.py --data '$(DATA)' $(if $(INIT),--init '$(INIT)') $(if $(TEACHER),--teacher $(TEACHER)) $(if $(RESTART),--restart)
	$(PYTHON) model/quantise.py --data '$(DATA)' $(if $(RESTART),--restart)
	$(PYTHON) model/calibrate.py --data '$(DATA)'
	$(PYTHON) model/export.py $(if $(MODEL_VERSION),--model-version "$$MODEL_VERSION") $(if $(NOTICE),--notice "$$NOTICE")

evaluate: setup-train native ## write model/reports/ and model/CARD.md for the images in DATA=DIR, through the C engine
	$(call need_data)
	$(PYTHON) model/evaluate.py --data '$(DATA)'
	$(PYTHON) model/explain.py --data '$(DATA)'
	$(PYTHON) model/card.py

samples: setup-train native ## make the synthetic chest X-rays in web/samples/ from the images in DATA=DIR and the current model
	$(call need_data)
	$(PYTHON) model/samples.py --data '$(DATA)'

screenshots: setup-test setup-node setup-npm wasm ## take the screenshots in web/screenshots/ and web/icons/
	PYTHON='$(PYTHON)' node tests/web/screenshots.js

fuzz: setup-test fuzzers ## fuzz the image and the model reader, FUZZ_SECONDS each
	@FUZZ_SECONDS=$(FUZZ_SECONDS) MAKE='$(MAKE)' node tests/run.js fuzz

soak: setup-test setup-node setup-npm wasm fuzzers ## look for faults for MINUTES (60): fuzzers, mutated DICOM, the page under stress; findings in build/soak/
	@MINUTES='$(MINUTES)' node tests/soak/run.js

install: native ## install command, libraries, header, Python binding, man page and model under DESTDIR and PREFIX
	@case '$(PREFIX)' in [!/]* | *[!A-Za-z0-9/._+~-]*) echo "PREFIX is to be an absolute path of letters, digits and / . _ + ~ -"; exit 1;; esac
	install -D -m 755 $(BUILD)/cxrlens '$(ROOT)/bin/cxrlens'
	install -D -m 644 src/include/cxr.h '$(ROOT)/include/cxr.h'
	install -D -m 644 $(BUILD)/libcxr.a '$(ROOT)/lib/libcxr.a'
	install -D -m 755 $(BUILD)/libcxr.so.0 '$(ROOT)/lib/libcxr.so.0'
	ln -sf libcxr.so.0 '$(ROOT)/lib/libcxr.so'
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' src/cxrlens.pc.in | install -D -m 644 /dev/stdin '$(ROOT)/lib/pkgconfig/cxrlens.pc'
	install -D -m 644 src/examples/python/cxrlens.py '$(ROOT)/lib/python3/dist-packages/cxrlens.py'
	install -D -m 644 src/cli/cxrlens.1 '$(ROOT)/share/man/man1/cxrlens.1'
	install -D -m 644 model/cxrlens.cxrm '$(ROOT)/share/cxrlens/cxrlens.cxrm'
	[ -n '$(DESTDIR)' ] || ldconfig 2>/dev/null || true # so that programs find the library

uninstall: ## remove what install put there
	[ ! -d '$(ROOT)' ] || { cd '$(ROOT)' && rm -f bin/cxrlens include/cxr.h lib/libcxr.a \
	    lib/libcxr.so.0 lib/libcxr.so lib/pkgconfig/cxrlens.pc lib/python3/dist-packages/cxrlens.py \
	    lib/python3/dist-packages/__pycache__/cxrlens.*.pyc share/man/man1/cxrlens.1 share/cxrlens/cxrlens.cxrm; }
	-rmdir '$(ROOT)/share/cxrlens' 2>/dev/null

clean: ## remove what was built, but not checkpoints and caches of training
	@[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name train ! -name cache -exec rm -rf {} +

distclean: ## remove everything that is not in git: build/ and node_modules/
	rm -rf $(BUILD) node_modules

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

need_data = @[ -n '$(DATA)' ] || { echo 'Say where the images are: make $@ DATA=DIR' >&2; exit 2; }

# ---- set-up: named packages of Debian 12 or later; only what is missing is installed ---------------

# setup-NAME installs packages_NAME
packages_native := gcc libc6-dev libsimde-dev zlib1g-dev
packages_wasm   := emscripten clang-19 lld-19 ca-certificates $(if $(shell command -v node),,nodejs) $(if $(shell command -v npm),,npm)
packages_train  := python3 python3-numpy python3-pil python3-torch python3-torchvision python3-onnx python3-matplotlib
packages_portal := orthanc orthanc-dicomweb
packages_arm    := gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libsimde-dev
browsers        := chromium firefox-esr webkit2gtk-driver xvfb dbus
packages_test   := flake8 libclang-rt-19-dev libcmocka-dev valgrind pkg-config dcmtk libgdcm-tools python3-gdcm python3-pydicom \
                   python3-distributed parallel $(browsers) $(packages_portal)

setup-wasm setup-arm: | setup-native
setup-train: | setup-wasm
setup-test: | setup-train
# as root, or through sudo
setup-native setup-wasm setup-train setup-test setup-portal setup-arm: setup-%:
	@[ '$(SETUP)' != no ] && command -v dpkg-query >/dev/null || exit 0; \
	missing=; for p in $(packages_$*); do \
	    dpkg-query -W -f='$${db:Status-Abbrev}\n' $$p 2>/dev/null | grep -q '^.i' || missing="$$missing $$p"; done; \
	[ -n "$$missing" ] || exit 0; \
	echo "Installing:$$missing"; \
	root=; [ "$$(id -u)" = 0 ] || root=sudo; \
	[ -z "$$root" ] || command -v sudo >/dev/null || { echo "Please install these as root: apt-get install$$missing" >&2; exit 1; }; \
	$$root apt-get update -q && \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

setup-npm: node_modules/.package-lock.json

node_modules/.package-lock.json: package.json package-lock.json | setup-wasm
	$(call say,NPM)
	$(Q)node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || { echo 'Node 18 or later is needed.' >&2; exit 1; }
	$(Q)npm ci --no-progress && touch $@ || { echo 'npm could not fetch the packages.' >&2; exit 1; }

# The tools of the tests want a later Node than Debian 12 has; then npm, its usual source here, has one too.
TEST_NODE := node-linux-$(if $(filter aarch64,$(shell uname -m)),arm64,x64)
export PATH := $(CURDIR)/$(BUILD)/node/bin:$(PATH)

setup-node: | setup-test
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || { \
	    echo 'Installing: $(TEST_NODE) 22 into $(BUILD)/node'; \
	    npm install --no-save --prefix $(BUILD)/node $(TEST_NODE)@22 && mkdir -p $(BUILD)/node/bin && \
	    ln -sf ../node_modules/$(TEST_NODE)/bin/node $(BUILD)/node/bin/node; }

STB         := $(BUILD)/stb
STB_HEADERS := $(STB)/stb_image.h $(STB)/stb_image_write.h

$(BUILD)/stb/stb_image.h $(BUILD)/stb/stb_image_write.h &: src/image/fetch-stb.sh | setup-native
	$(call say,STB)
	$(Q)$< $(@D)

include src/src.mk web/web.mk tests/tests.mk
