# What people type. Each target is one call of a playbook or of the command `claudescale`.
CLAUDESCALE_PROFILE ?= claudescale
PYTHON ?= python3
PROFILE ?= steady
RATE ?=
DURATION ?=
PICTURE ?=
PART ?=
PLAYBOOK ?= site
WRITES ?=
CLIENT ?=
STATE ?=
SCENARIO ?= all
REPORT ?=
RUNS ?= 1
WARMUP ?=
SEED ?=
ARGS ?=

bin := .venv/bin
kit := tests/kit/run --profile $(CLAUDESCALE_PROFILE)
ansible := $(bin)/ansible-playbook -e claudescale_profile=$(CLAUDESCALE_PROFILE)
play = $(kit) -- $(ansible) $(ARGS)
play-existing = $(kit) --existing -- $(ansible) $(ARGS)
command = $(kit) --existing -- $(bin)/claudescale --context $(CLAUDESCALE_PROFILE)

.DEFAULT_GOAL := help
.PHONY: help environment play up stop down status watch load demo scenario compare claude bundle forward forward-stop \
	forward-status verify-prometheus verify-grafana lint test test-all eval kit-status kit-clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment:
	@$(PYTHON) tools/bootstrap.py

up: environment ## bring up the cluster and the whole stack; again: change nothing
	@$(play) playbooks/site.yml
	@$(command) status

stop: environment ## stop the forwards and the cluster; data is kept
	@$(command) forward stop
	@$(play-existing) playbooks/stop.yml

down: environment ## remove the cluster, its context and everything that came with it
	@$(command) forward stop
	@$(play-existing) playbooks/down.yml
	@tests/kit/run --down-if-last

status: environment ## what runs, who holds the floor, and the forwards in one table
	@$(command) status

watch: environment ## load, CPU, wanted and ready replicas, live
	@$(command) watch

load: environment ## send load: PROFILE=steady|ramp|step|spike|launch|stress-until-scale [RATE=per second] [DURATION=seconds]
	@$(command) load $(PROFILE) $(if $(RATE),--rate $(RATE)) $(if $(DURATION),--duration $(DURATION)) $(ARGS)

demo: environment ## a raw write to /scale beside a lease, live, about 5 minutes: one picture [PICTURE=demo.svg]
	@$(command) demo $(if $(PICTURE),--picture $(PICTURE)) $(ARGS)

scenario: environment ## the demo scenarios, unattended: SCENARIO=1..7|all [REPORT=folder]
	@$(command) scenario $(SCENARIO) $(if $(REPORT),--report $(REPORT)) $(ARGS)

compare: environment ## the same launch with HPA alone, raw /scale, a lease: RUNS=1 (25 min) [WARMUP=seconds] [SEED=] [PICTURE=]
	@$(command) compare --runs $(RUNS) $(if $(WARMUP),--warmup $(WARMUP)) $(if $(SEED),--seed $(SEED)) \
		$(if $(PICTURE),--picture $(PICTURE)) $(if $(REPORT),--report $(REPORT)) $(ARGS)

claude: environment ## the MCP server in Claude's configuration: [WRITES=1] [CLIENT=claude_desktop|claude_code|both] [STATE=absent]
	@$(ansible) $(ARGS) playbooks/claude.yml $(if $(WRITES),-e mcp_client_allow_writes=$(WRITES)) \
		$(if $(CLIENT),-e mcp_client_client=$(CLIENT)) $(if $(STATE),-e mcp_client_state=$(STATE))
	@$(if $(filter absent,$(STATE)),,echo "$(if $(filter-out 0 no false,$(WRITES)),to take the leases away: make claude WRITES=0,to allow leases: make claude WRITES=1)")

bundle: environment ## the MCP server as a bundle for Claude Desktop: dist/claudescale-VERSION.mcpb
	@$(bin)/python -m tools.mcpb

forward: environment ## prometheus 9090, grafana 3000, demo-app 8080 on 127.0.0.1
	@$(command) forward start

forward-stop: environment ## end the forwards
	@$(command) forward stop

forward-status: environment ## which forwards run
	@$(command) forward status

verify-prometheus: environment ## run every query of docs/PROMETHEUS_QUERIES.md
	@$(command) verify-prometheus

verify-grafana: environment ## check Grafana's login, datasource and dashboards
	@$(command) verify-grafana

play: environment ## any playbook: PLAYBOOK=site ARGS='--check --diff'
	@$(play) playbooks/$(PLAYBOOK).yml

lint: environment ## every linter
	@tools/lint.sh

test: environment ## lint, unit tests and the real cluster, in short form
	@$(bin)/python tests/run.py

test-all: environment ## everything; PART=... for one part
	@$(bin)/python tests/run.py --all $(if $(PART),--part $(PART))

eval: environment ## adversarial transcripts against the MCP server, on a cluster of their own: one table
	@$(bin)/python tests/run.py --part eval

kit-status: ## what the kit has built and whether its daemon runs
	@tests/kit/run --status

kit-clean: ## delete the kit's cache
	@tests/kit/run --clean
