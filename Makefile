# make demo    the whole workflow on embedded real data, on a CPU
# make demo-llm    the same with a language model as base, as in the paper (config/llm.yaml; results in llm/)
# make test    the tests: units, and the real workflow on tiny data, in a quarter of an hour on two cores
# make test-thorough    more of the real workflow: soups, experts, studies, previews, one job for all (ten minutes)
# make test-faults    kills, signals, full disks, memory, clocks: what must not harm a run; ends with a table of the cases
#                    (a quarter of an hour on two cores; FAULTS=sigint-alone runs one case)
# make test-slurm    the same on a SLURM of two nodes, started on this machine (Debian: apt-get install slurmctld slurmd
#                    slurm-client slurmdbd munge mariadb-server)
# make study   every mixture with a small model and many seeds, then some with a larger one: an hour and up to three on two
#              cores (config/study_wide.yaml, config/study_deep.yaml; results in study/wide and study/deep)
# make fuzz    100,000 changed files for each reader of files (docs/reliability.md): hours; FUZZ='--inputs 1000': minutes
# make lock    writes envs/demo.lock and docs/licences.md anew, of what is installed here
# make audit   looks the locked packages up among known vulnerabilities
# make docs    the documentation as a site, in site/, with search and without any call to other machines
# make image   a container image, with docker or apptainer; without both, its recipe is checked
# make bench   the benchmarks behind docs/performance.md
# The two demos and the studies take away the lock of a run of theirs that was killed, then go on with what is there.
# docs and image set up .venv-docs first, all others .venv; nothing else is needed but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PATHS := tdro tests benchmarks docs envs
SMK := Snakefile workflow

.PHONY: demo demo-llm study test test-thorough test-faults test-slurm fuzz lint types format schema dry-runs lock audit docs image \
	bench clean

# A run of config/NAME.yaml in the folder NAME, or of the default here.
define run
@$(BIN)/python workflow/scripts/unlock.py $(1)
$(BIN)/snakemake --cores all$(if $(1), --configfile $(CURDIR)/config/$(1).yaml --directory $(1))
endef

demo: .venv/installed
	$(call run)

demo-llm: .venv/installed
	$(call run,llm)

# So small trainings are quickest on one core each.
study: .venv/installed
	$(BIN)/tdro study config/study_wide.yaml --directory study/wide --set-threads train=1 optimize=1 reference=1
	$(BIN)/tdro study config/study_deep.yaml --directory study/deep --set-threads train=1 optimize=1 reference=1
	$(BIN)/tdro study --compare study/wide study/deep

# Two files of tests at a time, the long ones first; models are so small that a second thread would only wait.
test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-thorough: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m thorough

# Words of FAULTS choose cases, as pytest's -k takes them.
test-faults: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults -n 2 --dist loadfile --no-loadscope-reorder -m faults \
		$(if $(FAULTS),-k '$(FAULTS)')

fuzz: .venv/installed
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m fuzz --keep fuzzed $(FUZZ)

# What was started is stopped whatever the tests say.
test-slurm: .venv/installed
	@trap 'tests/cluster/slurm.sh stop' EXIT; set -e; tests/cluster/slurm.sh start; \
		nice $(BIN)/python -m pytest tests/cluster -m cluster -vv -s -p no:cacheprovider $(SLURM_TESTS)

lint: .venv/installed types
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/snakefmt --check $(SMK)
	$(BIN)/snakemake --lint

# What annotations promise, in ten seconds of a processor.
types: .venv/installed
	$(BIN)/mypy

# The DAG of every configuration, without running a job.
dry-runs: .venv/installed
	set -e; for config in config/*.yaml; do \
		echo "$$config"; \
		$(BIN)/snakemake -n --quiet rules --configfile $$config >.venv/dry-run.log 2>&1 || { cat .venv/dry-run.log; exit 1; }; \
	done

format: .venv/installed
	$(BIN)/ruff check --fix $(PATHS)
	$(BIN)/ruff format $(PATHS)
	$(BIN)/snakefmt $(SMK)

# What the models of tdro/config say, for editors (a JSON schema) and for readers (the tables of config/README.md), and
# what the documents say of the code and follows from it.
schema: .venv/installed
	$(BIN)/python -m tdro.config.keytables
	$(BIN)/python docs/generated.py

# The versions that are installed here, with the hashes that the index states. CPU wheels of torch are in an index of their
# own: UV_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu, or UV_FIND_LINKS=FOLDER of the wheel.
lock: .venv/installed .venv-lock/installed
	$(BIN)/python -m pip freeze --all --exclude-editable >.venv-lock/installed.txt
	.venv-lock/bin/uv pip compile pyproject.toml --extra cpu --extra demo --extra static --extra dev \
		--constraint .venv-lock/installed.txt --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--index-strategy unsafe-best-match --no-annotate --custom-compile-command 'make lock' --quiet -o envs/demo.lock
	$(BIN)/python docs/licences.py

# With a network pip-audit asks the index; ADVISORIES=FOLDER, a clone of github.com/pypa/advisory-database, needs none.
audit: .venv-lock/installed
	$(if $(ADVISORIES),$(BIN)/python envs/audit.py $(ADVISORIES),.venv-lock/bin/pip-audit --requirement envs/demo.lock --require-hashes --disable-pip)

# A page that is missing, a link that leads nowhere and anything that a page would load from elsewhere is an error.
docs: .venv-docs/installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	.venv-docs/bin/python docs/checksite.py site

image: .venv-docs/installed
	containers/build.sh .venv-docs/bin/hadolint

# Every benchmark at full size, one after the other: about an hour on two cores.
bench: .venv/installed
	set -e; for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python $$script; done

.venv/installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit('Python 3.11 or newer is needed, this is ' + sys.version) if sys.version_info < (3, 11) else None"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[cpu,demo,static,dev]'
	@# pip would compile on one core; files that are no Python of this version are skipped, as pip does.
	-$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1
	touch $@

.venv-docs/installed: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --group docs
	touch $@

.venv-lock/installed: pyproject.toml
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check --group lock
	touch $@

clean:
	rm -rf results checkpoints logs .snakemake
