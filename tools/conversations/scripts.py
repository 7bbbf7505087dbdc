"""The conversations, as data. What the person and Claude say is an illustration; the calls are made.

Claude's words have no number of their own: each is a place, filled from what the server answered.
"""

from __future__ import annotations

from tools.conversations.model import ANY, Call, Claude, Conversation, Load, Moment, Person, Start, Wait

APP = {"workload": "demo-app"}
EVENING = Moment(after=3600, whole=86_400, past=72_000)  # 20:00 UTC, at least an hour ahead
SHOWN = "workloads[workload=Deployment/demo-app]"

WELL = Conversation(
    name="well",
    title="Is everything well?",
    about="The health check, by a server that only reads.",
    turns=(
        Person(words="Is everything well in the cluster?"),
        Call(
            tool="cluster_status",
            answer="status",
            holds={
                "overall": "Well",
                "waiting": [],
                "components[name=nodes].numbers.ready": ANY,
                "components[name=controller].numbers.leases_unanswered": 0,
                "components[name=records].state": "Well",
            },
        ),
        Call(tool="get_current_state", answer="state", arguments=APP, holds={f"{SHOWN}.autoscaler": ANY}),
        Claude(
            words=(
                "Yes: the verdict at {status.time|second} UTC is {status.overall}.\n"
                "- Nodes: {status.components[name=nodes].numbers.ready} of"
                " {status.components[name=nodes].numbers.count} ready. Pods:"
                " {status.components[name=pods].numbers.ready} of {status.components[name=pods].numbers.count} ready.\n"
                "- Prometheus answers, with {status.components[name=prometheus].numbers.targets_up} targets that are up"
                " and {status.components[name=prometheus].numbers.targets_down} that are down. The newest sample of"
                " metrics-server is {status.components[name=metrics-server].numbers.sample_age_seconds} s old.\n"
                "- The controller runs. Leases that wait for its answer:"
                " {status.components[name=controller].numbers.leases_unanswered}.\n"
                "- demo-app: {state.workloads[0].pods.ready} of {state.workloads[0].pods.count} pods ready. Its"
                " autoscaler keeps at least {state.workloads[0].autoscaler.floor}, people configured"
                " {state.workloads[0].autoscaler.base}, and it may go up to {state.workloads[0].autoscaler.maximum}.\n"
                "Nothing needs you. To note down: the head of the records is `{status.head|short}`."
            )
        ),
    ),
)

LAUNCH = Conversation(
    name="launch",
    title="A launch is announced",
    about=(
        "A lease ahead of a launch, from the question to its end. Launch and lease are short, so that a recording takes"
        " minutes and not an evening."
    ),
    writes=True,
    moments={"launch": Moment(after=35), "over": Moment(since="launch", after=110, whole=10)},
    turns=(
        Person(
            words=(
                "We launch at {launch|clock} UTC, and it is over at {over|second} UTC. Have 4 pods of demo-app ready"
                " when it begins. I am Ana."
            )
        ),
        Call(tool="get_current_state", answer="before", arguments=APP, holds={f"{SHOWN}.policy.mode": "Enforce"}),
        Call(tool="get_metrics", answer="metrics", arguments=APP, holds={"readings[name=request_rate].value": ANY}),
        Call(
            tool="lease_capacity",
            answer="preview",
            arguments={
                "name": "launch-{launch|stamp}",
                **APP,
                "replicas": 4,
                "start": "{launch}",
                "end": "{over}",
                "reason": "launch at {launch|clock} UTC",
                "on_behalf_of": "ana",
                "dry_run": True,
            },
            holds={"outcome": "WouldBeCreated", "allowed": True},
        ),
        Claude(
            words=(
                "demo-app has {before.workloads[0].pods.ready} pods now, and its autoscaler keeps at least"
                " {before.workloads[0].autoscaler.floor}. The policy would let me ask for up to"
                " {before.workloads[0].policy.max_replicas}, and for {before.workloads[0].policy.max_step_up} above the"
                " base. They answer {metrics.readings[name=request_rate].value|about} requests per second.\n"
                "I tried it without changing anything: {preview.replicas} pods {preview.explanation}. Shall I ask for"
                " it?"
            )
        ),
        Person(words="Yes."),
        Call(
            tool="lease_capacity",
            answer="lease",
            arguments={
                "name": "launch-{launch|stamp}",
                **APP,
                "replicas": 4,
                "start": "{launch}",
                "end": "{over}",
                "reason": "launch at {launch|clock} UTC",
                "on_behalf_of": "ana",
            },
            holds={"outcome": "Created", "allowed": True, "decided_by": "controller", "phase": "Pending"},
        ),
        Claude(
            words=(
                "The lease `{lease.name}` is accepted: at least {lease.replicas} pods from {lease.start|second} until"
                " {lease.until|second} UTC. It starts by itself, and it ends by itself. The record of the decision is"
                " `{lease.record|short}`."
            )
        ),
        Wait(moment="launch"),
        Load(rate=40, seconds=90),
        Wait(moment="launch", seconds=25),
        Person(words="Does it stand?"),
        Call(
            tool="get_current_state",
            answer="during",
            arguments=APP,
            holds={f"{SHOWN}.autoscaler.floor": 4, f"{SHOWN}.pods.ready": 4, "leases[phase=Active].floor_stands": True},
        ),
        Claude(
            words=(
                "Yes. The floor is {during.workloads[0].autoscaler.floor}, and {during.workloads[0].pods.ready} of"
                " {during.workloads[0].pods.count} pods are ready at {during.time|second} UTC. What people configured,"
                " {during.workloads[0].autoscaler.base}, is kept as the base."
            )
        ),
        Wait(moment="over", seconds=5),
        Person(words="The launch is over. Did it clean up after itself?"),
        Call(
            tool="get_current_state",
            answer="after",
            arguments=APP,
            holds={f"{SHOWN}.autoscaler.floor": 2, f"{SHOWN}.autoscaler.base": 2},
        ),
        Call(
            tool="get_records",
            answer="records",
            arguments={"lease": "launch-{launch|stamp}"},
            holds={
                "whole": True,
                "records[event=LeaseRequested].outcome": "Accepted",
                "records[event=FloorWritten].floor": 4,
                "records[event=LeaseEnded].cause": "Expired",
            },
        ),
        Claude(
            words=(
                "Yes, nobody had to do anything. The floor is {after.workloads[0].autoscaler.floor} again.\n"
                "- {records.records[event=LeaseRequested].time|second} UTC: asked for and accepted, record"
                " {records.records[event=LeaseRequested].sequence}.\n"
                "- {records.records[event=FloorWritten].time|second} UTC: the floor went from"
                " {records.records[event=FloorWritten].floor_before} to {records.records[event=FloorWritten].floor},"
                " record {records.records[event=FloorWritten].sequence}.\n"
                "- {records.records[event=LeaseEnded].time|second} UTC: the lease ended, record"
                " {records.records[event=LeaseEnded].sequence}.\n"
                "There are {after.workloads[0].pods.count} pods still: the autoscaler takes them away when it next sees"
                " that nothing needs them."
            )
        ),
    ),
)

COST = Conversation(
    name="cost",
    title="What did it cost, and can it go down?",
    about="Right after the launch: scaling down is refused, and why that is no obstacle.",
    writes=True,
    turns=(
        Person(words="The launch is over and pods cost money. Scale demo-app down to 2."),
        Call(
            tool="scale_deployment",
            answer="scaled",
            arguments={
                "name": "fewer-{begin|stamp}",
                **APP,
                "replicas": 2,
                "reason": "ana wants fewer pods after the launch",
            },
            holds={"outcome": "Refused", "code": "ScalingDown", "changed": False},
        ),
        Call(
            tool="get_current_state",
            answer="state",
            arguments=APP,
            holds={f"{SHOWN}.autoscaler.floor": 2, f"{SHOWN}.autoscaler.leases": []},
        ),
        Claude(
            words=(
                "I asked, and it was {scaled.explanation}. Nothing was changed.\n"
                "Nothing holds the pods any more: no lease is in force, and the floor of"
                " {state.workloads[0].autoscaler.floor} is what people configured. The autoscaler wanted"
                " {state.workloads[0].autoscaler.wanted} at {state.time|second} UTC, looks again every few seconds, and"
                " goes down by itself. I do not press it, because a count that is written under an autoscaler does not"
                " last."
            )
        ),
        Person(words="And what did the launch cost?"),
        Call(
            tool="generate_report",
            answer="report",
            arguments={**APP, "window_seconds": 600},
            holds={
                "cost.above_base": ANY,
                "courses[name=request_rate].highest": ANY,
                "courses[name=latency_p95].highest": ANY,
                "records_complete": True,
            },
        ),
        Claude(
            words=(
                "In the {report.window_seconds|minutes} minutes until {report.end|second} UTC demo-app used"
                " {report.cost.replica_hours|about} replica-hours. At most {report.cost.above_base|about} of them are"
                " due to leases: that much stood between the base and the floor.\n"
                "The load was {report.courses[name=request_rate].highest|about} requests per second at its highest, at"
                " {report.courses[name=request_rate].highest_time|second} UTC, and all but the slowest"
                " answers came within {report.courses[name=latency_p95].highest|ms} ms."
            )
        ),
    ),
)

REFUSED = Conversation(
    name="refused",
    title="Why was 500 refused?",
    about="A request beyond the policy. A refusal is an answer, and it is on record.",
    writes=True,
    moments={"evening": EVENING},
    turns=(
        Person(words="Marketing wants 500 pods of demo-app at {evening|clock} UTC, for an hour. Get them, please."),
        Call(
            tool="lease_capacity",
            answer="lease",
            arguments={
                "name": "marketing-{begin|stamp}",
                **APP,
                "replicas": 500,
                "start": "{evening}",
                "duration_seconds": 3600,
                "reason": "marketing wants 500 pods at {evening|clock} UTC",
            },
            holds={
                "outcome": "Refused",
                "allowed": False,
                "decided_by": "controller",
                "rules[code=AbovePolicyMaximum].asked": 500,
                "rules[code=AboveAutoscalerMaximum].limit": ANY,
                "rules[code=StepTooLarge].limit": ANY,
            },
        ),
        Claude(
            words=(
                "That was refused, and I leave it at that. Asked were {lease.rules[code=AbovePolicyMaximum].asked}"
                " pods, and these rules spoke:\n"
                "- the policy allows {lease.rules[code=AbovePolicyMaximum].limit} at most;\n"
                "- the autoscaler's own maximum is {lease.rules[code=AboveAutoscalerMaximum].limit};\n"
                "- it would be {lease.rules[code=StepTooLarge].asked} above the base, and"
                " {lease.rules[code=StepTooLarge].limit} are allowed.\n"
                "Nothing was changed."
            )
        ),
        Person(words="Who decided that? And what could we have?"),
        Call(
            tool="get_records",
            answer="records",
            arguments={"lease": "marketing-{begin|stamp}", "refusals_only": True},
            holds={"whole": True, "records[0].outcome": "Refused", "records[0].code": ANY},
        ),
        Call(tool="get_current_state", answer="state", arguments=APP, holds={f"{SHOWN}.policy.mode": "Enforce"}),
        Claude(
            words=(
                "The controller in the cluster decided, by the policy that your own people wrote for demo-app. It is"
                " record {records.records[0].sequence}, of {records.records[0].time|second} UTC, and the chain around"
                " it is whole.\n"
                "Within the policy I can ask for {state.workloads[0].policy.max_replicas} pods, if that is what you"
                " want, for {state.workloads[0].policy.max_seconds|minutes} minutes at most. For more, whoever owns the"
                " policy and the autoscaler has to raise both maximums. I cannot do that, and I will not look for a way"
                " around it."
            )
        ),
    ),
)

TODAY = Conversation(
    name="today",
    title="What happened today?",
    about="Records and a report with its picture, by a server that only reads.",
    turns=(
        Person(words="What happened today? For the picture, the last half hour is enough."),
        Call(tool="get_records", answer="records", arguments=APP, holds={"whole": True, "records[0].event": ANY}),
        Call(
            tool="generate_report",
            answer="report",
            arguments={**APP, "window_seconds": 1800, "plot": True},
            holds={
                "plot": "it comes beside this text",
                "cost.above_base": ANY,
                "courses[name=request_rate].highest": ANY,
                "courses[name=pods_ready].highest": ANY,
                "leases[0].name": ANY,
                "records_complete": True,
            },
        ),
        Claude(
            words=(
                "From {report.start|second} to {report.end|second} UTC, for demo-app:\n"
                "- Decisions: {report.allowed} allowed, {report.refused} refused. Leases in force:"
                " {report.leases_total}.\n"
                "- Load: {report.courses[name=request_rate].highest|about} requests per second at its highest, at"
                " {report.courses[name=request_rate].highest_time|second} UTC. Pods ready: between"
                " {report.courses[name=pods_ready].lowest} and {report.courses[name=pods_ready].highest}.\n"
                "- Cost: {report.cost.replica_hours|about} replica-hours, of which leases can have cost"
                " {report.cost.above_base|about} at most.\n"
                "- Findings to look at: {report.findings_total}.\n"
                "The records that I looked at, {records.looked_from} to {records.looked_to} of {records.total}, are"
                " whole and follow one another. To note down: the head is `{records.head|short}`."
            )
        ),
    ),
)

READ_ONLY = Conversation(
    name="read_only",
    title="A server that only reads is asked for capacity",
    about="What `make claude` sets up at first, what it says, and how you turn leases on.",
    moments={"evening": EVENING},
    turns=(
        Person(words="We have a sale at {evening|clock} UTC. Have 4 pods of demo-app ready for an hour."),
        Call(
            tool="get_current_state",
            answer="state",
            arguments=APP,
            holds={"writes.enabled": False, f"{SHOWN}.policy.mode": "Enforce"},
        ),
        Claude(
            words=(
                "I cannot ask for that here; you can allow it. In the server's words: {state.writes.how}.\n"
                "It would be a lease for demo-app from {evening|clock} UTC on. The policy would let me ask for"
                " {state.workloads[0].policy.max_replicas} pods at most, and not for more than"
                " {state.workloads[0].policy.max_step_up} above the base of {state.workloads[0].autoscaler.base}."
            )
        ),
        Person(words="I have run `make claude WRITES=1` in the clone and started Claude Desktop anew. Try it, please."),
        Start(writes=True),
        Call(
            tool="lease_capacity",
            answer="preview",
            arguments={
                "name": "sale-{evening|day}",
                **APP,
                "replicas": 4,
                "start": "{evening}",
                "duration_seconds": 3600,
                "reason": "sale at {evening|clock} UTC",
                "dry_run": True,
            },
            holds={"outcome": "WouldBeCreated", "changed": False},
        ),
        Claude(
            words=(
                "Now I can. As a trial, with nothing changed: {preview.replicas} pods {preview.explanation}. Shall I"
                " ask for it?"
            )
        ),
        Person(words="Not yet, the date is not final."),
    ),
)

SPANISH = Conversation(
    name="spanish",
    title="Una demostración, ahora mismo",
    about="In Spanish: a plain count becomes a lease, which then ends early. The server's own sentences stay English.",
    writes=True,
    turns=(
        Person(words="Tengo una demostración con un cliente ahora mismo. Pon demo-app en 3 réplicas."),
        Call(
            tool="scale_deployment",
            answer="scaled",
            arguments={
                "name": "demostracion-{begin|stamp}",
                **APP,
                "replicas": 3,
                "reason": "demostración con un cliente",
            },
            holds={"outcome": "Created", "became_lease": True, "floor_stands": True},
        ),
        Call(tool="get_current_state", answer="state", arguments=APP, holds={f"{SHOWN}.autoscaler.floor": 3}),
        Claude(
            words=(
                "Hecho. Un número escrito a mano no dura bajo un autoescalador, así que se convirtió en un"
                " arrendamiento: al menos {scaled.replicas} réplicas hasta las {scaled.until|second} UTC, en lugar de"
                " las {scaled.replicas_before} que había. Termina por sí solo.\n"
                "El mínimo del autoescalador es ahora {state.workloads[0].autoscaler.floor}; el configurado por"
                " ustedes, {state.workloads[0].autoscaler.base}, queda guardado. El último registro es"
                " `{scaled.record|short}`."
            )
        ),
        Person(words="La demostración ya terminó."),
        Call(
            tool="end_lease",
            answer="ended",
            arguments={"name": "demostracion-{begin|stamp}"},
            holds={"outcome": "Ended", "floor.after": 2},
        ),
        Claude(
            words=(
                "Terminé el arrendamiento antes de tiempo. El mínimo vuelve a ser {ended.floor.after}, y el"
                " autoescalador retira lo que sobra cuando vuelve a mirar."
            )
        ),
        Person(words="¿Quedó registrado?"),
        Call(
            tool="get_records",
            answer="records",
            arguments={"lease": "demostracion-{begin|stamp}"},
            holds={
                "whole": True,
                "records[event=LeaseRequested].outcome": "Accepted",
                "records[event=LeaseEnded]": ANY,
            },
        ),
        Claude(
            words=(
                "Sí: la petición aceptada es el registro {records.records[event=LeaseRequested].sequence}, y el final,"
                " el {records.records[event=LeaseEnded].sequence}, a las"
                " {records.records[event=LeaseEnded].time|second} UTC. Motivo:"
                " «{records.records[event=LeaseRequested].reason}»."
            )
        ),
    ),
)

ALL = (WELL, LAUNCH, REFUSED, COST, TODAY, READ_ONLY, SPANISH)  # as the page has them
# As they are played: a plain count of replicas wants fewer before it, cost and report come right after the launch.
PLAYED = (WELL, REFUSED, READ_ONLY, SPANISH, LAUNCH, COST, TODAY)
